"""How commands speak: data on stdout, everything else on stderr."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FINE = 0
FAULT = 1
USAGE = 2
NOT_READY = 3
WIDEST = 1000


def data(text: str) -> None:
    """Write what was asked for to stdout."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def as_json(value: Any) -> None:
    """Write a value as JSON to stdout."""
    data(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def note(text: str) -> None:
    """Say something to the person at the terminal."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def fail(message: str, remedy: str = "", code: int = FAULT) -> NoReturn:
    """Say what is wrong and what to do about it, then end with `code`."""
    note(f"✗ {message}")
    if remedy:
        note(f"  → {remedy}")
    raise SystemExit(code)


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write rows in aligned columns to stdout; a line is not broken where there is no terminal."""
    from rich.console import Console
    from rich.table import Table

    drawn = Table(*headings, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        drawn.add_row(*row)
    console = Console(markup=False)  # what is shown is data, brackets and all
    if not console.is_terminal:
        console.width = WIDEST
    console.print(drawn)
