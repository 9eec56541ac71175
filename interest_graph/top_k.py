"""The highest of many values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .kernels import kernel

if TYPE_CHECKING:
    Floats = npt.NDArray[np.float32]
    Ints = npt.NDArray[np.int64]

BLOCK = 64
"""Values that are compared at once with the lowest of those that are chosen so far."""


@kernel("i8[::1](f4[::1], i8)")
def top_k(values: Floats, k: int) -> Ints:
    """Rows of the k highest values, best first, ties by row.

    Those at -inf, or that are no numbers, are never among them.

    Args:
        values: (n,).
        k: How many, if there are as many.

    >>> top_k(np.array([1.0, -np.inf, 2.0, 2.0], np.float32), 3).tolist()
    [2, 3, 0]
    """
    count = len(values)
    k = max(min(k, count), 0)
    rows, best, found = np.empty(k, np.int64), np.empty(k, np.float32), 0
    if k == 0:
        return rows
    lowest = np.float32(-np.inf)  # what a value must exceed
    for number in range((count + BLOCK - 1) // BLOCK):
        start = number * BLOCK
        stop = min(start + BLOCK, count)
        if stop - start == BLOCK:
            above = 0
            for place in range(BLOCK):  # a number that the compiler knows: several at once
                above += values[start + place] > lowest
            if not above:
                continue
        for row in range(start, stop):
            value = values[row]
            if not value > lowest:
                continue
            found = min(found + 1, k)
            at = found - 1
            while at > 0 and best[at - 1] < value:
                rows[at], best[at] = rows[at - 1], best[at - 1]
                at -= 1
            rows[at], best[at] = row, value
            if found == k:
                lowest = best[k - 1]
    return rows[:found]
