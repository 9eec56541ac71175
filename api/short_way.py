"""The short way of lists past Flask: the busiest request, answered in as few steps as it needs.

Flask takes longer over a list than the model does. What is answered here is what the application
would answer, by the same functions; whatever is unusual about a request, refusals among it, is left
to the application. `tests/unit/api/test_short_way.py` compares the two.

Requests that wait at the same time are answered together: one read of Redis, one of the item matrix
(`Recommender.recommend_each`). Nothing waits for others to come.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import structlog

from interest_graph.errors import InterestGraphError
from interest_graph.recommendation import Asked, Query, Recommendations

from .access import KEY, RATE, bearer_token
from .recommendations import counted_json
from .request_context import SECURITY_HEADERS, measure, name_request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .rate_limit import Rate
    from .wiring import Wiring

    Headers: TypeAlias = list[tuple[bytes, bytes]]
    Answer: TypeAlias = tuple[int, Headers, bytes]

ROUTE = "/v1/users/<user_id>/recommendations"
TOGETHER = 16
"""Lists that are computed at once: scores of as many are in memory."""
_PATH = re.compile(rb"/v1/users/([A-Za-z0-9_.:@-]{1,128})/recommendations")
_QUERY = re.compile(rb"k=([1-9][0-9]{0,2})")
_UNUSUAL = frozenset({b"content-length", b"transfer-encoding", b"expect", b"upgrade"})
_LONGEST = 200
_OK = 200
_ALWAYS = [
    (b"content-type", b"application/json"),
    *((name.lower().encode(), value.encode()) for name, value in SECURITY_HEADERS.items()),
]
_PLAIN = Query()
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Plain:
    """A request that the short way answers.

    Args:
        asked: The list.
        rate: What its key has left.
        headers: Its header fields, by name.
        started: `time.perf_counter()` when it began.
        answer: Where its list is awaited; None leaves it to the application.
    """

    asked: Asked
    rate: Rate
    headers: Mapping[bytes, bytes]
    started: float
    answer: asyncio.Future[Recommendations | None]


class ShortWay:
    """Answers plain requests for a user's list.

    Args:
        wiring: What the application holds.
    """

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring
        self._waiting: list[Plain] = []

    async def answer(self, scope: dict[str, Any]) -> Answer | None:
        """The answer to an ASGI request; None: ask the application."""
        started = time.perf_counter()
        if scope["method"] != "GET":
            return None
        path = _PATH.fullmatch(scope.get("raw_path") or scope["path"].encode())
        query = _query(scope["query_string"])
        if path is None or query is None:
            return None
        headers = dict(scope["headers"])
        if len(headers) < len(scope["headers"]) or not headers.keys().isdisjoint(_UNUSUAL):
            return None
        plain = self._allowed(scope, path[1].decode(), query, headers, started)
        if plain is None:
            return None
        found = await self._list(plain)
        return None if found is None else self._told(plain, found)

    def _allowed(
        self,
        scope: dict[str, Any],
        user_id: str,
        query: Query,
        headers: dict[bytes, bytes],
        started: float,
    ) -> Plain | None:
        """The request, if its key may read lists and has some left."""
        structlog.contextvars.clear_contextvars()
        wiring = self._wiring
        token = bearer_token(headers.get(b"authorization", b"").decode("latin-1"))
        if not token:
            return None
        try:
            key = scope[KEY] = wiring.keys.recall(token)
        except InterestGraphError as error:
            scope[KEY] = error
            return None
        if key is None or not key.allows("read"):
            return None
        rate = scope[RATE] = wiring.limiter.take(key.key_id, key.rate_limit_per_minute)
        if not rate.allowed:
            return None
        asked = Asked(user_id, query, wiring.keys.check(token))
        answer = asyncio.get_running_loop().create_future()
        return Plain(asked, rate, headers, started, answer)

    async def _list(self, plain: Plain) -> Recommendations | None:
        """Its list, computed with all others that wait when the loop comes to it."""
        self._waiting.append(plain)
        if len(self._waiting) == 1:
            asyncio.get_running_loop().call_soon(self._answer_waiting)
        return await plain.answer

    def _answer_waiting(self) -> None:
        """Compute what is waited for longest; between two times others have their turn."""
        together, self._waiting = self._waiting[:TOGETHER], self._waiting[TOGETHER:]
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._answer_waiting)
        structlog.contextvars.clear_contextvars()
        found: list[Recommendations | InterestGraphError] = []
        try:
            found = self._computed([one.asked for one in together])
        except Exception as error:  # noqa: BLE001 the application tries each again by itself
            _log.error("lists_together_failed", lists=len(together), exc_info=error)
        for one, result in itertools.zip_longest(together, found):
            if not one.answer.done():  # by a client that is gone
                one.answer.set_result(result if isinstance(result, Recommendations) else None)

    def _computed(self, asked: list[Asked]) -> list[Recommendations | InterestGraphError]:
        """Some lists at once, measured."""
        began = time.perf_counter()
        found = self._wiring.services.recommender.recommend_each(asked)
        took_s = time.perf_counter() - began
        seconds = self._wiring.metrics.recommend_seconds.labels("user")
        for _ in asked:
            seconds.observe(took_s)
        return found

    def _told(self, plain: Plain, found: Recommendations) -> Answer:
        """The answer, counted and logged."""
        sent, parent = (
            plain.headers.get(name, b"").decode("latin-1")
            for name in (b"x-request-id", b"traceparent")
        )
        request_id = name_request(sent, parent)
        body = counted_json(self._wiring.metrics, found)
        fields = {
            "x-request-id": request_id,
            "content-length": str(len(body)),
            **plain.rate.headers,
        }
        own = [(name.lower().encode(), value.encode("latin-1")) for name, value in fields.items()]
        measure(self._wiring.metrics, "GET", ROUTE, _OK, plain.started)
        return _OK, _ALWAYS + own, body


def _query(sent: bytes) -> Query | None:
    """What a query string asks for, if it is no more than a length."""
    if not sent:
        return _PLAIN
    found = _QUERY.fullmatch(sent)
    return Query(int(found[1])) if found and int(found[1]) <= _LONGEST else None
