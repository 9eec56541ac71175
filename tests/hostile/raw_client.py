"""HTTP as bytes: what no client library would send, and what it takes care to hide."""

from __future__ import annotations

import contextlib
import json
import socket
from dataclasses import dataclass
from typing import Any

PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """An answer as it came.

    Args:
        status: 0 when the connection ended without an answer.
        headers: Names in lower case.
        body: As many bytes as the answer said.
    """

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def problem(self) -> dict[str, Any]:
        """The problem document."""
        assert self.headers["content-type"] == "application/problem+json", self
        found: dict[str, Any] = json.loads(self.body)
        return found


def connect(port: int) -> socket.socket:
    """A connection to an API process."""
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)


def head(method: str, path: str, key: str = "", **fields: str) -> bytes:
    """The header of a request; `_` in a field's name stands for `-`."""
    lines = [f"{method} {path} HTTP/1.1", "Host: shop"]
    if key:
        lines.append(f"Authorization: Bearer {key}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def post(path: str, key: str, body: bytes, **fields: str) -> bytes:
    """A POST with its body and the right length."""
    fields.setdefault("Content_Type", "application/json")
    fields.setdefault("Content_Length", str(len(body)))
    return head("POST", path, key, **fields) + body


def send(port: int, raw: bytes) -> RawAnswer:
    """Send bytes on a connection of their own and read one answer."""
    with connect(port) as connection:
        # It may be refused before it is all there; the answer has come all the same.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(raw)
        return receive(connection, empty=raw.startswith(b"HEAD "))


def receive(connection: socket.socket, *, empty: bool = False) -> RawAnswer:
    """Read one answer; `empty` if it has no body whatever length it states."""
    received = b""
    try:
        while b"\r\n\r\n" not in received:
            part = connection.recv(65536)
            if not part:
                return RawAnswer(0, {}, received)
            received += part
        top, _, body = received.partition(b"\r\n\r\n")
        first, *lines = top.decode("latin-1").split("\r\n")
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
        length = 0 if empty else int(headers.get("content-length", "0"))
        while len(body) < length:
            part = connection.recv(65536)
            if not part:
                break
            body += part
    except ConnectionResetError:
        return RawAnswer(0, {}, received)
    return RawAnswer(int(first.split(" ")[1]), headers, body)
