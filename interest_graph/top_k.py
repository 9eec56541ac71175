"""The highest of many values."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

LOWEST = np.finfo(np.float32).min


def top_k(values: npt.NDArray[np.float32], k: int) -> list[int]:
    """Rows of the k highest values, best first, ties by row.

    Those at -inf, or that are no numbers, are never among them.

    Of blocks of rows, k have a value at least as high as the k-th highest of their maxima: what is
    lower is not looked at again. Rows that are as many apart as there are blocks make up a block:
    their maxima are found side by side, a row of blocks at a time.

    >>> top_k(np.array([1.0, -np.inf, 2.0, 2.0], np.float32), 3)
    [2, 3, 0]
    """
    k = min(k, len(values))
    if not k:
        return []
    width = max(1, min(64, len(values) // (4 * k)))
    blocks = len(values) // width
    maxima = values[: blocks * width].reshape(width, blocks).max(0)
    maxima.partition(blocks - k)
    if np.isnan(maxima[blocks - k :].max()):  # they count as the highest in a partition
        return top_k(np.where(np.isnan(values), np.float32(-np.inf), values), k)
    best = np.flatnonzero(values >= max(maxima[blocks - k], LOWEST))
    order = np.lexsort((best, -values[best]))[:k]
    chosen: list[int] = best[order].tolist()
    return chosen
