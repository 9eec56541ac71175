"""How the stack says what it is doing, without knowing who listens."""

from __future__ import annotations

from typing import Protocol


class Report(Protocol):
    """Called as work goes on; the command line draws bars from it."""

    def __call__(self, what: str, done: int = 0, total: int = 0) -> None:
        """Say where a piece of work stands.

        Args:
            what: The piece of work; the same words until it is finished.
            done: Units done so far.
            total: Units altogether; 0 when that is not known. `done == total > 0` finishes it.
        """


def silent(what: str, done: int = 0, total: int = 0) -> None:
    """Report nothing."""
