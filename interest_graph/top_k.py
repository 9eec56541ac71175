"""The highest of many values, of several lists at once."""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

LOWEST = np.finfo(np.float32).min


def top_k(values: npt.NDArray[np.float32], k: int) -> list[int]:
    """Rows of the k highest values, best first, ties by row.

    Those at -inf, or that are no numbers, are never among them.

    >>> top_k(np.array([1.0, -np.inf, 2.0, 2.0], np.float32), 3)
    [2, 3, 0]
    """
    (rows,) = top_k_each(values[None], [k])
    chosen: list[int] = rows.tolist()
    return chosen


def top_k_each(values: npt.NDArray[np.float32], ks: Sequence[int]) -> list[npt.NDArray[np.int64]]:
    """The same of several lists at once.

    Of blocks of rows, k have a value at least as high as the k-th highest of their maxima: what is
    lower is not looked at again. Rows that are as many apart as there are blocks make up a block:
    their maxima are found side by side, a row of blocks at a time.

    Args:
        values: (lists, n).
        ks: How many of each list; at least one.
    """
    lists, count = values.shape
    k = min(max(ks), count)
    if not k:
        return [np.zeros(0, dtype=np.int64)] * lists
    width = max(1, min(64, count // (4 * k)))
    blocks = count // width
    maxima = values[:, : blocks * width].reshape(lists, width, blocks).max(1)
    maxima.partition(blocks - k)
    if np.isnan(maxima[:, blocks - k :].max()):  # they count as the highest in a partition
        return top_k_each(np.where(np.isnan(values), np.float32(-np.inf), values), ks)
    lowest = np.maximum(maxima[:, blocks - k], LOWEST)
    best = np.flatnonzero(values >= lowest[:, None])
    found = best // count
    rows = best[np.lexsort((-values.ravel()[best], found))] - found * count
    bounds = pairwise([0, *accumulate(np.bincount(found, minlength=lists).tolist())])
    return [rows[start:end][:k] for (start, end), k in zip(bounds, ks, strict=True)]
