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


@kernel("i1(f4, f4)")
def level_of(number: np.float32, scale: np.float32) -> np.int8:
    """The level of one number of a vector; a scale that is hardly a number rounds beyond."""
    level = np.rint(number / scale)
    return np.int8(max(min(level, np.float32(LARGEST)), np.float32(-LARGEST)))


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
        if not length[row] < np.inf:
            length[row] = left[row] = np.inf
        elif scale > 0:
            scales[row] = scale
            rest = 0.0
            for axis in range(dim):
                level = level_of(vectors[row, axis], scale)
                levels[row, axis] = level
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


@kernel("f4[::1](f4[::1], i8[::1], f4[::1], i1[::1], f4, f4[:, ::1], f4[::1])")
def exact_scores(
    values: Floats,
    rows: Ints,
    query: Floats,
    levels: Levels,
    unit: np.float32,
    embeddings: Floats,
    scales: Floats,
) -> Floats:
    """(m,) the scores of some rows with their exact products in place of the near ones.

    Args:
        values: (n,) near scores.
        rows: (m,).
        query: (dim,).
        levels: (dim,) of the query.
        unit: What one of them is worth.
        embeddings: (n, dim).
        scales: (n,) what a level of each row is.
    """
    exact = np.empty(len(rows), np.float32)
    for place in range(len(rows)):
        row, product, dot = rows[place], np.float64(0), np.float32(0)
        for axis in range(len(query)):
            number = embeddings[row, axis]
            product += np.float64(number) * np.float64(query[axis])
            dot += np.float32(level_of(number, scales[row])) * np.float32(levels[axis])
        exact[place] = values[row] + np.float32(product - np.float64(dot * (unit * scales[row])))
    return exact
