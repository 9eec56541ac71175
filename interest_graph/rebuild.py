"""Rebuilds the serving state from Neo4j and the log, while events and documents go on coming.

What is kept of a user or an item in Redis is what the graph holds of it, and what the log holds
that is not in the graph yet. Of each id the serving state is looked at first, then the log, then
the graph: an entry that left the log in between is in the graph by then. It is written in one step
unless it has changed since it was looked at; then it is looked at again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from . import redis_client as keys
from .catch_up import CatchUp
from .errors import StreamUnavailableError
from .graph import learned, reads
from .history import newest
from .item_matrix import folds
from .kept_user import KeptUser, KeptUsers
from .partition import pages_of, partition_of
from .pending import NOTHING, read_pending
from .redis_client import script, translated
from .serving_state import ServingState

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import redis

    from .event import Event
    from .event_stream import EventStream
    from .graph.store import GraphStore, Row
    from .history import HistoryEvent
    from .pending import Pending, Sent
    from .settings import Settings

PAGE = 500
TRIES = 20
NOBODY: Row = {"known": False, "document": None, "revision": 0, "erased": 0, "since_ms": 0}
LOG_PAGE = 1000


@dataclass
class Rebuilt:
    """What a rebuild did.

    Args:
        users: Users looked at.
        items: Items looked at.
        changed_users: Users of whom something else was kept before.
        changed_items: Items of which something else was kept before.
        newer: Documents and deletions that Redis alone knew of; the log has them now.
        given_up: Ids that kept changing; a further run takes them.
        missing_documents: Items and users described before the graph kept documents; send them
            again.
        model_version: The model in service, when no manifest named it any more.
    """

    users: int = 0
    items: int = 0
    changed_users: int = 0
    changed_items: int = 0
    newer: int = 0
    given_up: list[str] = field(default_factory=list)
    missing_documents: int = 0
    model_version: str | None = None

    @property
    def changed(self) -> int:
        """Users and items of which something else was kept before, or is in the graph."""
        return self.changed_users + self.changed_items + self.newer


Progress = Callable[[str, int], None]
"""Told of `items` and `users` how many are done."""


def _quiet(_what: str, _done: int) -> None:
    """Tell nobody."""


class ServingRebuild:
    """Rebuilds histories, seen items, documents, tombstones, counters and the duplicate window.

    Args:
        graph: Neo4j.
        client: The log's and serving state's Redis.
        stream: The log.
        settings: Bounds.
        write: Whether to write; otherwise differences are only counted.
    """

    def __init__(
        self,
        graph: GraphStore,
        client: redis.Redis,
        stream: EventStream,
        settings: Settings,
        *,
        write: bool = True,
    ) -> None:
        self._graph, self._client, self._settings, self._write = graph, client, settings, write
        self._stream = stream
        self._users = KeptUsers(client)
        self._catch_up = CatchUp(graph, client, stream, settings, write=write)
        self._rebuild_item = script(client, "rebuild_item")
        self._codes = {name: code for code, name in enumerate(settings.relationships)}
        self._seen_codes = {
            settings.event_type_names.index(name) for name in settings.seen_event_types
        }

    def run(self, progress: Progress = _quiet) -> Rebuilt:
        """All of it.

        Args:
            progress: Told of `items` and `users` how many are done.

        Raises:
            TransientError: Neo4j or Redis is away, or the log is full; what was done stays done.
        """
        done = Rebuilt()
        if self._write:
            self._raise_counters()
        done.newer = self._catch_up.run()
        self.items(self._item_ids(), done, progress)
        self.users(self._user_ids(), done, progress)
        if self._write:
            done.model_version = self._restore_manifest()
        return done

    def users(
        self, user_ids: Iterable[str], done: Rebuilt | None = None, progress: Progress = _quiet
    ) -> Rebuilt:
        """Some users, whatever is kept of them, page by page."""
        done = done or Rebuilt()
        for page in pages_of(user_ids, self._settings.log_partitions, PAGE):
            waiting = self._try_users(page, done, first=True)
            for _ in range(TRIES):  # one by one, since that is over before the user does anything
                waiting = [one for one in waiting if self._try_users([one], done, first=False)]
            if self._write:
                done.given_up += waiting
            else:
                done.changed_users += len(waiting)
            done.users += len(page)
            progress("users", done.users)
        return done

    def items(
        self, item_ids: Iterable[str], done: Rebuilt | None = None, progress: Progress = _quiet
    ) -> Rebuilt:
        """Some items, whatever is kept of them, page by page."""
        done = done or Rebuilt()
        for page in pages_of(item_ids, self._settings.log_partitions, PAGE):
            self._items_of(page, done)
            done.items += len(page)
            progress("items", done.items)
        return done

    def _items_of(self, item_ids: Sequence[str], done: Rebuilt) -> None:
        """A page of items."""
        kept = self._kept_items(item_ids)
        pending = self._pending(item_ids).items
        rows = self._graph.read(lambda tx: reads.fetch_items(tx, item_ids))
        for item_id in item_ids:
            held, row = kept[item_id], rows.get(item_id)
            if row is not None and row["known"] and row["document"] is None:
                done.missing_documents += 1
                continue
            wish = (row["revision"], (row["document"] or "").encode()) if row else (0, b"")
            wish = max(wish, pending.get(item_id, NOTHING)[:2])
            if held[0] > wish[0]:
                if wish[0]:
                    continue  # it has changed since the log was read
                wish = (held[0], b"")  # a dead letter: neither the log nor the graph knows it
            if held != wish and (not self._write or self._write_item(item_id, *wish)):
                done.changed_items += 1

    def _try_users(self, user_ids: Sequence[str], done: Rebuilt, *, first: bool) -> list[str]:
        """Those of the users that changed meanwhile; if nothing is written, those that differ."""
        kept = self._users.read(user_ids)
        pending = self._pending(user_ids)
        wanted = self._wanted_users(user_ids, pending, kept)
        again = []
        for user_id in user_ids:
            held, wish = kept[user_id], wanted[user_id]
            if wish is None:
                done.missing_documents += 1
            elif held != wish and not (self._write and self._users.write(user_id, held, wish)):
                again.append(user_id)
            elif held != wish:
                done.changed_users += 1
        if self._write and first:
            self._remember(user_ids, pending)
        return again

    def _wanted_users(
        self, user_ids: Sequence[str], pending: Pending, kept: Mapping[str, KeptUser]
    ) -> dict[str, KeptUser | None]:
        """What the graph and the log say of users; None where the graph has no document."""
        settings = self._settings
        seen_types = [settings.relationships[code] for code in sorted(self._seen_codes)]

        def read(tx: Any) -> tuple[Any, Any, Any]:
            count = settings.history_events
            return (
                reads.fetch_users(tx, user_ids),
                reads.fetch_user_events(tx, user_ids, count, self._codes),
                reads.fetch_seen_items(tx, user_ids, seen_types, settings.seen_items),
            )

        described, histories, seen = self._graph.read(read)

        def gone(user_id: str) -> bool:
            """Whether a deletion in the log is newer than what the graph holds."""
            held = int(described.get(user_id, NOBODY)["revision"])
            return pending.erased.get(user_id, 0) > held

        return {
            user_id: self._wanted_user(
                described.get(user_id),
                () if gone(user_id) else histories.get(user_id, ()),
                [] if gone(user_id) else seen.get(user_id, []),
                pending.events.get(user_id, []),
                pending.users.get(user_id),
                kept[user_id],
            )
            for user_id in user_ids
        }

    def _wanted_user(
        self,
        row: Row | None,
        history: Sequence[HistoryEvent],
        seen: Sequence[Sequence[str]],
        events: Sequence[Event],
        sent: Sent | None,
        kept: KeptUser,
    ) -> KeptUser | None:
        """What the graph and the log say of a user."""
        row = row or NOBODY
        if row["known"] and row["document"] is None and sent is None:
            return None
        document, revision = (row["document"] or "").encode(), int(row["revision"])
        erased, since = int(row["erased"]), int(row["since_ms"])
        if sent is not None and sent[0] > max(revision, erased):
            revision, document, since = sent
            if not document:
                revision, erased = 0, sent[0]
        if kept.revision > max(revision, erased):
            # Redis outlived a graph that was restored from before: it is right.
            revision, document, since = kept.revision, kept.document, kept.since_ms
            erased = kept.revision if kept.tombstone else 0
            revision = 0 if kept.tombstone else revision
        if erased > revision:
            return KeptUser((), b"", tombstone=True, revision=erased, seen=frozenset())
        known_by_events = bool(events) or (row is not NOBODY and not row["known"])
        events = [event for event in events if not event.flagged]
        stamp = {event.event_id: event.revision for event in kept.history}
        known = {event.event_id: event for event in history}
        for event in events:
            if event.event_type in self._settings.event_types:
                known.setdefault(event.event_id, event.history_event)
        # Whoever was created again has no past, though a graph from before may hold one.
        known = {name: one for name, one in known.items() if one.occurred_at_ms >= since}
        size = self._settings.history_events
        recent = newest(
            (replace(one, revision=stamp.get(one.event_id, 0)) for one in known.values()), size
        )
        members = {keys.seen_member(item, self._codes[kind]) for item, kind in seen}
        members = members if since <= int(row["since_ms"]) else {*kept.seen}  # likewise
        members |= {
            keys.seen_member(event.item_id, event.event_code)
            for event in events
            if event.event_code in self._seen_codes
        }
        bound = self._settings.seen_items
        if len(members) >= bound and len(kept.seen) == bound:
            members = set(kept.seen)  # which are forgotten is chance: what is kept is as good
        return KeptUser(
            recent,
            document,
            tombstone=False,
            revision=revision,
            seen=frozenset(islice(sorted(members), bound)),
            since_ms=since,
            known=bool(recent or document) or known_by_events,
        )

    def _kept_items(self, item_ids: Sequence[str]) -> dict[str, tuple[int, bytes]]:
        """Revision and document of items as they are kept; (0, b"") where there is nothing."""
        with translated(StreamUnavailableError, "the serving state"):
            pipeline = self._client.pipeline(transaction=False)
            pipeline.hmget(keys.ITEMS, list(item_ids))
            pipeline.zmscore(keys.ITEM_REVISIONS, list(item_ids))
            documents, scores = pipeline.execute()
        return {
            item_id: (int(score or 0), document or b"")
            for item_id, document, score in zip(item_ids, documents, scores, strict=True)
        }

    def _write_item(self, item_id: str, revision: int, document: bytes) -> bool:
        """Write what is to be kept of an item, unless a newer document is there."""
        with translated(StreamUnavailableError, "the serving state"):
            return bool(
                self._rebuild_item(
                    keys=[keys.ITEMS, keys.ITEM_REVISIONS, keys.ITEM_IDS],
                    args=[item_id, revision, document],
                )
            )

    def _remember(self, user_ids: Sequence[str], pending: Pending) -> None:
        """Fill the duplicate window with what was accepted within it."""
        now_ms, window = int(time.time() * 1000), self._settings.duplicate_window_s
        since = now_ms - window * 1000
        found = self._graph.read(lambda tx: reads.fetch_recent_events(tx, user_ids, since))
        known = [(row["event_id"], row["body_hash"], row["recorded_at_ms"]) for row in found]
        known += [
            (event.event_id, event.body_hash, event.recorded_at_ms)
            for user_id in user_ids
            for event in pending.events.get(user_id, [])
        ]
        with translated(StreamUnavailableError, "the serving state"):
            pipeline = self._client.pipeline(transaction=False)
            for event_id, body_hash, recorded_at_ms in known:
                left = window - (now_ms - recorded_at_ms) // 1000
                if left > 0:
                    pipeline.set(keys.event_key(event_id), body_hash, ex=left, nx=True)
            pipeline.execute()

    def _raise_counters(self) -> None:
        """Counters above all that was ever given out, so that nothing new seems old."""
        pending = read_pending(self._stream)
        highest = self._graph.read(reads.fetch_catalog_revisions)
        items = max([highest["items"], *(sent[0] for sent in pending.items.values())])
        users = max([highest["users"], *(sent[0] for sent in pending.users.values())])
        with translated(StreamUnavailableError, "the serving state"):
            # Lost with its Redis, the counter goes on from the clock: it never ran faster than
            # a thousand a second on average, so that this is above all that was answered.
            self._client.set(keys.HISTORY_REVISION, int(time.time() * 1000), nx=True)
            for name, least in ((keys.CATALOG_REVISION, items), (keys.USERS_REVISION, users)):
                self._client.set(name, least, nx=True)
                missing = least - int(self._client.get(name) or 0)
                if missing > 0:
                    self._client.incrby(name, missing)

    def _restore_manifest(self) -> str | None:
        """Name the graph's model in service as the published one, if none is named.

        Its deltas are lost then, but those that were folded: all items become stale, so that the
        update workers publish them again.
        """
        version = self._graph.read(reads.fetch_model_in_service)
        folder = self._settings.models_dir
        if version is None or not (folder / version).is_dir():
            return None
        serving = ServingState(self._client, self._settings)
        if serving.head()[0] is not None:
            return None
        # First, so that it is done again when this is interrupted.
        learned.mark_all_items_stale(self._graph)
        serving.restore_manifest(version, max(folds(folder, version), default=0))
        return version

    def _item_ids(self) -> Iterator[str]:
        """Every item that the log, the graph or the serving state has a document of."""
        yield from read_pending(self._stream).items
        yield from self._listed(reads.list_item_ids)
        with translated(StreamUnavailableError, "the serving state"):
            for item_id, _ in self._client.hscan_iter(keys.ITEMS, count=LOG_PAGE):
                yield item_id.decode()

    def _user_ids(self) -> Iterator[str]:
        """Every user of the log, of the graph, erased ones too, and of the serving state."""
        pending = read_pending(self._stream)
        yield from (*pending.users, *pending.events)
        yield from self._listed(reads.list_user_ids)
        yield from self._listed(reads.list_erased_user_ids)
        prefix = keys.user_key("")
        with translated(StreamUnavailableError, "the serving state"):
            for key in self._client.scan_iter(f"{prefix}*", count=LOG_PAGE):
                yield key.decode().removeprefix(prefix)

    def _listed(self, read: Callable[..., list[str]]) -> Iterator[str]:
        """All ids of a list that is read in pages."""
        after = ""
        while True:
            page = self._graph.read(lambda tx, after=after: read(tx, after, PAGE))  # type: ignore[misc]
            yield from page
            if len(page) < PAGE:
                return
            after = page[-1]

    def _pending(self, ids: Iterable[str]) -> Pending:
        """What is in the log now, in the partitions of some ids."""
        partitions = self._settings.log_partitions
        return read_pending(self._stream, {partition_of(one, partitions) for one in ids})
