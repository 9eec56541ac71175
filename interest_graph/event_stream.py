"""The log: accepted events that are not in the graph yet, in partitions.

`EventStream` accepts events (all of a request or none), and gives entries to the ingest workers,
which acknowledge them after Neo4j's commit. Reading changes nothing: an entry is in its partition
until it is acknowledged or buried, and only the partition's owner may do that.
"""

from __future__ import annotations

import secrets
from collections import defaultdict
from itertools import groupby
from typing import TYPE_CHECKING, Any, cast

from . import redis_client as keys
from .accepted import Accepted, Status
from .cleaning import is_live
from .entry import Entry, entry_of
from .errors import (
    LeaseLostError,
    RevokedKeyError,
    SettingsError,
    StreamFullError,
    StreamUnavailableError,
)
from .history import pack_event
from .lease import Lease, read_leases
from .partition import partition_of, user_of
from .redis_client import call, script, stream_rows, translated

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    import redis

    from .api_key import KeyCheck
    from .event import Event
    from .settings import Settings

RETRY_AFTER_S = 5


def refused(answer: object, settings: Settings) -> None:
    """See whether a script that appends to the log refused to.

    Raises:
        StreamFullError: The log is at its bound.
        StreamUnavailableError: The log has another number of partitions.
    """
    if answer == b"FULL":
        raise StreamFullError(RETRY_AFTER_S)
    if answer == b"PARTITIONS":
        msg = f"the log has not {settings.log_partitions} partitions, as the settings say"
        raise StreamUnavailableError(msg)


class EventStream:
    """The log in Redis, with the histories that are written in the same script."""

    def __init__(self, client: redis.Redis, settings: Settings) -> None:
        self._client = client
        self._settings = settings
        self._accept = script(client, "accept_events", on_log=True)
        self._settle = script(client, "settle_partitions", on_log=True)
        self._acknowledge = script(client, "acknowledge")
        self._bury = script(client, "bury")

    def accept(self, events: Sequence[Event], key: KeyCheck | None = None) -> Accepted:
        """Accept events: duplicate check, log, histories and seen items in one atomic step.

        Args:
            events: Of one request.
            key: The key that sent them, if it was recalled and not read: nothing is accepted unless
                its record is what it was, which is seen in the same step.

        Raises:
            StreamFullError: The log is at its bound; nothing was accepted.
            StreamUnavailableError: Redis does not answer; sending again is safe.
            RevokedKeyError: The record is another, or gone; nothing was accepted.
        """
        if not events:
            return Accepted((), (), 0)
        record = key.record if key else b""
        asked = self._asked(events, *(key.field if key else (keys.LEASES, "")), record)
        with translated(StreamUnavailableError, "the event log"):
            if key is None:
                answer = self._accept(*asked)
            else:
                answer = call(self._accept, *asked) if record else b"CHANGED"
        refused(answer, self._settings)
        if answer == b"CHANGED":
            msg = "the key was changed or revoked"
            raise RevokedKeyError(msg)
        revision, found, flags = answer
        statuses = tuple(Status(status) for status in found)
        return Accepted(
            tuple(event.event_id for event in events),
            statuses,
            int(revision),
            _flags(events, statuses, flags),
        )

    def _asked(
        self, events: Sequence[Event], name: str, field: str, held: bytes
    ) -> tuple[list[str], list[Any]]:
        """Keys and arguments of the script, for as long as a field of a hash holds something."""
        settings = self._settings
        seen_codes = {settings.event_type_names.index(name) for name in settings.seen_event_types}
        names: list[str] = [keys.HISTORY_REVISION, keys.new_answer_key(), name]
        arguments: list[Any] = [
            settings.max_log_entries,
            settings.log_partitions,
            settings.duplicate_window_s,
            settings.history_events,
            settings.seen_items,
            settings.bot_events,
            settings.burst_events,
            settings.burst_window_s,
            settings.repeat_events,
            settings.repeat_window_s * 1000,
            keys.answer_kept_s(settings),
            field,
            held,
        ]
        for event in events:
            names += [
                keys.event_key(event.event_id),
                keys.user_key(event.user_id),
                keys.seen_key(event.user_id),
                keys.partition_key(partition_of(event.user_id, settings.log_partitions)),
            ]
            code = event.event_code
            member = keys.seen_member(event.item_id, code) if code in seen_codes else ""
            state = "flagged" if event.flagged else "live" if is_live(event, settings) else ""
            packed = pack_event(event.occurred_at_ms, event.event_id, event.item_id, code)
            arguments += [event.to_json(), event.body_hash, packed, member, state]
        return names, arguments

    @property
    def client(self) -> redis.Redis:
        """The log's Redis."""
        return self._client

    def settle_partitions(self) -> None:
        """See that the log has the partitions of the settings; an empty one gets them.

        Raises:
            SettingsError: It has others, and entries in them.
        """
        wanted = self._settings.log_partitions
        with translated(StreamUnavailableError, "the event log"):
            held, length = self._settle(
                keys=[keys.LOG_PARTITIONS, keys.LEASES, keys.UNPARTITIONED_LOG], args=[wanted]
            )
        if held != wanted:
            number = f"log_partitions {held}" if held else "the version that wrote it"
            msg = (
                f"the log holds {length} entries and has not {wanted} partitions: "
                f"empty it with {number} first"
            )
            raise SettingsError(msg)

    def lengths(self) -> list[int]:
        """Entries of each partition that are not in the graph yet."""
        with translated(StreamUnavailableError, "the event log"):
            pipeline = self._client.pipeline(transaction=False)
            for partition in range(self._settings.log_partitions):
                pipeline.xlen(keys.partition_key(partition))
            return [int(length) for length in pipeline.execute()]

    def leases(self) -> dict[int, Lease]:
        """The lease of each partition that anybody took and did not give back."""
        return read_leases(self._client)

    def length(self) -> int:
        """Entries that are not in the graph yet."""
        return sum(self.lengths())

    def entries(self, partitions: Iterable[int] | None = None, page: int = 1000) -> Iterator[Entry]:
        """Every entry that is not in the graph yet, by partition, oldest first.

        Args:
            partitions: Which; by default all.
            page: Entries read at once.
        """
        all_of_them = range(self._settings.log_partitions)
        for partition in all_of_them if partitions is None else sorted(partitions):
            for row in stream_rows(self._client, keys.partition_key(partition), page):
                yield entry_of(row, partition)

    def read(self, after: Mapping[int, str], count: int, block_ms: int) -> list[Entry]:
        """Entries of several partitions, oldest first; waits at most `block_ms` for the first.

        Args:
            after: By partition the id after which to read.
            count: At most so many of each partition.
            block_ms: Milliseconds to wait while there is nothing; 0 does not wait.
        """
        if not after:
            return []
        places: dict[Any, Any] = {
            keys.partition_key(partition): entry_id for partition, entry_id in after.items()
        }
        with translated(StreamUnavailableError, "the event log"):
            answer = (
                cast("Any", self._client.xread(places, count=count, block=block_ms or None)) or []
            )
        pairs = answer.items() if isinstance(answer, dict) else answer
        found = [
            entry_of(row, int(name.rpartition(b":")[2]))
            for name, rows in pairs
            for row in _flat(rows)
        ]
        return sorted(found, key=lambda entry: entry.place)

    def acknowledge(
        self, entries: Sequence[Entry], owner: str = "", doubts: Collection[str] = ()
    ) -> None:
        """Remove entries whose effect is committed in the graph.

        Args:
            entries: Of any partitions.
            owner: Who must own their partitions still; "" for whoever is alone.
            doubts: Who is in doubt by them, noted in the same step: see `doubts`.

        Raises:
            LeaseLostError: Somebody else owns some of the partitions; their entries stay.
        """
        by_partition = sorted(entries, key=lambda entry: entry.partition)
        concerned: defaultdict[int, list[str]] = defaultdict(list)
        for one in doubts:
            identifier = one.partition(" ")[2]
            concerned[partition_of(identifier, self._settings.log_partitions)].append(one)
        mark, partitions = secrets.token_hex(8), []
        with translated(StreamUnavailableError, "the event log"):
            # Together, so that the disk is waited for once and not for each partition.
            pipeline = self._client.pipeline(transaction=False)
            for partition, group in groupby(by_partition, key=lambda entry: entry.partition):
                ids = [entry.entry_id for entry in group]
                names = [keys.partition_key(partition), keys.LEASES, keys.DOUBTS]
                noted = concerned[partition]
                arguments = [partition, owner, mark, len(noted), *noted, *ids]
                self._acknowledge(keys=names, args=arguments, client=pipeline)
                partitions.append(partition)
            answers = pipeline.execute()
        lost = [number for number, done in zip(partitions, answers, strict=True) if not done]
        if lost:
            raise LeaseLostError(lost)

    def bury(
        self, entry: Entry, reason: str, owner: str = "", doubts: Collection[str] = ()
    ) -> bool:
        """Move an entry to the dead letters with its reason, in one step; twice is once.

        What an erased user did is not kept there.

        Args:
            entry: What can never be written.
            reason: Why not.
            owner: Who must own its partition still; "" for whoever is alone.
            doubts: Who is in doubt by it, noted in the same step: see `doubts`.

        Returns:
            Whether there was room; otherwise it stays in the log, where it was.

        Raises:
            LeaseLostError: Somebody else owns the partition; it stays.
        """
        user_id = user_of(entry.kind, entry.payload)
        with translated(StreamUnavailableError, "the event log"):
            buried = self._bury(
                keys=[
                    keys.partition_key(entry.partition),
                    keys.DEAD_LETTERS,
                    keys.LEASES,
                    keys.DOUBTS,
                    *([keys.user_key(user_id)] if user_id else []),
                ],
                args=[
                    entry.partition,
                    owner,
                    entry.entry_id,
                    self._settings.max_dead_letters,
                    entry.kind,
                    entry.payload,
                    entry.revision,
                    reason[:500],
                    entry.since_ms,
                    secrets.token_hex(8),
                    *doubts,
                ],
            )
        if buried < 0:
            raise LeaseLostError([entry.partition])
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
