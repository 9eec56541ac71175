"""Requests to the gateway as an ASGI server hands them over, and their answers."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any, cast

from api.app import create_app
from api.gateway import Gateway

if TYPE_CHECKING:
    from interest_graph.api_key import ApiKeyStore
    from interest_graph.services import Services
    from tests.unit.api.fakes import FakeServices

Answer = tuple[int, set[tuple[bytes, bytes]], bytes]
NAME = re.compile(rb"r-[0-9a-f]{16}")


def scope(path: str, query: str = "", method: str = "GET", *fields: tuple[str, str]) -> Any:
    """An ASGI scope."""
    return {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "http_version": "1.1",
        "scheme": "http",
        "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 1),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in fields],
    }


def gateway_of(services: FakeServices) -> Gateway:
    """The application on fakes, behind its gateway."""
    app = create_app(cast("Services", services), cast("ApiKeyStore", services.keys))
    return Gateway(app, timeout_s=0.05)


def told(gateway: Gateway, request: dict[str, Any], body: bytes = b"{}") -> Answer:
    """The answer; names that the service gave by itself, and seconds to wait, are made equal."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(gateway({**request}, receive, send))
    fields = {
        (name, NAME.sub(b"r-", re.sub(rb"t=\d+", b"t=", value)))
        for name, value in sent[0]["headers"]
    }
    assert len(fields) == len(sent[0]["headers"])
    return sent[0]["status"], fields, NAME.sub(b"r-", sent[1]["body"])
