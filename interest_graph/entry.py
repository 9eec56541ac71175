"""Entries of the log, as they are read from a partition."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the log.

    Args:
        entry_id: The stream's id of it.
        kind: event, item, user, delete_item or delete_user; anything else is poison.
        payload: JSON, or the id for a deletion.
        revision: Catalogue revision of items and users; 0 for events.
        deliveries: Which attempt this is, from 1.
        since_ms: Of a user who was deleted and created again, when; 0 for all others.
        replayed: Whether it was a dead letter before.
        partition: Where it lies.
    """

    entry_id: str
    kind: str
    payload: bytes
    revision: int = 0
    deliveries: int = field(default=1, compare=False)
    since_ms: int = 0
    replayed: bool = False
    partition: int = 0

    @property
    def place(self) -> tuple[int, int]:
        """What entries are ordered by: milliseconds since 1970, and a number."""
        return place_of(self.entry_id)


def place_of(entry_id: str) -> tuple[int, int]:
    """An id of a stream as what it is ordered by."""
    milliseconds, _, number = entry_id.partition("-")
    return int(milliseconds), int(number)


def entry_of(row: Any, partition: int) -> Entry:
    """Read one row of a partition."""
    entry_id, fields = row
    try:
        return Entry(
            entry_id.decode(),
            fields[b"kind"].decode(),
            fields[b"payload"],
            int(fields.get(b"revision", 0)),
            since_ms=int(fields.get(b"since", 0)),
            replayed=b"replayed" in fields,
            partition=partition,
        )
    except (KeyError, ValueError):  # nothing of ours wrote it: ingest buries what it does not know
        payload = fields.get(b"payload", b"")
        return Entry(entry_id.decode(), UNREADABLE, payload, partition=partition)
