"""The short way of lists past Flask: the busiest request, answered in as few steps as it needs.

Flask takes longer over a list than the model does. What is answered here is what the application
would answer, by the same functions; whatever is unusual about a request, refusals among it, is left
to the application. `tests/unit/api/test_short_way.py` compares the two.

Requests that wait at the same time are answered together: one read of Redis, one of the item matrix
(`Recommender.recommend_each`). One of four takes half as long as one alone, so that others are
waited for where cores are scarce: after lists a process rests from them for `REST` times as long as
they took, but for `LONGEST_REST_S` at most, and not when everybody who lately asked is waiting
already. Who asks alone never waits for anybody
(ADR [0024](../docs/adr/0024-lists-wait-for-others.md) and
[0030](../docs/adr/0030-lists-wait-where-cores-are-scarce.md)).
"""

from __future__ import annotations

import asyncio
import itertools
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

from interest_graph.recommendation import Asked, Query, Recommendations

from .callers import Callers
from .cores import CoreWatch
from .plain_request import plain_request, told
from .recommendations import counted_json

if TYPE_CHECKING:
    from interest_graph.errors import InterestGraphError

    from .plain_request import Answer
    from .wiring import Wiring

ROUTE = "/v1/users/<user_id>/recommendations"
TOGETHER = 16
"""Lists that are computed at once: scores of as many are in memory."""
REST = 4.0
LONGEST_REST_S = 0.008
_PATH = re.compile(rb"/v1/users/([A-Za-z0-9_.:@-]{1,128})/recommendations")
_QUERY = re.compile(rb"k=([1-9][0-9]{0,2})")
_UNUSUAL = frozenset({b"content-length", b"transfer-encoding", b"expect", b"upgrade"})
_LONGEST = 200
_OK = 200
_PLAIN = Query()
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request for a list that waits for it.

    Args:
        asked: The list.
        answer: Where it is awaited; None leaves it to the application.
    """

    asked: Asked
    answer: asyncio.Future[Recommendations | None]


class ShortWay:
    """Answers plain requests for a user's list.

    Args:
        wiring: What the application holds.
    """

    def __init__(self, wiring: Wiring) -> None:
        self._wiring, self._callers = wiring, Callers()
        self._waiting: list[Waiting] = []
        self._cores = CoreWatch()
        self._planned: asyncio.Handle | None = None
        self._planned_at = self._rest_until = 0.0

    async def answer(self, scope: dict[str, Any]) -> Answer | None:
        """The answer to an ASGI request; None: ask the application."""
        started = time.perf_counter()
        if scope["method"] != "GET":
            return None
        path = _PATH.fullmatch(scope.get("raw_path") or scope["path"].encode())
        query = _query(scope["query_string"])
        if path is None or query is None:
            return None
        if not _UNUSUAL.isdisjoint(name for name, _ in scope["headers"]):
            return None
        plain = plain_request(scope, "read", self._wiring, started)
        if plain is None:
            return None
        found = await self._list(Asked(path[1].decode(), query, plain.key), scope.get("client"))
        if found is None:
            return None
        body = counted_json(self._wiring.metrics, found)
        return told(plain, self._wiring, "GET", ROUTE, _OK, body)

    async def _list(self, asked: Asked, caller: object) -> Recommendations | None:
        """A list, computed with all others that wait when its turn comes."""
        loop = asyncio.get_running_loop()
        waiting = Waiting(asked, loop.create_future())
        self._waiting.append(waiting)
        self._callers.ask(caller, loop.time())
        self._plan(loop)
        return await waiting.answer

    def _plan(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have those who wait answered after the rest, or at once if no others may come."""
        now = loop.time()
        all_here = len(self._waiting) >= min(TOGETHER, self._callers.count(now))
        at = now if all_here else max(now, self._rest_until)
        if self._planned:
            if self._planned_at <= at:
                return
            self._planned.cancel()
        self._planned_at = at
        if at > now:
            self._planned = loop.call_at(at, self._answer_waiting)
        else:
            self._planned = loop.call_soon(self._answer_waiting)

    def _answer_waiting(self) -> None:
        """Compute what is waited for longest; between two times others have their turn."""
        loop = asyncio.get_running_loop()
        self._planned, began = None, loop.time()
        together, self._waiting = self._waiting[:TOGETHER], self._waiting[TOGETHER:]
        structlog.contextvars.clear_contextvars()
        found: list[Recommendations | InterestGraphError] = []
        try:
            found = self._computed([one.asked for one in together])
        except Exception as error:  # noqa: BLE001 the application tries each again by itself
            _log.error("lists_together_failed", lists=len(together), exc_info=error)
        for one, result in itertools.zip_longest(together, found):
            if not one.answer.done():  # by a client that is gone
                one.answer.set_result(result if isinstance(result, Recommendations) else None)
        ended = loop.time()
        rest_s = min(REST * (ended - began), LONGEST_REST_S) if self._cores.scarce(ended) else 0.0
        self._rest_until = ended + rest_s
        if self._waiting:
            self._plan(loop)

    def _computed(self, asked: list[Asked]) -> list[Recommendations | InterestGraphError]:
        """Some lists at once, measured."""
        began = time.perf_counter()
        found = self._wiring.services.recommender.recommend_each(asked)
        took_s = time.perf_counter() - began
        seconds = self._wiring.metrics.recommend_seconds.labels("user")
        for _ in asked:
            seconds.observe(took_s)
        return found


def _query(sent: bytes) -> Query | None:
    """What a query string asks for, if it is no more than a length."""
    if not sent:
        return _PLAIN
    found = _QUERY.fullmatch(sent)
    return Query(int(found[1])) if found and int(found[1]) <= _LONGEST else None
