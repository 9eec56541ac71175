"""The gateway waits for bodies within bounds, and hands over what the client sent."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import TYPE_CHECKING, Any, cast

import pytest

from api.app import create_app
from api.body import MAX_BODY_BYTES
from api.gateway import MAX_BYTES_HELD, Gateway, environ_of

if TYPE_CHECKING:
    from interest_graph.api_key import ApiKeyStore
    from interest_graph.services import Services
    from tests.unit.api.fakes import FakeServices

EVENT = json.dumps({"user_id": "u", "item_id": "lamp", "event_type": "view"}).encode()


class Client:
    """Sends the parts of a body, and keeps the answer."""

    def __init__(self, *parts: bytes, gone: bool = False, silent: bool = False) -> None:
        self.parts = list(parts)
        self.gone, self.silent = gone, silent
        self.read = 0
        self.sent: list[dict[str, Any]] = []

    async def receive(self) -> dict[str, Any]:
        """The next part."""
        self.read += 1
        if self.parts:
            part, more = self.parts.pop(0), bool(self.parts) or self.gone or self.silent
            return {"type": "http.request", "body": part, "more_body": more}
        if self.silent:
            await asyncio.sleep(60)
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        """Take a part of the answer."""
        self.sent.append(message)

    @property
    def status(self) -> int:
        """Status of the answer."""
        return int(self.sent[0]["status"])

    @property
    def answer(self) -> dict[str, Any]:
        """Its JSON."""
        found: dict[str, Any] = json.loads(self.sent[1]["body"])
        return found


def scope(path: str = "/v1/events", token: str = "ig-admin", **fields: str) -> dict[str, Any]:  # noqa: S107 a fake's
    """An ASGI scope; `_` in a field's name stands for `-`."""
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json", **fields}
    return {
        "type": "http",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "http_version": "1.1",
        "scheme": "http",
        "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 1),
        "headers": [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()],
    }


@pytest.fixture
def gateway(services: FakeServices) -> Gateway:
    app = create_app(cast("Services", services), cast("ApiKeyStore", services.keys))
    return Gateway(app, timeout_s=0.05)


def ask(gateway: Gateway, request: dict[str, Any], client: Client) -> Client:
    """One request."""
    asyncio.run(gateway(request, client.receive, client.send))
    return client


@pytest.mark.parametrize("framing", ["content_length", "transfer_encoding"])
def test_a_body_in_parts_is_put_together(gateway: Gateway, framing: str) -> None:
    """However it comes, with a length or in chunks, the application sees the whole body."""
    value = str(len(EVENT)) if framing == "content_length" else "chunked"
    client = ask(gateway, scope(**{framing: value}), Client(EVENT[:5], EVENT[5:9], EVENT[9:]))
    assert (client.status, client.answer["accepted"]) == (202, 1)


def test_a_body_that_stops_coming_is_answered(gateway: Gateway) -> None:
    """A problem document says that the body did not arrive in time; it may be sent again."""
    client = ask(gateway, scope(content_length="99"), Client(b"{", silent=True))
    assert (client.status, client.answer["code"]) == (408, "body_timeout")


@pytest.mark.parametrize("framing", [{"content_length": "99"}, {"transfer_encoding": "chunked"}])
def test_half_a_body_is_nothing(
    gateway: Gateway, services: FakeServices, framing: dict[str, str]
) -> None:
    """When the client is gone before the end, the application is not asked at all."""
    client = ask(gateway, scope(**framing), Client(EVENT, gone=True))
    assert (client.sent, services.events.sent) == ([], {})


def test_what_strangers_send_is_not_read(gateway: Gateway) -> None:
    """Without a key that exists the answer comes before the body."""
    client = ask(gateway, scope(token="ig-nobody", content_length="99"), Client(b"{" * 99))  # noqa: S106
    assert (client.status, client.read) == (401, 0)


def test_a_body_too_large_is_not_read_to_its_end(gateway: Gateway) -> None:
    """By its length alone, or in chunks after 5 MiB, it is refused."""
    client = ask(gateway, scope(content_length=str(MAX_BODY_BYTES + 2)), Client(b"{"))
    assert (client.status, client.read) == (413, 0)
    endless = Client(*[b" " * 1024 * 1024] * 50)
    client = ask(gateway, scope(transfer_encoding="chunked"), endless)
    assert (client.status, client.read) == (413, 6)


def test_unfinished_bodies_are_bounded_together(gateway: Gateway) -> None:
    """When a process holds all that it may, one more is refused until some are done."""
    gateway.held_bytes = MAX_BYTES_HELD
    client = ask(gateway, scope(content_length=str(len(EVENT))), Client(EVENT))
    assert (client.status, client.answer["code"]) == (503, "unavailable")
    assert client.sent[0]["headers"].count((b"retry-after", b"1")) == 1
    gateway.held_bytes = 0
    client = ask(gateway, scope(content_length=str(len(EVENT))), Client(EVENT))
    assert (client.status, gateway.held_bytes) == (202, 0)


def test_keeping_a_body_holds_nobody_up(
    gateway: Gateway, services: FakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While Redis keeps many events others are answered; the body counts until it is answered."""
    begun, kept = threading.Event(), threading.Event()
    accept = services.events.accept

    def accept_slowly(*asked: Any) -> Any:
        begun.set()
        assert kept.wait(10)
        return accept(*asked)

    monkeypatch.setattr(services.events, "accept", accept_slowly)
    body = b"[" + EVENT + b"]"

    async def both() -> tuple[Client, Client]:
        sender, other = Client(body), Client()
        sending = asyncio.create_task(
            gateway(scope(content_length=str(len(body))), sender.receive, sender.send)
        )
        assert await asyncio.to_thread(begun.wait, 10)
        live = {**scope("/v1/health/live"), "method": "GET"}
        await gateway(live, other.receive, other.send)
        assert (sender.sent, gateway.held_bytes) == ([], len(body))
        kept.set()
        await sending
        return sender, other

    sender, other = asyncio.run(both())
    assert (other.status, sender.status, sender.answer["accepted"]) == (200, 202, 1)
    assert gateway.held_bytes == 0


@pytest.mark.parametrize(("method", "threads"), [("POST", {"writer_0"}), ("GET", {"MainThread"})])
def test_only_what_writes_is_answered_beside(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, method: str, threads: set[str]
) -> None:
    """A body alone does not take a request to a thread: what reads computes with the one model."""
    seen: set[str] = set()
    answer = gateway._answer

    def noted(environ: dict[str, Any]) -> Any:
        seen.add(threading.current_thread().name)
        return answer(environ)

    monkeypatch.setattr(gateway, "_answer", noted)
    body = b"[" + EVENT + b"]"
    ask(gateway, {**scope(content_length=str(len(body))), "method": method}, Client(body))
    assert seen == threads


def test_a_field_with_an_underscore_passes_for_nothing() -> None:
    """Two names must not become one: the field that is not ours is left out."""
    request = scope()
    request["headers"] += [(b"x_request_id", b"forged"), (b"x-request-id", b"sent")]
    assert environ_of(request)["HTTP_X_REQUEST_ID"] == "sent"
