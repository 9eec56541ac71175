"""Restores a backup by the way that events come.

Its entries are brought into the graph in the same transactions that ingest uses: so it can be
repeated, goes on after an interruption, and never replaces something newer. The serving state is
rebuilt from the graph afterwards.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, cast

import orjson

from . import redis_client as keys
from .api_key import KEYS
from .backup_folder import read_lines, verify_backup
from .errors import StreamUnavailableError
from .event_stream import Entry
from .ingest import write_entries
from .partition import partition_of_entry
from .redis_client import translated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    import redis

    from .backup_folder import Backup
    from .graph.store import GraphStore
    from .settings import Settings

BATCH = 1000


def restore_backup(
    folder: Path,
    graph: GraphStore,
    client: redis.Redis,
    settings: Settings,
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> Backup:
    """Bring a backup into a graph and a Redis; afterwards the serving state is to be rebuilt.

    Doing it twice changes nothing, and nothing newer is replaced. What waited in the log waits in
    it again, for the ingest worker. Keys come with `restore_keys`.

    Args:
        folder: The backup.
        graph: Neo4j, with the schema applied.
        client: The log's Redis.
        settings: Must declare the event types of the backup.
        progress: Told the part, how many of its lines are done, and how many it has.

    Raises:
        BackupError: The backup is damaged; nothing was written.
        PoisonError: An entry does not fit, such as an event of a type that is not declared.
        TransientError: Neo4j or Redis is away; repeat it.
    """
    backup = verify_backup(folder)
    for part in ("items", "users", "events"):
        done, total = 0, backup.parts[part].lines
        for batch in _batches(read_lines(folder, part)):
            entries = [_entry(line) for line in batch]
            graph.write(lambda tx, e=entries: write_entries(tx, e, settings))  # type: ignore[misc]
            done += len(batch)
            progress(part, done, total)
    with translated(StreamUnavailableError, "the event log"):
        for line in read_lines(folder, "log"):
            fields = orjson.loads(line)
            payload = fields["payload"].encode()
            partition = partition_of_entry(fields["kind"], payload, settings.log_partitions)
            client.xadd(keys.partition_key(partition), fields)
        _restore_dead_letters(folder, client)
    return backup


def _restore_dead_letters(folder: Path, client: redis.Redis) -> None:
    """Bring back the dead letters that are not there, under new ids: those there may be newer."""
    held = {fields[b"payload"] for _, fields in cast("list[Any]", client.xrange(keys.DEAD_LETTERS))}
    for line in read_lines(folder, "dead"):
        fields = orjson.loads(line)
        if fields["payload"].encode() not in held:
            client.xadd(keys.DEAD_LETTERS, fields)


def restore_keys(folder: Path, client: redis.Redis) -> bool:
    """Bring the API keys of a backup into a Redis without keys; last, for they open the API.

    Where there are keys nothing is done: one that was revoked since must not work again.

    Returns:
        Whether there were none.
    """
    with translated(StreamUnavailableError, "the event log"):
        if client.exists(KEYS):
            return False
        for line in read_lines(folder, "keys"):
            record = orjson.loads(line)
            client.hset(KEYS, record["key_id"], orjson.dumps(record).decode())
    return True


def _entry(line: bytes) -> Entry:
    """A line as an entry of the log."""
    fields = orjson.loads(line)
    kind, payload, revision = fields["kind"], fields["payload"].encode(), int(fields["revision"])
    return Entry("", kind, payload, revision, since_ms=int(fields.get("since", 0)))


def _batches(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Lines in batches."""
    rest = iter(lines)
    while batch := [*islice(rest, BATCH)]:
        yield batch
