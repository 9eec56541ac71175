"""Progress for people: bars on stderr in a terminal, nothing or finished steps elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Self

from .output import note

if TYPE_CHECKING:
    from types import TracebackType

    from rich.progress import Progress, TaskID


class ProgressBars:
    """Draws a bar for every piece of work it is told of; a `Report` of the local stack.

    Use it as a context manager; the bars of finished work stay on the screen.

    Args:
        quiet: Say nothing at all.
        steps: Where there is no terminal, write a line for every finished piece of work.
    """

    def __init__(self, *, quiet: bool = False, steps: bool = False) -> None:
        self._drawn = not quiet and sys.stderr.isatty()
        self._steps = steps and not self._drawn and not quiet
        self._began: dict[str, float] = {}
        self._told: set[str] = set()
        self._progress: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        """Begin to draw."""
        if self._drawn:
            self._progress = _progress()
            self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop drawing and leave the terminal as it was."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def __call__(self, what: str, done: int = 0, total: int = 0) -> None:
        """Move the bar of `what`; a total of 0 makes it a bar without an end."""
        if self._steps:
            self._step(what, finished=0 < total <= done)
        if self._progress is None:
            return
        if what not in self._tasks:
            self._finish_others()
            self._tasks[what] = self._progress.add_task(what, total=total or None)
        self._progress.update(self._tasks[what], completed=done, total=total or None)

    def _step(self, what: str, *, finished: bool) -> None:
        """Write a line when a piece of work ends."""
        now = time.monotonic()
        if what not in self._began:
            # One piece of work follows the other; training may end a piece before its last step.
            for earlier, began in self._began.items():
                note(f"✓ {earlier} ({now - began:.1f} s)")
            self._began = {} if what in self._told else {what: now}
        if finished and what in self._began:
            note(f"✓ {what} ({now - self._began.pop(what):.1f} s)")
            self._told.add(what)

    def _finish_others(self) -> None:
        """Fill the bars of earlier work."""
        if self._progress is not None:
            for task in self._progress.tasks:
                self._progress.update(task.id, total=1, completed=1)


def _progress() -> Progress:
    """Bars with a spinner, a share and the time they took."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        SpinnerColumn,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    return Progress(
        SpinnerColumn(finished_text="✓"),
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )
