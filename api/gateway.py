"""What stands between the network and the application: it waits for bodies, within bounds.

`python -m api --interface asginl --factory api.gateway:create_gateway` serves it. A WSGI server
hands a request over when its header is there, and the application then waits for the body: one
client that sends a byte a second would hold a whole process. Here a request is handed over when its
body is there. What reads is answered at once, one at a time: the work is computing, not waiting.
What writes is answered by a thread beside: Redis takes milliseconds to keep many events, and
meanwhile the next are parsed and lists answered. Plain requests go past the application: for lists,
several at a time (`short_way.py`), and with single events (`events_short_way.py`).
"""

from __future__ import annotations

import asyncio
import io
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import unquote_to_bytes

from interest_graph.errors import InterestGraphError
from interest_graph.garbage import spare_what_stays

from .access import KEY, RATE, bearer_token
from .app import create_app
from .body import BODY_FAULT, MAX_BODY_BYTES, BodyFault
from .events import REFUSED
from .events_short_way import EventsShortWay
from .short_way import ShortWay
from .wiring import wiring_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from flask import Flask

    Message: TypeAlias = dict[str, Any]
    Receive: TypeAlias = Callable[[], Awaitable[Message]]
    Send: TypeAlias = Callable[[Message], Awaitable[None]]
    Headers: TypeAlias = list[tuple[bytes, bytes]]

MAX_BYTES_HELD = 64 * 1024 * 1024
"""Bytes of bodies without an answer that a process holds: beyond it one is refused with a 503."""
WRITERS = 2
"""Writes that a process handles at a time: one is parsed while Redis keeps what another brought."""
READS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods whose views compute with a model, which is the loop's alone."""
SWITCH_S = 0.001
"""For as long a thread may compute while the one that answers lists is waiting."""


class ClientGoneError(Exception):
    """The client went away, or its body is not HTTP: nobody waits for an answer."""


class _Held:
    """Bytes of one body, from when they were received until it is answered."""

    __slots__ = ("_gateway", "_size")

    def __init__(self, gateway: Gateway) -> None:
        self._gateway, self._size = gateway, 0

    def take(self, size: int) -> None:
        """Count more of it.

        Raises:
            BufferError: All bodies of the process together would be too much.
        """
        if self._gateway.held_bytes + size > MAX_BYTES_HELD:
            raise BufferError
        self._size += size
        self._gateway.held_bytes += size

    def release(self) -> None:
        """It is answered, or nobody waits for that."""
        self._gateway.held_bytes -= self._size
        self._size = 0


class Gateway:
    """An ASGI application in front of a Flask one.

    Args:
        app: What answers.
        timeout_s: Seconds in which a whole body must arrive.
    """

    def __init__(self, app: Flask, timeout_s: float) -> None:
        self._app = app
        self._keys = wiring_of(app.extensions).keys
        self._short_way = ShortWay(wiring_of(app.extensions))
        self._events_short_way = EventsShortWay(wiring_of(app.extensions))
        self._writers = ThreadPoolExecutor(WRITERS, "writer")
        self._timeout_s = timeout_s
        self.held_bytes = 0

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if (found := await self._short_way.answer(scope)) is not None:
            await _send(send, *found)
            return
        held = _Held(self)
        try:
            await _send(send, *await self._answer_with_body(scope, receive, held))
        except ClientGoneError:
            return
        finally:
            held.release()

    async def _answer_with_body(
        self, scope: Message, receive: Receive, held: _Held
    ) -> tuple[int, Headers, bytes]:
        """Wait for the body, if one comes, then answer."""
        environ = environ_of(scope)
        body = b""
        try:
            if self._expects_body(environ):
                body = await asyncio.wait_for(self._body(receive, held), self._timeout_s)
        except TimeoutError:
            environ[BODY_FAULT] = BodyFault.LATE
        except BufferError:
            environ[BODY_FAULT] = BodyFault.BUSY
        if (found := self._events_short_way.answer(scope, body)) is not None:
            return found
        environ |= {name: scope[name] for name in (KEY, RATE, REFUSED) if name in scope}
        if "HTTP_TRANSFER_ENCODING" in environ:
            environ["CONTENT_LENGTH"] = str(len(body))
        environ["wsgi.input"] = io.BytesIO(body)
        if not body or environ["REQUEST_METHOD"] in READS:
            return self._answer(environ)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._writers, self._answer, environ)

    def _expects_body(self, environ: dict[str, Any]) -> bool:
        """Whether a body comes, and from somebody whose body is worth waiting for."""
        length = environ.get("CONTENT_LENGTH", "0")
        chunked = "HTTP_TRANSFER_ENCODING" in environ
        if not chunked and (not length.isascii() or not length.isdigit() or int(length) == 0):
            return False
        if not chunked and int(length) > MAX_BODY_BYTES + 1:
            return False  # refused by its length alone
        return self._knows(environ.get("HTTP_AUTHORIZATION", ""))

    def _knows(self, authorization: str) -> bool:
        """Whether the key exists; a stranger is refused without reading what they send."""
        try:
            return self._keys.recall(bearer_token(authorization)) is not None
        except InterestGraphError:
            return False

    async def _body(self, receive: Receive, held: _Held) -> bytes:
        """The body, cut one byte beyond what is accepted.

        Raises:
            BufferError: The process holds too much already.
            ClientGoneError: The connection ended before the body.
        """
        body = bytearray()
        while len(body) <= MAX_BODY_BYTES:
            message = await receive()
            if message["type"] != "http.request":
                raise ClientGoneError
            part = message.get("body", b"")
            held.take(len(part))
            body += part
            if not message.get("more_body"):
                break
        return bytes(body[: MAX_BODY_BYTES + 1])

    def _answer(self, environ: dict[str, Any]) -> tuple[int, Headers, bytes]:
        """Call the application."""
        status, fields = 500, []

        def start(line: str, headers: list[tuple[str, str]], _error: object = None) -> None:
            nonlocal status, fields
            status, fields = int(line.split(" ", 1)[0]), headers

        parts = self._app.wsgi_app(environ, start)  # type: ignore[arg-type] # Flask's own type of it
        try:
            body = b"".join(parts)
        finally:
            if close := getattr(parts, "close", None):
                close()
        return status, [(k.lower().encode("latin-1"), v.encode("latin-1")) for k, v in fields], body


def environ_of(scope: Message) -> dict[str, Any]:
    """The WSGI environment of an ASGI request, without its body.

    A header field whose name holds an underscore is left out: it would pass for one with a dash.
    """
    path = scope.get("raw_path") or scope["path"].encode()
    host, port = scope.get("server") or ("", 0)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": host,
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": (scope.get("client") or ("",))[0],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
    }
    for name, value in scope["headers"]:
        field = name.decode("latin-1")
        if "_" not in field:
            _add_field(environ, field.upper().replace("-", "_"), value.decode("latin-1"))
    return environ


def _add_field(environ: dict[str, Any], name: str, value: str) -> None:
    """Add a header field; one that comes twice is joined, as RFC 9110 has it."""
    key = name if name in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{name}"
    environ[key] = f"{environ[key]},{value}" if key in environ else value


async def _send(send: Send, status: int, headers: Headers, body: bytes) -> None:
    """Send an answer."""
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def create_gateway() -> Gateway:
    """Make the application of a process, behind its gateway.

    Raises:
        SettingsError: The settings are wrong.
    """
    sys.setswitchinterval(SWITCH_S)
    app = create_app()
    spare_what_stays()
    return Gateway(app, wiring_of(app.extensions).settings.body_timeout_s)
