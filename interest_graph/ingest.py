"""Moves entries of the log into the graph, once and in order; acknowledges after the commit."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING

import orjson
import structlog

from .dead_letters import DeadLetters
from .doubts import doubts_of
from .errors import (
    InvalidEventError,
    LostRowsError,
    SettingsError,
    TransientError,
)
from .event import Event
from .graph import facts

if TYPE_CHECKING:
    from collections.abc import Sequence

    import neo4j

    from .entry import Entry
    from .event_stream import EventStream
    from .graph.store import GraphStore, Row
    from .leases import Leases
    from .settings import Settings

MAX_TRANSACTION_BYTES = 8 * 1024 * 1024
"""Of entries in one transaction, so that Neo4j's memory is enough whatever they hold."""

logger = structlog.get_logger(__name__)


@dataclass
class Ingested:
    """What one batch did.

    Args:
        events: Events written, flagged ones too.
        duplicates: Events that were in the graph already.
        user_ids: Users that are stale now.
        item_ids: Items that are stale now.
        buried: Entries moved to the dead letters.
        doubtful_user_ids: Users of whom Redis may hold something else than the graph: after an
            event was buried, was known already and sent again at another time, or was replayed.
        doubtful_item_ids: Items of which Redis may: their documents were replayed.
        recorded_at_ms: When each event that was written had been accepted.
        flagged: Flagged events written, by reason.
        failed: Entries that are in the log still, to be tried again later.
        poison: Entries of which it can be told that they can never be written, and why.
    """

    events: int = 0
    duplicates: int = 0
    user_ids: set[str] = field(default_factory=set)
    item_ids: set[str] = field(default_factory=set)
    buried: int = 0
    doubtful_user_ids: set[str] = field(default_factory=set)
    doubtful_item_ids: set[str] = field(default_factory=set)
    recorded_at_ms: list[int] = field(default_factory=list)
    flagged: Counter[str] = field(default_factory=Counter)
    failed: list[Entry] = field(default_factory=list)
    poison: list[tuple[Entry, str]] = field(default_factory=list)

    @property
    def doubts(self) -> list[str]:
        """Who is in doubt, as noted in the log's Redis."""
        return doubts_of(self.doubtful_user_ids, self.doubtful_item_ids)

    def add(self, other: Ingested) -> None:
        """Count in what another part of the batch did."""
        self.events += other.events
        self.duplicates += other.duplicates
        self.buried += other.buried
        self.user_ids |= other.user_ids
        self.item_ids |= other.item_ids
        self.doubtful_user_ids |= other.doubtful_user_ids
        self.doubtful_item_ids |= other.doubtful_item_ids
        self.recorded_at_ms += other.recorded_at_ms
        self.flagged += other.flagged


def first_batch(entries: Sequence[Entry], count: int) -> Sequence[Entry]:
    """As many of the first entries as belong into one transaction.

    Args:
        entries: In their order.
        count: At most so many; fewer beyond 8 MiB. What failed before comes alone, so that it does
            not cost others their transaction again.
    """
    size = 0
    for number, entry in enumerate(entries[:count]):
        size += len(entry.payload)
        apart = entry.deliveries > 1 or entries[0].deliveries > 1
        if number and (apart or size > MAX_TRANSACTION_BYTES):
            return entries[:number]
    return entries[:count]


def ingest(
    entries: Sequence[Entry],
    graph: GraphStore,
    stream: EventStream,
    settings: Settings,
    into: Ingested | None = None,
    leases: Leases | None = None,
) -> Ingested:
    """Bring a batch into the graph and acknowledge it.

    An entry of which it can be told that it is poison is buried, and the rest is written without
    it in the same transaction. A batch that fails for another reason is halved until what fails is
    one entry, so that it costs the others a few transactions.

    Args:
        entries: In their order.
        graph: Neo4j.
        stream: The log.
        settings: Of event types and bounds.
        into: What is added to as parts of the batch are done, so that it is known when a later part
            fails.
        leases: Whose partitions the entries are of; none for whoever is alone.

    Returns:
        `into`, or a new one.

    Raises:
        GraphOverloadedError: Neo4j has not memory or time enough; a smaller batch may pass.
        TransientError: Neo4j or the log is away; what was not acknowledged comes again.
        LeaseLostError: Some of their partitions have another owner; nothing of the part that was
            under way is written.
        SettingsError: Neo4j refuses the user name or password; likewise.
    """
    total = Ingested() if into is None else into

    def work(tx: neo4j.ManagedTransaction) -> Ingested:
        if leases is not None:
            leases.check(tx, entries)
        return write_entries(tx, entries, settings)

    try:
        done = graph.write(work)
    except (TransientError, SettingsError):
        raise  # nothing is wrong with the entries
    except Exception as error:  # noqa: BLE001 whatever the batch holds, the loop must go on
        if len(entries) > 1:
            logger.warning("ingest_batch_split", entries=len(entries), error=type(error).__name__)
            middle = len(entries) // 2
            for half in (entries[:middle], entries[middle:]):
                ingest(half, graph, stream, settings, total, leases)
        else:
            _bury_or_wait(entries[0], error, stream, settings, total, _owner(leases))
        return total
    total.add(done)
    if erased := {one.payload.decode() for one in entries if one.kind == "delete_user"}:
        DeadLetters(stream.client, settings).drop_those_of(erased)  # before it is acknowledged
    left = {(entry.partition, entry.entry_id) for entry, _ in done.poison}
    if good := [one for one in entries if (one.partition, one.entry_id) not in left]:
        stream.acknowledge(good, _owner(leases), done.doubts)
    for entry, reason in done.poison:
        _bury(entry, reason, stream, total, _owner(leases))
    return total


def _owner(leases: Leases | None) -> str:
    """Who must own the partitions."""
    return "" if leases is None else leases.owner


def _bury_or_wait(
    entry: Entry,
    error: Exception,
    stream: EventStream,
    settings: Settings,
    total: Ingested,
    owner: str,
) -> None:
    """Bury what was delivered too often; leave it for another try until then."""
    if entry.deliveries < settings.max_deliveries:
        logger.warning("entry_failed", entry_id=entry.entry_id, kind=entry.kind, exc_info=error)
        total.failed.append(entry)
        return
    _bury(entry, f"{type(error).__name__}: {error}", stream, total, owner)


def _bury(entry: Entry, reason: str, stream: EventStream, total: Ingested, owner: str) -> None:
    """Move an entry to the dead letters, if there is room."""
    user_ids = _user_of(entry)
    if stream.bury(entry, reason, owner, doubts_of(user_ids)):
        logger.error("entry_buried", entry_id=entry.entry_id, kind=entry.kind)
        total.buried += 1
        total.doubtful_user_ids |= user_ids
    else:
        logger.error("dead_letters_full", entry_id=entry.entry_id, kind=entry.kind)
        total.failed.append(entry)


def _user_of(entry: Entry) -> set[str]:
    """The user of an event, as far as it can be read."""
    if entry.kind != "event":
        return set()
    try:
        return {Event.from_json(entry.payload).user_id}
    except InvalidEventError:
        return set()


def write_entries(
    tx: neo4j.ManagedTransaction, entries: Sequence[Entry], settings: Settings
) -> Ingested:
    """Write entries in their order, but for poison; neighbours of one kind share a statement."""
    ingested = Ingested()
    for kind, group in groupby(entries, key=lambda entry: entry.kind):
        batch = list(group)
        match kind:
            case "event":
                _write_events(tx, batch, settings, ingested)
            case "item" | "user":
                _write_documents(tx, kind, batch, ingested)
            case "delete_item":
                for entry in batch:
                    facts.delete_item(tx, entry.payload.decode(), entry.revision)
            case "delete_user":
                for entry in batch:
                    facts.delete_user(tx, entry.payload.decode(), entry.revision)
            case _:
                reason = f"unknown kind of entry: {kind}"
                ingested.poison += [(entry, reason) for entry in batch]
    return ingested


def _write_documents(
    tx: neo4j.ManagedTransaction, kind: str, entries: Sequence[Entry], ingested: Ingested
) -> None:
    """Write item or user documents; of several for one id only the newest counts."""
    newest: dict[str, tuple[Row, int]] = {}
    since: dict[str, int] = {}
    doubtful = ingested.doubtful_item_ids if kind == "item" else ingested.doubtful_user_ids
    for entry in entries:
        document = orjson.loads(entry.payload)
        identifier = document[f"{kind}_id"]
        if identifier not in newest or entry.revision >= newest[identifier][1]:
            newest[identifier] = (document, entry.revision)
            since[identifier] = entry.since_ms
        if entry.replayed:
            doubtful.add(identifier)
    if kind == "item":
        seen = facts.write_items(tx, newest.values())
        ingested.item_ids |= set(newest)
    else:
        seen = facts.write_users(tx, newest.values(), since)
        ingested.user_ids |= set(newest)
    _require_all(seen, len(newest), f"{kind}s")


def _write_events(
    tx: neo4j.ManagedTransaction, entries: Sequence[Entry], settings: Settings, ingested: Ingested
) -> None:
    """Write the events that the graph does not hold, with stubs, revisions and popularity."""
    given = _readable(entries, settings, ingested)
    events: dict[str, Event] = {}
    for entry, event in given:
        events.setdefault(event.event_id, event)
        if entry.replayed:
            ingested.doubtful_user_ids.add(event.user_id)
    held = facts.find_events(tx, settings.relationships, list(events)) if events else {}
    conflicts = 0
    for entry, event in given:
        known = held.get(event.event_id, events[event.event_id].body_hash)
        if known != event.body_hash:
            conflicts += 1
            holder = "the graph" if event.event_id in held else "this batch"
            ingested.poison.append((entry, f"{holder} holds this event_id with another body"))
    fresh = [event for event_id, event in events.items() if event_id not in held]
    ingested.duplicates += len(given) - conflicts - len(fresh)
    new = {event.event_id for event in fresh}
    ingested.doubtful_user_ids |= {
        one.user_id for one in events.values() if one.event_id not in new
    }
    if not fresh:
        return
    users = user_rows(fresh)
    touched, since_ms = facts.touch_users(tx, users)
    _require_all(touched, len(users), "users")
    # Of whoever was erased, nothing; of whoever was created again, nothing from before.
    fresh = [one for one in fresh if one.occurred_at_ms >= since_ms.get(one.user_id, 0)]
    if not fresh:
        return
    items = item_rows(fresh, settings)
    touched = facts.touch_items(tx, items, settings.popularity_half_life_days)
    _require_all(touched, len(items), "items")
    by_type: defaultdict[str, list[Event]] = defaultdict(list)
    for event in fresh:
        by_type[settings.event_types[event.event_type].relationship].append(event)
    for relationship, batch in by_type.items():
        _require_all(facts.record_events(tx, relationship, batch), len(batch), "events")
    ingested.events += len(fresh)
    ingested.flagged.update(event.flagged for event in fresh if event.flagged)
    ingested.user_ids |= {event.user_id for event in fresh if not event.flagged}
    ingested.item_ids |= {event.item_id for event in fresh if not event.flagged}
    ingested.recorded_at_ms += [event.recorded_at_ms for event in fresh]


def _readable(
    entries: Sequence[Entry], settings: Settings, ingested: Ingested
) -> list[tuple[Entry, Event]]:
    """Entries that are events, with these; the others are poison."""
    given = []
    for entry in entries:
        try:
            event = Event.from_json(entry.payload)
        except InvalidEventError as error:
            ingested.poison.append((entry, str(error)))
            continue
        if event.event_type in settings.event_types:
            given.append((entry, event))
        else:
            reason = f"event_type: {event.event_type} is not declared"
            ingested.poison.append((entry, reason))
    return given


def user_rows(events: Sequence[Event]) -> list[Row]:
    """Rows of users, each touched once a batch, in id order so that locks line up.

    Of whom all events are flagged it says 0 events: they are a stub at least, and not stale by it.
    """
    counted = [event for event in events if not event.flagged]
    users = Counter({event.user_id: 0 for event in events})
    users.update(event.user_id for event in counted)
    since = _since([(event.user_id, event.recorded_at_ms) for event in counted])
    return [
        {"user_id": user_id, "events": count, "since_ms": since.get(user_id)}
        for user_id, count in sorted(users.items())
    ]


def item_rows(events: Sequence[Event], settings: Settings) -> list[Row]:
    """Rows of items, likewise, with what the events add to their popularity."""
    counted = [event for event in events if not event.flagged]
    items = Counter({event.item_id: 0 for event in events})
    items.update(event.item_id for event in counted)
    newest: dict[str, int] = {}
    for event in counted:
        newest[event.item_id] = max(event.occurred_at_ms, newest.get(event.item_id, 0))
    popularity: defaultdict[str, float] = defaultdict(float)
    for event in counted:
        age_ms = newest[event.item_id] - event.occurred_at_ms
        left = facts.what_is_left(age_ms, settings.popularity_half_life_days)
        popularity[event.item_id] += settings.event_types[event.event_type].weight * left
    since = _since([(event.item_id, event.recorded_at_ms) for event in counted])
    return [
        {
            "item_id": item_id,
            "events": count,
            "popularity": popularity[item_id],
            "popularity_at_ms": newest.get(item_id),
            "since_ms": since.get(item_id),
        }
        for item_id, count in sorted(items.items())
    ]


def _since(recorded: Sequence[tuple[str, int]]) -> dict[str, int]:
    """When the oldest event of each id was accepted: since then it is stale."""
    oldest: dict[str, int] = {}
    for identifier, at_ms in recorded:
        oldest[identifier] = min(at_ms, oldest.get(identifier, at_ms))
    return oldest


def _require_all(wrote: int, given: int, what: str) -> None:
    """Stop the acknowledgement when a statement wrote fewer rows than it was given.

    Raises:
        LostRowsError: Some rows were dropped; the transaction is rolled back.
    """
    if wrote != given:
        msg = f"{given} {what} were given and {wrote} written"
        raise LostRowsError(msg)
