"""What the log holds that may not be in the graph yet, by user and item."""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import orjson
import structlog

from .errors import InvalidEventError
from .event import Event

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .entry import Entry
    from .event_stream import EventStream

logger = structlog.get_logger(__name__)

Sent = tuple[int, bytes, int]
"""Revision, document (b"" for a deletion), and when who was deleted was created again."""
NOTHING: Sent = (0, b"", 0)


@dataclass
class Pending:
    """What the log holds that may not be in the graph yet.

    Args:
        events: Of each user, those before a deletion left out.
        users: Newest revision and document, b"" for a deletion, and since when, by user.
        items: The same by item.
        erased: Revision of the newest deletion among the entries by user: what the graph holds of
            them from before does not count any more.
    """

    events: defaultdict[str, list[Event]] = field(default_factory=lambda: defaultdict(list))
    users: dict[str, Sent] = field(default_factory=dict)
    items: dict[str, Sent] = field(default_factory=dict)
    erased: dict[str, int] = field(default_factory=dict)


def read_pending(stream: EventStream, partitions: Iterable[int] | None = None) -> Pending:
    """Everything that is in the log now, or in some partitions of it."""
    pending = Pending()
    for entry in stream.entries(partitions):
        _add(pending, entry)
    return pending


def _add(pending: Pending, entry: Entry) -> None:
    """Note an entry of the log; what can never be written says nothing."""
    match entry.kind:
        case "event":
            with suppress(InvalidEventError):
                event = Event.from_json(entry.payload)
                pending.events[event.user_id].append(event)
        case "item" | "user":
            held = pending.items if entry.kind == "item" else pending.users
            with suppress(orjson.JSONDecodeError, KeyError, TypeError):
                identifier = orjson.loads(entry.payload)[f"{entry.kind}_id"]
                sent = (entry.revision, entry.payload, entry.since_ms)
                held[identifier] = max(held.get(identifier, NOTHING), sent)
        case "delete_item" | "delete_user":
            held = pending.items if entry.kind == "delete_item" else pending.users
            identifier = entry.payload.decode()
            held[identifier] = max(held.get(identifier, NOTHING), (entry.revision, b"", 0))
            if entry.kind == "delete_user":
                pending.events.pop(identifier, None)
                pending.erased[identifier] = max(entry.revision, pending.erased.get(identifier, 0))
        case _:
            logger.warning("entry_of_unknown_kind", kind=entry.kind)
