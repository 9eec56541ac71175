"""Work on several arrays at once: NumPy and SciPy let other threads run while they compute."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Given = TypeVar("Given")
Made = TypeVar("Made")
MOST = 4
"""Each may hold a sparse product of all items, or a dense block of rows, in memory."""


def in_threads(make: Callable[[Given], Made], given: Iterable[Given]) -> list[Made]:
    """What is made of each, in their order; one on each processor at a time, `MOST` at most.

    How many threads torch has is another matter: it has no part in these products.
    """
    with ThreadPoolExecutor(min(MOST, processors())) as pool:
        return list(pool.map(make, given))


def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
