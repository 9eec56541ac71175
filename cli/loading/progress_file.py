"""Remembers how far a file has been loaded, so that the next try goes on from there."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a file has been loaded.

    Args:
        rows: Rows of the file that are dealt with, good or bad.
        new: Rows taken.
        duplicates: Rows that had been taken before.
        bad: Rows that were not taken.
    """

    rows: int = 0
    new: int = 0
    duplicates: int = 0
    bad: int = 0


class ProgressFile:
    """The progress of one file under one mapping, in the data directory."""

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"{name}.json"
        self.rejected_path = folder / f"{name}.rejected.jsonl"

    def read(self) -> Progress:
        """The progress so far; none for a file that was never loaded."""
        try:
            return Progress(**json.loads(self._path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return Progress()

    def write(self, progress: Progress) -> None:
        """Remember the progress; a crash leaves the old or the new one."""
        partial = self._path.with_suffix(".partial")
        partial.write_text(json.dumps(asdict(progress)), encoding="utf-8")
        partial.replace(self._path)

    def reject(self, rows: list[tuple[int, str]]) -> None:
        """Append rows that were not taken."""
        if not rows:
            return
        with self.rejected_path.open("a", encoding="utf-8") as file:
            for line, reason in rows:
                file.write(json.dumps({"line": line, "reason": reason}) + "\n")
