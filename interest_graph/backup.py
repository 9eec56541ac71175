"""Backups: facts, catalogue, users, keys, and what is not in the graph yet, as plain files.

A backup is the shortest log that leads to the graph as it is: each line is an entry. Learned edges
and embeddings are not in it; they come from a model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import orjson

from . import redis_client as keys
from .api_key import KEYS
from .backup_folder import write_folder
from .errors import BackupError, StreamUnavailableError
from .event import Event
from .graph import reads
from .redis_client import stream_rows, translated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import redis

    from .backup_folder import Backup
    from .event_stream import EventStream
    from .graph.store import GraphStore, Row
    from .settings import Settings

PAGE = 200
PLAIN_FIELDS = ("value", "session_id", "recommendation_id", "flagged")
PREFIX = "property_"
_SECRET_OR_LOCAL = {
    *("neo4j_uri", "neo4j_user", "neo4j_password", "neo4j_database"),
    *("log_url", "serving_url", "broker_url", "models_dir", "metrics_dir", "api_host", "api_port"),
}


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
        BackupError: The folder is there already, the type of a fact is not declared, or a document
            is older than this program.
        TransientError: Neo4j or Redis is away.
    """
    # In this order: an entry that leaves the log meanwhile is in the graph, or a dead letter.
    parts = {
        "log": _log_lines(stream),
        "dead": _dead_lines(client),
        "keys": _key_lines(client),
        "items": _item_lines(graph),
        "users": _user_lines(graph),
        "events": _event_lines(graph, settings),
    }
    described = {"settings": settings.model_dump(mode="json", exclude=_SECRET_OR_LOCAL)}
    return write_folder(folder, parts, described, progress)


def _log_lines(stream: EventStream) -> Iterator[dict[str, Any]]:
    """What was accepted and is not in the graph yet, in its order."""
    for entry in stream.entries():
        payload = entry.payload.decode(errors="replace")
        yield _line(entry.kind, entry.revision, payload, entry.since_ms)


def _dead_lines(client: redis.Redis) -> Iterator[dict[str, Any]]:
    """The dead letters, which may be replayed one day."""
    for _, fields in stream_rows(client, keys.DEAD_LETTERS):
        yield {name.decode(): value.decode(errors="replace") for name, value in fields.items()}


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
                raise BackupError(msg)
            event = _event_of(row, names[row["relationship"]], settings)
            yield _line("event", 0, event.to_json().decode())


def _require_document(kind: str, identifier: str, row: Row) -> None:
    """What the shop described must be there as it was sent.

    Raises:
        BackupError: It was described before the graph kept documents.
    """
    if row["known"] and row["document"] is None:
        msg = f"{kind} {identifier} is older than this program: send it again before a backup"
        raise BackupError(msg)


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


def _pages(graph: GraphStore, read: Callable[..., list[str]]) -> Iterator[list[str]]:
    """All ids of a list that is read in pages, page by page."""
    after = ""
    while page := graph.read(lambda tx, after=after: read(tx, after, PAGE)):  # type: ignore[misc]
        yield page
        after = page[-1]
