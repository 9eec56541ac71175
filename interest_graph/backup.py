"""Backup and restore: facts, catalogue, users, keys, and what the log still holds, as plain files.

A backup is the shortest log that leads to the graph as it is. Each line is an entry, and a restore
brings the entries into a graph in the same transactions that ingest uses: so it can be repeated,
goes on after an interruption, and never replaces something newer. The serving state is rebuilt from
the graph afterwards; learned edges and embeddings come from a model.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import tempfile
import zlib
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import orjson
import redis

from . import redis_client as keys
from .api_key import KEYS
from .errors import CheckpointError, StreamUnavailableError
from .event import Event
from .event_stream import Entry
from .graph import reads
from .ingest import write_entries
from .redis_client import translated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from .event_stream import EventStream
    from .graph.store import GraphStore, Row
    from .settings import Settings

FORMAT = 1
MANIFEST = "backup.json"
PARTS = ("items", "users", "events", "log", "dead", "keys")
PAGE = 200
BATCH = 1000
OWN_FIELDS = frozenset({"event_id", "occurred_at", "recorded_at", "body_hash", "flagged"})
PLAIN_FIELDS = ("value", "session_id", "recommendation_id")
PREFIX = "property_"
_SECRET_OR_LOCAL = {
    *("neo4j_uri", "neo4j_user", "neo4j_password", "neo4j_database"),
    *("log_url", "serving_url", "broker_url", "models_dir", "metrics_dir", "api_host", "api_port"),
}


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a backup.

    Args:
        lines: How many entries it has.
        digest: SHA-256 of its lines; equal graphs have equal digests.
    """

    lines: int
    digest: str


@dataclass(frozen=True, slots=True)
class Backup:
    """What a backup holds.

    Args:
        folder: Where it lies.
        created_at: When it was begun.
        parts: By name.
    """

    folder: Path
    created_at: str
    parts: dict[str, Part]


def write_backup(
    folder: Path,
    graph: GraphStore,
    client: redis.Redis,
    stream: EventStream,
    settings: Settings,
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> Backup:
    """Write a backup; the service may go on. It appears under its name only when it is whole.

    Everything accepted before it was begun is in it: the log is read before the graph.

    Args:
        folder: Where it is to lie; must not be there yet.
        graph: Neo4j.
        client: The log's Redis.
        stream: The log.
        settings: The declared event types.
        progress: Told the part and how many lines are written of it; the total is not known.

    Raises:
        CheckpointError: The folder is there already.
        TransientError: Neo4j or Redis is away.
    """
    if folder.exists():
        msg = f"{folder} is there already: name another folder"
        raise CheckpointError(msg)
    folder.parent.mkdir(parents=True, exist_ok=True)
    created = datetime.now(UTC).isoformat(timespec="seconds")
    work = Path(tempfile.mkdtemp(prefix=".backup-", dir=folder.parent))
    lines = {
        "log": _log_lines(stream),
        "dead": _dead_lines(client),
        "keys": _key_lines(client),
        "items": _item_lines(graph),
        "users": _user_lines(graph),
        "events": _event_lines(graph, settings),
    }
    parts = {
        name: _write_part(work / f"{name}.jsonl.gz", made, partial(_tell, progress, name))
        for name, made in lines.items()
    }
    described = {
        "format": FORMAT,
        "created_at": created,
        "settings": settings.model_dump(mode="json", exclude=_SECRET_OR_LOCAL),
        "parts": {n: {"lines": one.lines, "digest": one.digest} for n, one in parts.items()},
    }
    with (work / MANIFEST).open("wb") as file:
        file.write(orjson.dumps(described, option=orjson.OPT_INDENT_2))
        file.flush()
        os.fsync(file.fileno())
    work.rename(folder)
    return Backup(folder, created, parts)


def read_backup(folder: Path) -> Backup:
    """What a backup says of itself.

    Raises:
        CheckpointError: It is missing, damaged, or of another format.
    """
    try:
        described = orjson.loads((folder / MANIFEST).read_bytes())
        if described.get("format") != FORMAT:
            msg = f"{folder}: format {described.get('format')}, this program reads {FORMAT}"
            raise CheckpointError(msg)
        parts = {name: Part(**described["parts"][name]) for name in PARTS}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        msg = f"{folder}: cannot read the backup: {error}"
        raise CheckpointError(msg) from error
    return Backup(folder, described["created_at"], parts)


def verify_backup(folder: Path) -> Backup:
    """Read every file of a backup and compare it with its digest.

    Raises:
        CheckpointError: A file is missing or damaged.
    """
    backup = read_backup(folder)
    for name, expected in backup.parts.items():
        digest, count = hashlib.sha256(), 0
        for line in _read_lines(folder / f"{name}.jsonl.gz"):
            digest.update(line)
            count += 1
        if (count, digest.hexdigest()) != (expected.lines, expected.digest):
            msg = f"{folder}: {name} is damaged"
            raise CheckpointError(msg)
    return backup


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
        CheckpointError: The backup is damaged; nothing was written.
        PoisonError: An entry does not fit, such as an event of a type that is not declared.
        TransientError: Neo4j or Redis is away; repeat it.
    """
    backup = verify_backup(folder)
    for name in ("items", "users", "events"):
        done, total = 0, backup.parts[name].lines
        for batch in _batches(_read_lines(folder / f"{name}.jsonl.gz")):
            entries = [_entry(line) for line in batch]
            graph.write(lambda tx, e=entries: write_entries(tx, e, settings))  # type: ignore[misc]
            done += len(batch)
            progress(name, done, total)
    with translated(StreamUnavailableError, "the event log"):
        for line in _read_lines(folder / "log.jsonl.gz"):
            client.xadd(keys.LOG, orjson.loads(line))
        for line in _read_lines(folder / "dead.jsonl.gz"):
            fields = orjson.loads(line)
            with suppress(redis.ResponseError):  # it is there: ids only grow
                client.xadd(keys.DEAD_LETTERS, fields["fields"], id=fields["letter_id"])
    return backup


def restore_keys(folder: Path, client: redis.Redis) -> bool:
    """Bring the API keys of a backup into a Redis without keys; last, for they open the API.

    Where there are keys nothing is done: one that was revoked since must not work again.

    Returns:
        Whether there were none.
    """
    with translated(StreamUnavailableError, "the event log"):
        if client.exists(KEYS):
            return False
        for line in _read_lines(folder / "keys.jsonl.gz"):
            record = orjson.loads(line)
            client.hset(KEYS, record["key_id"], orjson.dumps(record).decode())
    return True


def _tell(progress: Callable[[str, int, int], None], name: str, done: int) -> None:
    """Say how many lines of a part are written."""
    progress(name, done, 0)


def _log_lines(stream: EventStream) -> Iterator[dict[str, Any]]:
    """What was accepted and is not in the graph yet, in its order."""
    for entry in [*stream.entries()]:  # at once: the graph is read after it
        payload = entry.payload.decode(errors="replace")
        yield _line(entry.kind, entry.revision, payload, entry.since_ms)


def _dead_lines(client: redis.Redis) -> Iterator[dict[str, Any]]:
    """The dead letters, which may be replayed one day."""
    with translated(StreamUnavailableError, "the event log"):
        rows = cast("list[Any]", client.xrange(keys.DEAD_LETTERS))
    for letter_id, fields in rows:
        plain = {name.decode(): value.decode(errors="replace") for name, value in fields.items()}
        yield {"letter_id": letter_id.decode(), "fields": plain}


def _key_lines(client: redis.Redis) -> Iterator[dict[str, Any]]:
    """The records of the API keys: hashes, no tokens."""
    with translated(StreamUnavailableError, "the event log"):
        records = cast("dict[bytes, bytes]", client.hgetall(KEYS))
    for key_id in sorted(records):
        yield orjson.loads(records[key_id])


def _item_lines(graph: GraphStore) -> Iterator[dict[str, Any]]:
    """Items by id: documents, and deletions."""
    for page in _pages(graph, reads.list_item_ids):
        rows = graph.read(lambda tx, page=page: reads.fetch_items(tx, page))  # type: ignore[misc]
        for item_id in page:
            if item_id in rows:
                _require_document("item", item_id, rows[item_id])
                yield _document_line("item", item_id, rows[item_id])


def _user_lines(graph: GraphStore) -> Iterator[dict[str, Any]]:
    """Users that the shop described, and tombstones, by id."""
    for read in (reads.list_user_ids, reads.list_erased_user_ids):
        for page in _pages(graph, read):
            rows = graph.read(lambda tx, page=page: reads.fetch_users(tx, page))  # type: ignore[misc]
            for user_id in page:
                row = rows.get(user_id)
                if row is None:
                    continue
                if row["erased"]:
                    yield _document_line(
                        "user", user_id, {"revision": row["erased"], "document": None}
                    )
                    continue
                _require_document("user", user_id, row)
                if row["document"] is not None:
                    yield _document_line("user", user_id, row)


def _event_lines(graph: GraphStore, settings: Settings) -> Iterator[dict[str, Any]]:
    """Every fact, by user, in order."""
    names: dict[str, str] = {one.relationship: n for n, one in settings.event_types.items()}
    for page in _pages(graph, reads.list_user_ids):
        rows = graph.read(lambda tx, page=page: reads.fetch_facts(tx, page))  # type: ignore[misc]
        for row in rows:
            if row["relationship"] not in names:
                msg = f"{row['relationship']} is no declared event type: declare it in the settings"
                raise CheckpointError(msg)
            event = _event_of(row, names[row["relationship"]], settings)
            yield _line("event", 0, event.to_json().decode())


def _require_document(kind: str, identifier: str, row: Row) -> None:
    """What the shop described must be there as it was sent.

    Raises:
        CheckpointError: It was described before the graph kept documents.
    """
    if row["known"] and row["document"] is None:
        msg = f"{kind} {identifier} is older than this program: send it again before a backup"
        raise CheckpointError(msg)


def _document_line(kind: str, identifier: str, row: Row) -> dict[str, Any]:
    """A document or a deletion as an entry of the log."""
    document, since = row["document"], row.get("since_ms", 0)
    if document is None:
        return _line(f"delete_{kind}", row["revision"], identifier)
    return _line(kind, row["revision"], document, since)


def _line(kind: str, revision: int, payload: str, since_ms: int = 0) -> dict[str, Any]:
    """An entry as a line."""
    line: dict[str, Any] = {"kind": kind, "revision": revision, "payload": payload}
    return line | {"since": since_ms} if since_ms else line


def _event_of(row: Row, event_type: str, settings: Settings) -> Event:
    """A fact as the event it was."""
    fields = row["fields"]
    names = settings.event_type_names
    properties = {
        name.removeprefix(PREFIX): value
        for name, value in sorted(fields.items())
        if name.startswith(PREFIX)
    }
    return Event(
        event_id=row["event_id"],
        user_id=row["user_id"],
        item_id=row["item_id"],
        event_type=event_type,
        event_code=names.index(event_type) if event_type in names else 0,
        occurred_at_ms=row["occurred_at_ms"],
        recorded_at_ms=row["recorded_at_ms"],
        body_hash=fields["body_hash"],
        properties=properties or None,
        **{name: fields.get(name) for name in PLAIN_FIELDS},
    )


def _entry(line: bytes) -> Entry:
    """A line as an entry of the log."""
    fields = orjson.loads(line)
    kind, payload, revision = fields["kind"], fields["payload"].encode(), int(fields["revision"])
    return Entry("", kind, payload, revision, since_ms=int(fields.get("since", 0)))


def _pages(graph: GraphStore, read: Callable[..., list[str]]) -> Iterator[list[str]]:
    """All ids of a list that is read in pages, page by page."""
    after = ""
    while page := graph.read(lambda tx, after=after: read(tx, after, PAGE)):  # type: ignore[misc]
        yield page
        after = page[-1]


def _write_part(
    path: Path, lines: Iterable[dict[str, Any]], progress: Callable[[int], None]
) -> Part:
    """Write lines to a file, and have it on disk."""
    digest, count = hashlib.sha256(), 0
    with path.open("wb") as raw:
        # Without a time in its head, so that equal backups are equal files.
        with gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as file:
            for count, fields in enumerate(lines, start=1):
                line = orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)
                digest.update(line)
                file.write(line + b"\n")
                if count % BATCH == 0:
                    progress(count)
        raw.flush()
        os.fsync(raw.fileno())
    progress(count)
    return Part(count, digest.hexdigest())


def _read_lines(path: Path) -> Iterator[bytes]:
    """The lines of a file.

    Raises:
        CheckpointError: It cannot be read.
    """
    with _damage_named(path), gzip.open(path, "rb") as file:
        for line in file:
            yield line.rstrip(b"\n")


@contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, EOFError, zlib.error) as error:
        msg = f"{path}: cannot be read: {error}"
        raise CheckpointError(msg) from error


def _batches(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Lines in batches."""
    rest = iter(lines)
    while batch := [*islice(rest, BATCH)]:
        yield batch
