"""Ways to bring the scores of two rankers to one scale and to add them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


def z_score(scores: Floats) -> Floats:
    """Each case's scores less their mean, over their standard deviation.

    >>> z_score(np.array([[0.0, 2.0], [3.0, 3.0]], np.float32)).tolist()
    [[-1.0, 1.0], [0.0, 0.0]]
    """
    centered = scores - scores.mean(axis=1, keepdims=True)
    return np.asarray(centered / np.maximum(scores.std(axis=1, keepdims=True), 1e-9), np.float32)


def min_max(scores: Floats) -> Floats:
    """Each case's scores from 0 for the least to 1 for the best.

    >>> min_max(np.array([[0.0, 1.0, 4.0]], np.float32)).tolist()
    [[0.0, 0.25, 1.0]]
    """
    least = scores.min(axis=1, keepdims=True)
    spread = np.maximum(scores.max(axis=1, keepdims=True) - least, 1e-9)
    return np.asarray((scores - least) / spread, np.float32)


def ranks(scores: Floats) -> Floats:
    """The rank of every item of each case, 1 for the best; equal scores share their mean rank.

    >>> ranks(np.array([[0.1, 0.9, 0.1]], np.float32)).tolist()
    [[2.5, 1.0, 2.5]]
    """
    found = np.empty(scores.shape, np.float32)
    for line, place in zip(scores, found, strict=True):
        distinct, inverse, count = np.unique(line, return_inverse=True, return_counts=True)
        below = np.cumsum(count[::-1])[::-1] - (count - 1) / 2
        place[:] = below[inverse] if len(distinct) else 0.0
    return found


def reciprocal_rank(scores: Floats, constant: float = 60.0) -> Floats:
    """1 / (constant + rank), as in reciprocal-rank fusion (Cormack et al. 2009).

    >>> reciprocal_rank(np.array([[0.1, 0.9]], np.float32), 1.0).round(2).tolist()
    [[0.33, 0.5]]
    """
    return np.asarray(1.0 / (constant + ranks(scores)), np.float32)


def log_rank(scores: Floats) -> Floats:
    """-log of the rank: the difference between first and second counts as that of 50th and 100th.

    >>> log_rank(np.array([[0.1, 0.9]], np.float32)).round(2).tolist()
    [[-0.69, -0.0]]
    """
    return np.asarray(-np.log(ranks(scores)), np.float32)


NORMALIZERS = {
    "z_score": z_score,
    "min_max": min_max,
    "reciprocal_rank": reciprocal_rank,
    "log_rank": log_rank,
}
