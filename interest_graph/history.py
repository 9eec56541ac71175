"""A user's recent history: the newest events, oldest first, in a packed form.

The packed form is what the accept script in Redis writes (`lua/accept_events.lua`): per event

```
u48 occurred_at in ms | u8 event_type code | u8 len(event_id) | u8 len(item_id)
| event_id | item_id | u48 history revision | u16 entry length
```

big-endian, so that the script can walk it from the newest end and insert without decoding the rest.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_HEAD = struct.Struct(">HIBBB")
_TAIL = struct.Struct(">HIH")


@dataclass(frozen=True, slots=True, order=True)
class HistoryEvent:
    """One event of a history; histories are ordered by (occurred_at_ms, event_id).

    Args:
        occurred_at_ms: When it happened, in milliseconds since 1970 (UTC).
        event_id: The event's id.
        item_id: The item's id.
        event_type: Code of the event type: its position in the settings.
        revision: History revision of the request that brought it; 0 where it is not known, as in
            the graph. It says when an event came, not what it is, so equality leaves it out.
    """

    occurred_at_ms: int
    event_id: str
    item_id: str
    event_type: int
    revision: int = field(default=0, compare=False)


def pack(events: Iterable[HistoryEvent]) -> bytes:
    """Pack events, which must be in order, oldest first."""
    entries = []
    for event in events:
        event_id, item_id = event.event_id.encode(), event.item_id.encode()
        head = _HEAD.pack(
            event.occurred_at_ms >> 32,
            event.occurred_at_ms & 0xFFFFFFFF,
            event.event_type,
            len(event_id),
            len(item_id),
        )
        length = _HEAD.size + len(event_id) + len(item_id) + _TAIL.size
        tail = _TAIL.pack(event.revision >> 32, event.revision & 0xFFFFFFFF, length)
        entries.append(head + event_id + item_id + tail)
    return b"".join(entries)


def unpack(packed: bytes) -> tuple[HistoryEvent, ...]:
    """Unpack a history, oldest event first.

    >>> event = HistoryEvent(1_700_000_000_000, "e-1", "lamp", 3)
    >>> unpack(pack([event])) == (event,)
    True
    """
    events = []
    offset, end = 0, len(packed)
    while offset < end:
        high, low, event_type, event_length, item_length = _HEAD.unpack_from(packed, offset)
        start = offset + _HEAD.size
        middle, stop = start + event_length, start + event_length + item_length
        revision_high, revision_low, _ = _TAIL.unpack_from(packed, stop)
        events.append(
            HistoryEvent(
                (high << 32) | low,
                packed[start:middle].decode(),
                packed[middle:stop].decode(),
                event_type,
                (revision_high << 32) | revision_low,
            )
        )
        offset = stop + _TAIL.size
    return tuple(events)


def newest(events: Iterable[HistoryEvent], count: int) -> tuple[HistoryEvent, ...]:
    """The newest `count` events in order, oldest first."""
    return tuple(sorted(events)[-count:])


def digest(events: Sequence[HistoryEvent]) -> str:
    """SHA-256 of a history: equal in Redis and in the graph, or something was lost."""
    return hashlib.sha256(pack(replace(event, revision=0) for event in events)).hexdigest()
