"""The short way of single events past Flask: what a shop sends with every click.

Flask, its extensions and a round trip for the key take longer over an event than the log does. What
is answered here is what the application would answer, by the same functions; whatever is unusual
about a request, refusals among it, is left to the application.
`tests/unit/api/test_events_short_way.py` compares the two.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import orjson

from interest_graph.accepted import Status
from interest_graph.api_key import ApiKey
from interest_graph.errors import InterestGraphError, InvalidEventError, RevokedKeyError
from interest_graph.event import parse_event

from .access import KEY
from .body import MAX_BODY_BYTES
from .events import REFUSED, count_events, outcome
from .plain_request import plain_request, told

if TYPE_CHECKING:
    from interest_graph.accepted import Accepted
    from interest_graph.event import Event

    from .plain_request import Answer, PlainRequest
    from .wiring import Wiring

ROUTE = "/v1/events"
_PATH = ROUTE.encode()
_UNUSUAL = frozenset(
    {b"content-encoding", b"expect", b"idempotency-key", b"transfer-encoding", b"upgrade"}
)
_COUNTED = (Status.ACCEPTED, Status.DUPLICATE)
_ACCEPTED = 202


class EventsShortWay:
    """Answers plain requests that send one event.

    Args:
        wiring: What the application holds.
    """

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring

    def answer(self, scope: dict[str, Any], body: bytes) -> Answer | None:
        """The answer to an ASGI request with its body; None: ask the application."""
        started = time.perf_counter()
        if not _is_plain(scope, body):
            return None
        plain = plain_request(scope, "events:write", self._wiring, started)
        found = None if plain is None else self._accepted(scope, plain, body)
        if found is None and REFUSED not in scope and isinstance(scope.get(KEY), ApiKey):
            # It was recalled, and nothing has confirmed it: the application reads it.
            del scope[KEY]
        return found

    def _accepted(self, scope: dict[str, Any], plain: PlainRequest, body: bytes) -> Answer | None:
        """The answer, if the event is in the log now."""
        settings = self._wiring.settings
        try:
            event = parse_event(orjson.loads(body), settings)
        except (orjson.JSONDecodeError, InvalidEventError):
            return None
        try:
            accepted = self._wiring.services.events.accept([event], plain.key)
        except RevokedKeyError:
            return None
        except InterestGraphError as error:
            # The application must not try by itself: the log may have the event, by this id.
            scope[REFUSED] = error
            return None
        if accepted.statuses[0] not in _COUNTED:
            return None
        return self._told(plain, event, accepted)

    def _told(self, plain: PlainRequest, event: Event, accepted: Accepted) -> Answer:
        """The answer, counted and logged."""
        parsed = [(0, event)]
        count_events(self._wiring.metrics, accepted, parsed, ())
        durability = self._wiring.settings.durability
        said = outcome(1, accepted, parsed, (), durability).model_dump_json(
            by_alias=True, exclude_unset=True
        )
        return told(plain, self._wiring, "POST", ROUTE, _ACCEPTED, said.encode())


def _is_plain(scope: dict[str, Any], body: bytes) -> bool:
    """Whether a request sends one JSON object as an event, and says nothing else."""
    if scope["method"] != "POST" or (scope.get("raw_path") or scope["path"].encode()) != _PATH:
        return False
    if scope["query_string"] or not body.startswith(b"{") or len(body) > MAX_BODY_BYTES:
        return False
    headers = dict(scope["headers"])
    return headers.get(b"content-type") == b"application/json" and headers.keys().isdisjoint(
        _UNUSUAL
    )
