"""Loops over vectors in eight bits; what they are for is said in `quantised_items.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .kernels import kernel

if TYPE_CHECKING:
    Floats = npt.NDArray[np.float32]
    Doubles = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]
    Levels = npt.NDArray[np.int8]
    Dots = npt.NDArray[np.int32]

LARGEST = 127
ROUNDING = 1e-5
"""Of the largest possible product: how float32 may round it, here or in an exact product."""
LONGEST = 1e18
"""Of a vector: a product of longer ones might be beyond what a float32 holds."""
BLOCK = 64
"""Values that are compared at once."""


@kernel("Tuple((i1[:, ::1], f4[::1], f8[::1], f8[::1]))(f4[:, ::1])")
def quantise(vectors: Floats) -> tuple[Levels, Floats, Doubles, Doubles]:
    """Vectors in eight bits: the fields of `Quantised`.

    Args:
        vectors: (n, dim).

    >>> quantise(np.array([[1.0, -0.5]], np.float32))[0].tolist()
    [[127, -64]]
    """
    count, dim = vectors.shape
    levels, scales = np.zeros((count, dim), np.int8), np.ones(count, np.float32)
    length, left = np.zeros(count), np.zeros(count)
    for row in range(count):
        largest, whole = np.float32(0), 0.0
        for axis in range(dim):
            largest = max(largest, abs(vectors[row, axis]))
            whole += np.float64(vectors[row, axis]) ** 2
        length[row] = np.sqrt(whole)
        scale = largest / np.float32(LARGEST)
        if not length[row] < LONGEST:
            length[row] = left[row] = np.inf
        elif scale > 0:
            scales[row] = scale
            rest = 0.0
            for axis in range(dim):
                level = np.rint(vectors[row, axis] / scale)
                # A scale that is hardly a number rounds beyond.
                level = max(min(level, np.float32(LARGEST)), np.float32(-LARGEST))
                levels[row, axis] = np.int8(level)
                rest += (np.float64(vectors[row, axis]) - np.float64(scale) * level) ** 2
            left[row] = np.sqrt(rest)
        else:  # all zeros, or less than a float32 divides
            left[row] = length[row]
    return levels, scales, length, left


@kernel("void(i4[:, ::1], f4[::1], f4[::1], f4[::1], f4[:, ::1], i8)")
def lay_out(
    dots: Dots, units: Floats, scales: Floats, base: Floats, values: Floats, start: int
) -> None:
    """Write what products of levels are worth, and what is added to them.

    Args:
        dots: (B, count) of B queries and some rows.
        units: (B,) what a level of each query is worth.
        scales: (n,) what a level of each row is.
        base: (n,) what is added for each row.
        values: (B, n); written from `start` on.
        start: The first of the rows.
    """
    stop = start + dots.shape[1]
    of_rows, added = scales[start:stop], base[start:stop]
    for query in range(len(dots)):
        unit, own, to = units[query], dots[query], values[query, start:stop]
        for row in range(len(own)):
            to[row] = np.float32(own[row]) * (unit * of_rows[row]) + added[row]


@kernel("f8(f8, f8, f8, f8)")
def wrong_by(length: float, left: float, row_length: float, row_left: float) -> float:
    """By how much a product from levels may be wrong at most; see `quantised_items.py`.

    Args:
        length: Of the query.
        left: Length of what its levels leave of it.
        row_length: Of the row.
        row_left: Length of what its levels leave of it.
    """
    return length * row_left + left * (row_length + row_left) + ROUNDING * length * row_length


@kernel("i8[::1](f4[::1], i8[::1], i8, f8, f8, f4[::1], f4[::1], f8, i8)")
def near_highest(
    values: Floats,
    highest: Ints,
    k: int,
    length: float,
    left: float,
    lengths: Floats,
    lefts: Floats,
    wrong: float,
    most: int,
) -> Ints:
    """Rows whose exact scores may be among the k highest.

    Each of the highest here scores at least what it may be at least; what is to be among the k
    highest has to reach the k-th of these with the most that it may be.

    Args:
        values: (n,) near scores.
        highest: Rows of the highest, at least k. Some more, and one of which little is known does
            not make many near.
        k: How many are looked for.
        length: Of the query.
        left: Length of what its levels leave of it.
        lengths: (n,) of the rows.
        lefts: (n,) of what their levels leave of them.
        wrong: By how much any product may be wrong at most.
        most: How many rows there may be.

    Returns:
        Rows, or `most` + 1 of them where there are more.
    """
    at_least = np.empty(len(highest), np.float64)
    for place in range(len(highest)):
        row = highest[place]
        at_least[place] = values[row] - wrong_by(length, left, lengths[row], lefts[row])
    lowest = np.sort(at_least)[len(highest) - k]
    least = np.float32(lowest - wrong - 1e-6 * abs(lowest))  # a float32 may be rounded up
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
            if not values[row] >= least:
                continue
            if values[row] + wrong_by(length, left, lengths[row], lefts[row]) >= lowest:
                rows[found] = row
                found += 1
                if found > most:
                    return rows
    return rows[:found]


@kernel("f4[::1](f4[::1], i8[::1], f4[::1], i1[::1], f4, f4[:, ::1], i1[:, ::1], f4[::1])")
def exact_scores(
    values: Floats,
    rows: Ints,
    query: Floats,
    own_levels: Levels,
    unit: np.float32,
    embeddings: Floats,
    levels: Levels,
    scales: Floats,
) -> Floats:
    """(m,) the scores of some rows with their exact products in place of the near ones.

    Args:
        values: (n,) near scores.
        rows: (m,).
        query: (dim,).
        own_levels: (dim,) of the query.
        unit: What one of them is worth.
        embeddings: (n, dim).
        levels: (n, dim) of the rows.
        scales: (n,) what a level of each row is.
    """
    exact = np.empty(len(rows), np.float32)
    for place in range(len(rows)):
        row, product, dot = rows[place], np.float64(0), np.int32(0)
        for axis in range(len(query)):
            product += np.float64(embeddings[row, axis]) * np.float64(query[axis])
            dot += np.int32(levels[row, axis]) * np.int32(own_levels[axis])
        near = np.float32(dot) * (unit * scales[row])
        exact[place] = values[row] + np.float32(product - np.float64(near))
    return exact
