"""Flags in the graph: whose events are flagged, and taking back what was flagged wrongly.

What is cleared counts from then on as if it had just come: in popularity, staleness and training at
once, and in the history when the user is rebuilt from the graph.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from .cleaning import Flag
from .event import Event
from .graph import facts, reads
from .ingest import item_rows, user_rows
from .rebuild import ServingRebuild

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import neo4j

    from .graph.store import GraphStore, Row
    from .services import Services
    from .settings import Settings

PAGE = 500


@dataclass(frozen=True, slots=True)
class FlaggedUser:
    """Flagged events of a user, of one reason.

    Args:
        user_id: The user.
        reason: Why.
        events: How many.
        newest: When the newest was accepted.
    """

    user_id: str
    reason: str
    events: int
    newest: datetime


def flagged_users(graph: GraphStore) -> Iterator[FlaggedUser]:
    """Every user with flagged events, by id; reads the events of all users.

    Raises:
        GraphUnavailableError: Neo4j does not answer.
    """
    after = ""
    while page := graph.read(lambda tx, after=after: reads.list_user_ids(tx, after, PAGE)):  # type: ignore[misc]
        rows = graph.read(lambda tx, page=page: reads.count_flags(tx, page))  # type: ignore[misc]
        for row in rows:
            newest = datetime.fromtimestamp(row["newest_ms"] / 1000, UTC)
            yield FlaggedUser(row["user_id"], row["reason"], row["events"], newest)
        after = page[-1]


def clear_flags(
    user_ids: Iterable[str], services: Services, reasons: Sequence[str] = tuple(Flag)
) -> tuple[int, list[str]]:
    """Let flagged events of users count after all; what waits in the log is not looked at.

    Twice is once, and after an interruption it is repeated for the same users.

    Args:
        user_ids: Of whom.
        services: The graph, and Redis, whose histories follow.
        reasons: Flags of these reasons.

    Returns:
        How many events count now, and users whose history kept changing: repeat it for them.

    Raises:
        TransientError: Neo4j or Redis is away; repeat it.
    """
    settings, ids = services.settings, sorted(set(user_ids))
    rebuild = ServingRebuild(services.graph, services.log, services.events, settings)
    cleared, given_up = 0, []
    for start in range(0, len(ids), PAGE):
        page = ids[start : start + PAGE]
        cleared += services.graph.write(
            lambda tx, page=page: _clear(tx, page, reasons, settings)  # type: ignore[misc]
        )
        given_up += rebuild.users(page).given_up
    return cleared, given_up


def _clear(
    tx: neo4j.ManagedTransaction,
    user_ids: Sequence[str],
    reasons: Sequence[str],
    settings: Settings,
) -> int:
    """Take back flags, and add what the events add to users and items."""
    rows = facts.clear_flags(tx, user_ids, settings.relationships, reasons)
    events = [_event(row, settings) for row in rows]
    facts.touch_users(tx, user_rows(events))
    facts.touch_items(tx, item_rows(events, settings), settings.popularity_half_life_days)
    return len(events)


def _event(row: Row, settings: Settings) -> Event:
    """A fact as an event that comes now."""
    code = settings.relationships.index(row["relationship"])
    return Event(
        event_id=row["event_id"],
        user_id=row["user_id"],
        item_id=row["item_id"],
        event_type=settings.event_type_names[code],
        event_code=code,
        occurred_at_ms=row["occurred_at_ms"],
        recorded_at_ms=int(time.time() * 1000),
        body_hash=row["body_hash"],
    )
