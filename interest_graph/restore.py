"""Restores a backup by the way that events come.

Its entries are brought into the graph in the same transactions that ingest uses: so it can be
repeated, goes on after an interruption, and never replaces something newer. The serving state is
rebuilt from the graph afterwards.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson

from . import redis_client as keys
from .api_key import KEYS, REVOKED
from .backup_folder import read_lines, verify_backup
from .dead_letters import erased_until_ms
from .entry import Entry
from .errors import PoisonError, StreamUnavailableError
from .event_stream import EventStream
from .ingest import MAX_TRANSACTION_BYTES, write_entries
from .partition import partition_of_entry, user_of
from .redis_client import script, stream_rows, translated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    import neo4j
    import redis

    from .backup_folder import Backup
    from .graph.store import GraphStore
    from .settings import Settings

BATCH = 1000
APPENDED = 200
ENTRY_FIELDS = ("kind", "payload", "revision", "since")
LETTER_FIELDS = (*ENTRY_FIELDS, "reason")


def restore_backup(
    folder: Path,
    graph: GraphStore,
    client: redis.Redis,
    settings: Settings,
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> Backup:
    """Bring a backup into a graph and a Redis; afterwards the serving state is to be rebuilt.

    Nothing newer is replaced, and the rebuild tells the graph what Redis has heard since. Doing it
    twice changes nothing, but that dead letters which were dropped are back. What waited in the log
    waits in it again, for the ingest worker, unless it still does or has become a dead letter. Keys
    come with `restore_keys`.

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
            graph.write(lambda tx, e=entries: _write(tx, e, settings))  # type: ignore[misc]
            done += len(batch)
            progress(part, done, total)
    held = _held(client, settings)
    made_ms = datetime.fromisoformat(backup.created_at).timestamp() * 1000
    _restore_entries(folder, "dead", client, settings, held, made_ms)
    # While the backup was made an entry may have been read in the log, and then as a dead letter.
    held |= {_digest(orjson.loads(line)) for line in read_lines(folder, "dead")}
    _restore_entries(folder, "log", client, settings, held, made_ms)
    return backup


def _write(tx: neo4j.ManagedTransaction, entries: Sequence[Entry], settings: Settings) -> None:
    """Write entries, all or none.

    Raises:
        PoisonError: One of them can never be written.
    """
    for _, reason in write_entries(tx, entries, settings).poison:
        raise PoisonError(reason)


def _held(client: redis.Redis, settings: Settings) -> set[bytes]:
    """Digests of what waits in the log and of the dead letters."""
    # In this order: an entry that is buried meanwhile is found in one of them at least.
    held = {
        _digest({"kind": entry.kind, "payload": entry.payload, "revision": entry.revision})
        for entry in EventStream(client, settings).entries()
    }
    return held | {
        _digest({name.decode(): value for name, value in fields.items()})
        for _, fields in stream_rows(client, keys.DEAD_LETTERS)
    }


def _digest(fields: dict[str, Any]) -> bytes:
    """What an entry is known by, in the log, among the dead letters and in a backup."""
    kind, payload = (
        one.decode(errors="replace") if isinstance(one, bytes) else one  # as the backup wrote it
        for one in (fields["kind"], fields["payload"])
    )
    named = f"{kind}\n{int(fields.get('revision', 0))}\n{payload}"
    return hashlib.blake2b(named.encode(), digest_size=16).digest()


def _restore_entries(
    folder: Path,
    part: str,
    client: redis.Redis,
    settings: Settings,
    held: set[bytes],
    made_ms: float,
) -> None:
    """Append what is not held: to the log, or to the dead letters under new ids."""
    names = LETTER_FIELDS if part == "dead" else ENTRY_FIELDS
    append = script(client, "restore_entries", on_log=True)
    for batch in _batches(read_lines(folder, part), APPENDED):
        streams, values = [], []
        lines = [orjson.loads(line) for line in batch]
        for fields in _not_erased(lines, client, made_ms) if part == "dead" else lines:
            if _digest(fields) not in held:
                streams.append(_stream_of(fields, part, settings))
                values += [each for n in names for each in (n, fields.get(n, 0))]
        if streams:
            with translated(StreamUnavailableError, "the event log"):
                append(
                    keys=[keys.new_answer_key(), *streams],
                    args=[keys.answer_kept_s(settings), 2 * len(names), *values],
                )


def _not_erased(
    letters: Sequence[dict[str, Any]], client: redis.Redis, made_ms: float
) -> list[dict[str, Any]]:
    """Dead letters but for those of users who were erased since the backup was made."""
    users = [user_of(letter["kind"], letter["payload"].encode()) for letter in letters]
    until_ms = erased_until_ms(client, {user for user in users if user})
    return [
        letter
        for letter, user in zip(letters, users, strict=True)
        if until_ms.get(user, 0.0) <= made_ms
    ]


def _stream_of(fields: dict[str, Any], part: str, settings: Settings) -> str:
    """Where a line is appended."""
    if part == "dead":
        return keys.DEAD_LETTERS
    payload = fields["payload"].encode()
    return keys.partition_key(partition_of_entry(fields["kind"], payload, settings.log_partitions))


def restore_keys(folder: Path, client: redis.Redis) -> bool:
    """Bring the API keys of a backup into a Redis without keys; last, for they open the API.

    Where there are keys, or one was ever revoked, nothing is done: it must not work again.

    Returns:
        Whether there were none.
    """
    with translated(StreamUnavailableError, "the event log"):
        if client.exists(KEYS, REVOKED):
            return False
        records = [orjson.loads(line) for line in read_lines(folder, "keys")]
        if records:  # all at once: where some are, nothing is done when it is repeated
            client.hset(KEYS, mapping={one["key_id"]: orjson.dumps(one) for one in records})
    return True


def _entry(line: bytes) -> Entry:
    """A line as an entry of the log."""
    fields = orjson.loads(line)
    kind, payload, revision = fields["kind"], fields["payload"].encode(), int(fields["revision"])
    return Entry("", kind, payload, revision, since_ms=int(fields.get("since", 0)))


def _batches(lines: Iterable[bytes], size: int = BATCH) -> Iterator[list[bytes]]:
    """Lines in batches of at most `size`, and of 8 MiB unless one is larger."""
    batch: list[bytes] = []
    held = 0
    for line in lines:
        if batch and (len(batch) == size or held + len(line) > MAX_TRANSACTION_BYTES):
            yield batch
            batch, held = [], 0
        batch.append(line)
        held += len(line)
    if batch:
        yield batch
