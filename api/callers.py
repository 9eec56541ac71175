"""Who may ask for a list soon: connections that lately did."""

from __future__ import annotations

from collections import OrderedDict

LATELY_S = 0.1


class Callers:
    """The connections that asked within the last tenth of a second."""

    def __init__(self) -> None:
        self._seen: OrderedDict[object, float] = OrderedDict()

    def ask(self, caller: object, now: float) -> None:
        """A connection asks.

        Args:
            caller: Any name of it.
            now: Seconds of a clock that only goes forwards.
        """
        self._seen[caller] = now
        self._seen.move_to_end(caller)

    def count(self, now: float) -> int:
        """How many there are."""
        while self._seen and next(iter(self._seen.values())) < now - LATELY_S:
            self._seen.popitem(last=False)
        return len(self._seen)
