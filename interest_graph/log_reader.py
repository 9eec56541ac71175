"""Reads the partitions that an ingest worker owns, each in its order."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from .entry import place_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from .entry import Entry
    from .event_stream import EventStream

BEGIN = "0-0"
PAGE = 200
"""Entries asked for at once, of all partitions together: at their largest they are 56 MiB."""
READ_BYTES = 8 * 1024 * 1024
"""No further page is asked for when a read has so much."""


def is_full(entries: Sequence[Entry], count: int) -> bool:
    """Whether a read of at most so many ended at a bound: then there may be more to read."""
    return len(entries) >= count or sum(len(entry.payload) for entry in entries) >= READ_BYTES


class LogReader:
    """What there is to read of some partitions.

    What was read is done before more is read, so that a read begins at the oldest entry that is
    there: nothing is handed out, and nobody has to be asked for anything back. Only what failed
    lies before it until its next attempt.

    Args:
        stream: The log.
        partitions: Those to read from the beginning.
    """

    def __init__(self, stream: EventStream, partitions: Iterable[int] = ()) -> None:
        self._stream = stream
        self._after = dict.fromkeys(partitions, BEGIN)
        self._attempts: dict[tuple[int, str], int] = {}

    def start(self, partition: int) -> None:
        """Read a partition too, from its oldest entry on."""
        self._after[partition] = BEGIN

    def stop(self, partition: int) -> None:
        """Read a partition no longer."""
        self._after.pop(partition, None)
        for key in [key for key in self._attempts if key[0] == partition]:
            del self._attempts[key]

    def read(
        self, count: int, block_ms: int, partitions: Collection[int] | None = None
    ) -> list[Entry]:
        """The next entries of each partition, oldest first; waits for the first.

        Args:
            count: At most so many; fewer when they are large.
            block_ms: Milliseconds to wait while there is nothing.
            partitions: Which of those that it reads; by default all.
        """
        after = self._after.items()
        found = self._pages(
            {number: at for number, at in after if partitions is None or number in partitions},
            count,
            block_ms,
        )
        if not self._attempts:
            return found
        return [
            replace(entry, deliveries=1 + self._attempts.pop((entry.partition, entry.entry_id), 0))
            for entry in found
        ]

    def _pages(self, after: dict[int, str], count: int, block_ms: int) -> list[Entry]:
        """Entries page by page: how large they are is not known before they are there."""
        found: list[Entry] = []
        size = 0
        while after and len(found) < count and size < READ_BYTES:
            each = max(1, min(PAGE, count - len(found)) // len(after))
            page = self._stream.read(after, each, 0 if found else block_ms)
            found += page
            size += sum(len(entry.payload) for entry in page)
            read = Counter(entry.partition for entry in page)
            last = {entry.partition: entry.entry_id for entry in page}
            after = {number: last[number] for number, n in read.items() if n == each}
        return sorted(found, key=lambda entry: entry.place)[:count]

    def set_aside(self, entries: Sequence[Entry]) -> None:
        """Leave out what failed until `try_again`."""
        for entry in entries:
            if entry.partition not in self._after:
                continue
            self._attempts[entry.partition, entry.entry_id] = entry.deliveries
            if entry.place > place_of(self._after[entry.partition]):
                self._after[entry.partition] = entry.entry_id

    def try_again(self) -> None:
        """Read what was set aside once more."""
        self._after = dict.fromkeys(self._after, BEGIN)
