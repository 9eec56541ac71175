"""Requests that are answered past Flask: who may send them, and how their answers look.

What a request must be to go past Flask is said by its short way; who it is of, what its key has
left, and what stands around its answer, by this module, with the application's own functions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import structlog

from interest_graph.errors import InterestGraphError

from .access import KEY, RATE, bearer_token
from .request_context import SECURITY_HEADERS, measure, name_request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from interest_graph.api_key import KeyCheck, Scope

    from .rate_limit import Rate
    from .wiring import Wiring

    Headers: TypeAlias = list[tuple[bytes, bytes]]
    Answer: TypeAlias = tuple[int, Headers, bytes]

_ALWAYS = [
    (b"content-type", b"application/json"),
    *((name.lower().encode(), value.encode()) for name, value in SECURITY_HEADERS.items()),
]


@dataclass(frozen=True, slots=True)
class PlainRequest:
    """A request whose key may do what it asks for and has some of its limit left.

    Args:
        key: Confirms the key, which was recalled, in the round trip of what is asked for.
        rate: What the key has left.
        headers: Its header fields, by name.
        started: `time.perf_counter()` when it began.
    """

    key: KeyCheck
    rate: Rate
    headers: Mapping[bytes, bytes]
    started: float


def plain_request(
    scope: dict[str, Any], needed: Scope, wiring: Wiring, started: float
) -> PlainRequest | None:
    """The request of an ASGI scope, with a permit of its limit taken; None: ask the application.

    What was found of key and limit is left in the scope, so that the application does not ask for
    it again.
    """
    headers = dict(scope["headers"])
    token = bearer_token(headers.get(b"authorization", b"").decode("latin-1"))
    if not token or len(headers) < len(scope["headers"]):
        return None
    structlog.contextvars.clear_contextvars()
    try:
        key = scope[KEY] = wiring.keys.recall(token)
    except InterestGraphError as error:
        scope[KEY] = error
        return None
    if key is None or not key.allows(needed):
        return None
    rate = scope[RATE] = wiring.limiter.take(key.key_id, key.rate_limit_per_minute)
    if not rate.allowed:
        return None
    return PlainRequest(wiring.keys.check(token), rate, headers, started)


def told(
    plain: PlainRequest, wiring: Wiring, method: str, route: str, status: int, body: bytes
) -> Answer:
    """An answer with all that stands around it, counted and logged."""
    sent, parent = (
        plain.headers.get(name, b"").decode("latin-1") for name in (b"x-request-id", b"traceparent")
    )
    request_id = name_request(sent, parent)
    fields = {
        "x-request-id": request_id,
        "content-length": str(len(body)),
        **plain.rate.headers,
    }
    own = [(name.lower().encode(), value.encode("latin-1")) for name, value in fields.items()]
    measure(wiring.metrics, method, route, status, plain.started)
    return status, _ALWAYS + own, body
