"""The highest of many values, and of values that are nearly known."""

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


@kernel("i8[::1](f4[::1], f4, i8)")
def not_below(values: Floats, least: np.float32, most: int) -> Ints:
    """Rows of values that are not below the least, at most `most` + 1 of them."""
    rows, found = np.empty(most + 1, np.int64), 0
    for number in range((len(values) + BLOCK - 1) // BLOCK):
        start = number * BLOCK
        stop = min(start + BLOCK, len(values))
        if stop - start == BLOCK:
            near = 0
            for place in range(BLOCK):
                near += values[start + place] >= least
            if not near:
                continue
        for row in range(start, stop):
            if values[row] >= least:
                rows[found] = row
                found += 1
                if found > most:
                    return rows
    return rows[:found]


@kernel("i8[::1](f4[::1], i8, f8, i8)")
def near_top_k(values: Floats, k: int, wrong: float, most: int) -> Ints:
    """Rows that the k highest are among when each value may be wrong, in no order.

    The k-th highest here may be too high, and what truly is as high too low: what is within twice
    the error is near. Values at -inf, or that are no numbers, are not.

    Args:
        values: (n,).
        k: How many are looked for.
        wrong: By how much a value may be wrong at most, not negative; endless is too many rows.
        most: How many rows there may be.

    Returns:
        Rows, or `most` + 1 of them where there are more.

    >>> near_top_k(np.array([1.0, 3.0, 2.0, 2.9], np.float32), 1, 0.25, 10).tolist()
    [1, 3]
    """
    if not wrong < np.inf:
        return np.zeros(most + 1, np.int64)
    highest = top_k(values, k)
    if len(highest) == 0 or len(highest) < k:
        return highest
    lowest = values[highest[-1]]
    least = np.float32(lowest - 2 * wrong)
    return not_below(values, least, most) if least < lowest else highest
