"""A list's short way past Flask: the busiest request, answered in as few steps as it needs.

Flask takes longer over a list than the model does. What is answered here is what the application
would answer, by the same functions; whatever is unusual about a request, refusals among it, is left
to the application. `tests/unit/api/test_short_way.py` compares the two.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any, TypeAlias

from interest_graph.recommend import Query

from .access import RATE, bearer_token
from .recommendations import recommended
from .request_context import SECURITY_HEADERS, measure, name_request

if TYPE_CHECKING:
    from .wiring import Wiring

    Headers: TypeAlias = list[tuple[bytes, bytes]]
    Answer: TypeAlias = tuple[int, Headers, bytes]

ROUTE = "/v1/users/<user_id>/recommendations"
_PATH = re.compile(rb"/v1/users/([A-Za-z0-9_.:@-]{1,128})/recommendations")
_QUERY = re.compile(rb"k=([1-9][0-9]{0,2})")
_WITH_BODY = frozenset({b"content-length", b"transfer-encoding", b"expect"})
_LONGEST = 200
_OK = 200
_ALWAYS = [
    (b"content-type", b"application/json"),
    *((name.lower().encode(), value.encode()) for name, value in SECURITY_HEADERS.items()),
]
_PLAIN = Query()


class ShortWay:
    """Answers plain requests for a user's list.

    Args:
        wiring: What the application holds.
    """

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring

    def answer(self, scope: dict[str, Any]) -> Answer | None:
        """The answer to an ASGI request; None: ask the application."""
        if scope["method"] != "GET":
            return None
        path = _PATH.fullmatch(scope.get("raw_path") or scope["path"].encode())
        asked = _query(scope["query_string"])
        if path is None or asked is None:
            return None
        headers = dict(scope["headers"])
        if len(headers) < len(scope["headers"]) or not headers.keys().isdisjoint(_WITH_BODY):
            return None
        return self._list(scope, path[1].decode(), asked, headers)

    def _list(
        self, scope: dict[str, Any], user_id: str, asked: Query, headers: dict[bytes, bytes]
    ) -> Answer | None:
        """The list, for a key that may read it."""
        started = time.perf_counter()
        wiring = self._wiring
        try:
            sent, parent = headers.get(b"x-request-id", b""), headers.get(b"traceparent", b"")
            request_id = name_request(sent.decode("latin-1"), parent.decode("latin-1"))
            token = bearer_token(headers.get(b"authorization", b"").decode("latin-1"))
            key = wiring.keys.recall(token)
            if key is None or not key.allows("read"):
                return None
            rate = scope[RATE] = wiring.limiter.take(key.key_id, key.rate_limit_per_minute)
            if not rate.allowed:
                return None
            body = recommended(wiring, user_id, asked, wiring.keys.check(token))
        except Exception:  # noqa: BLE001 whatever it is, the application comes upon it and tells it
            return None
        fields = {"x-request-id": request_id, "content-length": str(len(body)), **rate.headers}
        own = [(name.lower().encode(), value.encode("latin-1")) for name, value in fields.items()]
        measure(wiring.metrics, "GET", ROUTE, _OK, started)
        return _OK, _ALWAYS + own, body


def _query(sent: bytes) -> Query | None:
    """What a query string asks for, if it is no more than a length."""
    if not sent:
        return _PLAIN
    found = _QUERY.fullmatch(sent)
    return Query(int(found[1])) if found and int(found[1]) <= _LONGEST else None
