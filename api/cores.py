"""Whether cores are scarce, as a thread notices it: by how long it waits for one."""

from __future__ import annotations

import math
from pathlib import Path

ACCOUNT = Path("/proc/thread-self/schedstat")
"""Nanoseconds that a thread ran and that it waited to run, on Linux."""
EVERY_S = 0.1
LATELY_S = 0.5
SCARCE = 0.25
"""From which share of the time on that a thread waits for a core they are called scarce."""


class CoreWatch:
    """Watches how much of its time one thread waited for a core lately."""

    def __init__(self) -> None:
        self._share, self._waited_s, self._looked_at = 0.0, 0.0, -math.inf

    def scarce(self, now: float) -> bool:
        """Whether cores are scarce; always, where the kernel does not say.

        Args:
            now: Seconds of a clock that only goes forwards.
        """
        if now - self._looked_at >= EVERY_S:
            self._look(now)
        return self._share >= SCARCE

    def _look(self, now: float) -> None:
        """Have the time since the last look count for as much as it is of the last half second."""
        waited_s, passed_s = _waited_s(), now - self._looked_at
        share = (waited_s - self._waited_s) / passed_s if waited_s < math.inf else 1.0
        share = min(max(share, 0.0), 1.0)
        self._share += min(1.0, passed_s / LATELY_S) * (share - self._share)
        self._waited_s, self._looked_at = waited_s, now


def _waited_s() -> float:
    """For how many seconds this thread has waited for a core; endless where nobody counts."""
    try:
        return int(ACCOUNT.read_bytes().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return math.inf
