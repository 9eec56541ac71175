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
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, overload

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

_HEAD = struct.Struct(">HIBBB")
_TAIL = struct.Struct(">HIH")
HEAD_BYTES, TAIL_BYTES = _HEAD.size, _TAIL.size


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
    return b"".join(
        pack_event(
            event.occurred_at_ms, event.event_id, event.item_id, event.event_type, event.revision
        )
        for event in events
    )


def pack_event(
    occurred_at_ms: int, event_id: str, item_id: str, event_type: int, revision: int = 0
) -> bytes:
    """Pack one event; arguments as for `HistoryEvent`."""
    event, item = event_id.encode(), item_id.encode()
    head = _HEAD.pack(
        occurred_at_ms >> 32, occurred_at_ms & 0xFFFFFFFF, event_type, len(event), len(item)
    )
    length = HEAD_BYTES + len(event) + len(item) + TAIL_BYTES
    tail = _TAIL.pack(revision >> 32, revision & 0xFFFFFFFF, length)
    return head + event + item + tail


class History(Sequence[HistoryEvent]):
    """A packed history as columns; an event is unpacked when it is asked for.

    Thousands of users are remembered as bytes and numbers, not as hundreds of events each.

    Args:
        packed: The events, oldest first.
        starts: (m,) int64, where each event begins; of all events by default.
        whole: Whether `starts` are of all events.

    >>> History(pack([HistoryEvent(1_700_000_000_000, "e-1", "lamp", 3)]))[0].item_id
    'lamp'
    """

    __slots__ = ("_starts", "_whole", "packed")

    def __init__(
        self, packed: bytes, starts: npt.NDArray[np.int64] | None = None, *, whole: bool = False
    ) -> None:
        self.packed, self._starts, self._whole = packed, starts, whole or starts is None

    @property
    def starts(self) -> npt.NDArray[np.int64]:
        """(m,) int64, where each event begins."""
        if self._starts is None:
            self._starts = np.array(_starts(self.packed), dtype=np.int64)
        return self._starts

    def __len__(self) -> int:
        """Number of events."""
        return len(self.starts)

    @overload
    def __getitem__(self, place: int) -> HistoryEvent: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[HistoryEvent, ...]: ...
    def __getitem__(self, place: int | slice) -> HistoryEvent | tuple[HistoryEvent, ...]:
        """The event at a place, or the events of a slice."""
        if isinstance(place, slice):
            return tuple(self[one] for one in range(len(self))[place])
        return _event(self.packed, int(self.starts[place]))[0]

    def names(self, place: int) -> tuple[str, str, int]:
        """Event's id, item's id and type's code at a place, without making the whole event.

        >>> History(pack([HistoryEvent(1_700_000_000_000, "e-1", "lamp", 3)])).names(0)
        ('e-1', 'lamp', 3)
        """
        start = int(self.starts[place])
        event_type, event_length, item_length = self.packed[start + 6 : start + _HEAD.size]
        middle = start + _HEAD.size + event_length
        event_id = self.packed[start + _HEAD.size : middle].decode()
        return event_id, self.packed[middle : middle + item_length].decode(), event_type

    def pack(self) -> bytes:
        """Exactly its events, packed."""
        if self._whole:
            return self.packed
        stops = self.starts + [_length(self.packed, start) for start in self.starts.tolist()]
        pairs = zip(self.starts.tolist(), stops.tolist(), strict=True)
        return b"".join(self.packed[start:stop] for start, stop in pairs)


def unpack(packed: bytes) -> tuple[HistoryEvent, ...]:
    """Unpack a history, oldest event first.

    >>> event = HistoryEvent(1_700_000_000_000, "e-1", "lamp", 3)
    >>> unpack(pack([event])) == (event,)
    True
    """
    events = []
    offset = 0
    while offset < len(packed):
        event, offset = _event(packed, offset)
        events.append(event)
    return tuple(events)


def _event(packed: bytes, start: int) -> tuple[HistoryEvent, int]:
    """The event that begins at a place, and where the next one begins."""
    high, low, event_type, event_length, item_length = _HEAD.unpack_from(packed, start)
    begin = start + _HEAD.size
    middle, stop = begin + event_length, begin + event_length + item_length
    revision_high, revision_low, _ = _TAIL.unpack_from(packed, stop)
    event = HistoryEvent(
        (high << 32) | low,
        packed[begin:middle].decode(),
        packed[middle:stop].decode(),
        event_type,
        (revision_high << 32) | revision_low,
    )
    return event, stop + _TAIL.size


def _length(packed: bytes, start: int) -> int:
    """Bytes of the event that begins at a place."""
    return _HEAD.size + packed[start + 7] + packed[start + 8] + _TAIL.size


def _starts(packed: bytes) -> list[int]:
    """Where each event begins."""
    starts, offset = [], 0
    while offset < len(packed):
        starts.append(offset)
        offset += _length(packed, offset)
    return starts


def newest(events: Iterable[HistoryEvent], count: int) -> tuple[HistoryEvent, ...]:
    """The newest `count` events in order, oldest first."""
    return tuple(sorted(events)[-count:])


def digest(events: Sequence[HistoryEvent]) -> str:
    """SHA-256 of a history: equal in Redis and in the graph, or something was lost."""
    return hashlib.sha256(pack(replace(event, revision=0) for event in events)).hexdigest()
