"""Tells a graph that was restored from before what Redis has heard since.

Redis may outlive the graph. Then it alone knows who was erased since the backup, and what was
deleted, hidden or described anew. All of that goes through the log once more; the graph takes what
is newer than what it holds. What became a dead letter stays one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import redis_client as keys
from .errors import StreamFullError, StreamUnavailableError
from .event_stream import RETRY_AFTER_S
from .graph import reads
from .partition import order_of, pages_of, partition_of
from .pending import NOTHING, Sent, read_pending
from .redis_client import script, stream_rows, translated

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import redis

    from .documents import Kind
    from .event_stream import EventStream
    from .graph.store import GraphStore
    from .settings import Settings

PAGE = 500
KINDS: tuple[Kind, ...] = ("item", "user")
REVISIONS = {"item": keys.ITEM_REVISIONS, "user": keys.USER_REVISIONS}


class CatchUp:
    """Finds what is newer in Redis than in the graph and in the log, and appends it to the log.

    Args:
        graph: Neo4j.
        client: The log's and serving state's Redis.
        stream: The log.
        settings: Bounds.
        write: Whether to append; otherwise it is only counted.
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
        self._graph, self._client, self._stream = graph, client, stream
        self._settings, self._write = settings, write
        self._append = script(client, "restore_entries", on_log=True)

    def run(self) -> int:
        """All of it; returns how many documents and deletions were newer.

        Raises:
            StreamFullError: The log is at its bound; what was appended stays, do it again later.
            TransientError: Neo4j or Redis is away; likewise.
        """
        dead, found, settings = self._dead(), 0, self._settings
        size = min(PAGE, settings.max_log_entries)
        for kind in KINDS:
            for page in pages_of(self._ids(kind), settings.log_partitions, size):
                newer = self._newer(kind, page)
                left = {one: sent for one, sent in newer.items() if (one, sent[0]) not in dead}
                if left and self._write:
                    self._to_log(kind, left)
                found += len(left)
        return found

    def _ids(self, kind: Kind) -> Iterator[str]:
        """Every item or user that was ever described or deleted, as far as Redis knows."""
        with translated(StreamUnavailableError, "the catalogue"):
            for identifier, _ in self._client.zscan_iter(REVISIONS[kind], count=PAGE):
                yield identifier.decode()

    def _newer(self, kind: Kind, ids: Sequence[str]) -> dict[str, Sent]:
        """What neither the graph nor the log has heard of.

        The log, which is long, is read for those alone that the graph has not heard of; and then
        the graph again, for what has left the log meanwhile.
        """
        newer = self._not_in_graph(kind, self._kept(kind, ids))
        if not newer:
            return newer
        partitions = {partition_of(one, self._settings.log_partitions) for one in newer}
        pending = read_pending(self._stream, partitions)
        sent = pending.items if kind == "item" else pending.users
        left = {n: one for n, one in newer.items() if one[0] > sent.get(n, NOTHING)[0]}
        return self._not_in_graph(kind, left)

    def _not_in_graph(self, kind: Kind, kept: dict[str, Sent]) -> dict[str, Sent]:
        """Those that are newer than what the graph holds."""
        if not kept:
            return kept
        fetch = reads.fetch_items if kind == "item" else reads.fetch_users
        rows = self._graph.read(lambda tx: fetch(tx, list(kept)))
        held = {one: max(row["revision"], row.get("erased", 0)) for one, row in rows.items()}
        return {one: sent for one, sent in kept.items() if sent[0] > held.get(one, 0)}

    def _kept(self, kind: Kind, ids: Sequence[str]) -> dict[str, Sent]:
        """What Redis keeps: documents, and deletions."""
        with translated(StreamUnavailableError, "the catalogue"):
            pipeline = self._client.pipeline(transaction=True)
            pipeline.zmscore(REVISIONS[kind], list(ids))
            if kind == "item":
                pipeline.hmget(keys.ITEMS, list(ids))
            else:
                for identifier in ids:
                    pipeline.hmget(keys.user_key(identifier), ["d", "t", "c"])
            scores, *found = pipeline.execute()
        rows = [(document, b"", 0) for document in found[0]] if kind == "item" else found
        return {
            identifier: (int(score), document or b"", int(since or 0))
            for identifier, score, (document, gone, since) in zip(ids, scores, rows, strict=True)
            if score and (document or gone is not None)
        }

    def _to_log(self, kind: Kind, newer: dict[str, Sent]) -> None:
        """Append documents and deletions, if there is room."""
        settings = self._settings
        if self._stream.length() + len(newer) > settings.max_log_entries:
            raise StreamFullError(RETRY_AFTER_S)
        streams, values = [], []
        for identifier, (revision, document, since) in newer.items():
            streams.append(keys.partition_key(partition_of(identifier, settings.log_partitions)))
            entry: dict[str, Any] = {
                "kind": kind if document else f"delete_{kind}",
                "payload": document or identifier,
                "revision": revision,
                "since": since,
            }
            values += [each for pair in entry.items() for each in pair]
        with translated(StreamUnavailableError, "the event log"):
            self._append(
                keys=[keys.new_answer_key(), *streams],
                args=[keys.answer_kept_s(settings), 8, *values],
            )

    def _dead(self) -> set[tuple[str, int]]:
        """Id and revision of the documents and deletions among the dead letters."""
        return {
            (order_of(fields[b"kind"].decode(), fields[b"payload"]), int(fields[b"revision"]))
            for _, fields in stream_rows(self._client, keys.DEAD_LETTERS)
            if fields[b"kind"] != b"event"
        }
