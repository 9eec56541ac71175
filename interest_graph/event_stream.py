"""The log: accepted events that are not in the graph yet.

`EventStream` accepts events (all of a request or none), and hands entries to the ingest worker,
which acknowledges them after Neo4j's commit.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any, cast

import redis

from . import redis_client as keys
from .cleaning import is_live
from .errors import Fault, StreamFullError, StreamUnavailableError
from .history import pack
from .redis_client import script, translated

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .event import Event
    from .settings import Settings

RETRY_AFTER_S = 5


class Status(IntEnum):
    """What the accept script says of an event."""

    ACCEPTED = 0
    DUPLICATE = 1
    CONFLICT = 2
    DELETED_USER = 3
    BEFORE_CREATED_AGAIN = 4


REASONS = {
    Status.CONFLICT: Fault("event_id", "was sent before with another body", "/event_id"),
    Status.DELETED_USER: Fault("user_id", "this user was deleted", "/user_id"),
    Status.BEFORE_CREATED_AGAIN: Fault(
        "occurred_at", "this user was deleted and created again later", "/occurred_at"
    ),
}


@dataclass(frozen=True, slots=True)
class Accepted:
    """The outcome of one request.

    Args:
        event_ids: Id of every event of the request, in order, accepted or not.
        statuses: What became of each.
        history_revision: Every later list of these users carries at least this revision.
        flags: Why each was flagged; "" for those that were not, or were not accepted.
    """

    event_ids: tuple[str, ...]
    statuses: tuple[Status, ...]
    history_revision: int
    flags: tuple[str, ...] = ()

    @property
    def accepted(self) -> int:
        """Events accepted for the first time."""
        return self.statuses.count(Status.ACCEPTED)

    @property
    def duplicates(self) -> int:
        """Events that had been accepted before with the same body."""
        return self.statuses.count(Status.DUPLICATE)

    @property
    def rejected(self) -> list[tuple[int, Fault]]:
        """Index and fault of every event that was not accepted."""
        return [(i, REASONS[status]) for i, status in enumerate(self.statuses) if status in REASONS]

    @property
    def flagged(self) -> list[tuple[int, str]]:
        """Index and reason of every event that was accepted and flagged."""
        return [(i, reason) for i, reason in enumerate(self.flags) if reason]


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the log.

    Args:
        entry_id: The stream's id of it.
        kind: event, item, user, delete_item or delete_user.
        payload: JSON, or the id for a deletion.
        revision: Catalogue revision of items and users; 0 for events.
        deliveries: How often it has been handed out.
        since_ms: Of a user who was deleted and created again, when; 0 for all others.
        replayed: Whether it was a dead letter before.
    """

    entry_id: str
    kind: str
    payload: bytes
    revision: int = 0
    deliveries: int = field(default=1, compare=False)
    since_ms: int = 0
    replayed: bool = False


class EventStream:
    """The log in Redis, with the histories that are written in the same script."""

    def __init__(self, client: redis.Redis, settings: Settings) -> None:
        self._client = client
        self._settings = settings
        self._accept = script(client, "accept_events")
        self._bury = script(client, "bury")

    def accept(self, events: Sequence[Event]) -> Accepted:
        """Accept events: duplicate check, log, histories and seen items in one atomic step.

        Raises:
            StreamFullError: The log is at its bound; nothing was accepted.
            StreamUnavailableError: Redis does not answer; sending again is safe.
        """
        if not events:
            return Accepted((), (), 0)
        settings = self._settings
        seen_codes = {settings.event_type_names.index(name) for name in settings.seen_event_types}
        names: list[str] = [keys.LOG, keys.HISTORY_REVISION]
        arguments: list[Any] = [
            settings.max_log_entries,
            settings.duplicate_window_s,
            settings.history_events,
            settings.seen_items,
            settings.bot_events,
            settings.burst_events,
            settings.burst_window_s,
            settings.repeat_events,
            settings.repeat_window_s * 1000,
        ]
        for event in events:
            names += [
                keys.event_key(event.event_id),
                keys.user_key(event.user_id),
                keys.seen_key(event.user_id),
            ]
            code = event.event_code
            member = keys.seen_member(event.item_id, code) if code in seen_codes else ""
            state = "flagged" if event.flagged else "live" if is_live(event, settings) else ""
            packed = pack([event.history_event])
            arguments += [event.to_json(), event.body_hash, packed, member, state]
        with translated(StreamUnavailableError, "the event log"):
            answer = self._accept(keys=names, args=arguments)
        if answer == b"FULL":
            raise StreamFullError(RETRY_AFTER_S)
        revision, found, flags = answer
        statuses = tuple(Status(status) for status in found)
        return Accepted(
            tuple(event.event_id for event in events),
            statuses,
            int(revision),
            _flags(events, statuses, flags),
        )

    def length(self) -> int:
        """Entries that are not in the graph yet."""
        with translated(StreamUnavailableError, "the event log"):
            return int(self._client.xlen(keys.LOG))

    def entries(self, page: int = 1000) -> Iterator[Entry]:
        """Every entry that is not in the graph yet, oldest first; nothing is handed out."""
        start = "-"
        while True:
            with translated(StreamUnavailableError, "the event log"):
                rows = cast("list[Any]", self._client.xrange(keys.LOG, min=start, count=page))
            yield from (_entry(row) for row in rows)
            if len(rows) < page:
                return
            start = f"({rows[-1][0].decode()}"

    def ensure_group(self) -> None:
        """Create the consumer group unless it is there."""
        try:
            with translated(StreamUnavailableError, "the event log"):
                self._client.xgroup_create(keys.LOG, keys.GROUP, id="0", mkstream=True)
        except redis.ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    def read(self, consumer: str, count: int, block_ms: int) -> list[Entry]:
        """New entries for this consumer, oldest first; waits at most `block_ms`."""
        with translated(StreamUnavailableError, "the event log"):
            answer = self._client.xreadgroup(
                keys.GROUP, consumer, {keys.LOG: ">"}, count=count, block=block_ms
            )
        streams = cast("Any", answer) or []
        pairs = streams.values() if isinstance(streams, dict) else [rows for _, rows in streams]
        return [_entry(row) for rows in pairs for row in _flat(rows)]

    def reclaim(self, consumer: str, count: int, idle_ms: int) -> list[Entry]:
        """Take over entries that a consumer was handed and has not acknowledged in `idle_ms`."""
        with translated(StreamUnavailableError, "the event log"):
            pending = cast(
                "list[dict[str, Any]]",
                self._client.xpending_range(
                    keys.LOG, keys.GROUP, min="-", max="+", count=count, idle=idle_ms
                ),
            )
            if not pending:
                return []
            deliveries = {row["message_id"]: row["times_delivered"] + 1 for row in pending}
            claimed = cast(
                "Any",
                self._client.xclaim(keys.LOG, keys.GROUP, consumer, idle_ms, list(deliveries)),
            )
        return [_entry(row, deliveries[row[0]]) for row in claimed if row[1]]

    def acknowledge(self, entries: Sequence[Entry]) -> None:
        """Remove entries whose effect is committed in the graph."""
        if not entries:
            return
        ids = [entry.entry_id for entry in entries]
        with translated(StreamUnavailableError, "the event log"):
            pipeline = self._client.pipeline(transaction=True)
            pipeline.xack(keys.LOG, keys.GROUP, *ids)
            pipeline.xdel(keys.LOG, *ids)
            pipeline.execute()

    def bury(self, entry: Entry, reason: str) -> bool:
        """Move an entry to the dead letters with its reason, in one step; twice is once.

        Returns:
            Whether there was room; otherwise it stays in the log, where it was.
        """
        with translated(StreamUnavailableError, "the event log"):
            buried = self._bury(
                keys=[keys.LOG, keys.DEAD_LETTERS],
                args=[
                    keys.GROUP,
                    entry.entry_id,
                    self._settings.max_dead_letters,
                    entry.kind,
                    entry.payload,
                    entry.revision,
                    reason[:500],
                    entry.since_ms,
                ],
            )
        return bool(buried)

    def dead_letters(self) -> int:
        """Entries that could not be brought into the graph."""
        with translated(StreamUnavailableError, "the event log"):
            return int(self._client.xlen(keys.DEAD_LETTERS))


def _flags(
    events: Sequence[Event], statuses: Sequence[Status], found: Sequence[bytes]
) -> tuple[str, ...]:
    """The flag of each event that was accepted: its own, or what the script found."""
    if not found:
        return ("",) * len(events)
    return tuple(
        (event.flagged or flag.decode()) if status is Status.ACCEPTED else ""
        for event, status, flag in zip(events, statuses, found, strict=True)
    )


def _flat(rows: Any) -> list[Any]:
    """Rows of a stream, whatever protocol the client speaks."""
    return (
        rows[0]
        if rows and isinstance(rows[0], list) and rows[0] and isinstance(rows[0][0], list | tuple)
        else rows
    )


def _entry(row: Any, deliveries: int = 1) -> Entry:
    """Read one row of the stream."""
    entry_id, fields = row
    return Entry(
        entry_id.decode(),
        fields[b"kind"].decode(),
        fields[b"payload"],
        int(fields.get(b"revision", 0)),
        deliveries,
        int(fields.get(b"since", 0)),
        b"replayed" in fields,
    )
