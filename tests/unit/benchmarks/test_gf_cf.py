"""The closed form that checks the evaluation on Gowalla."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from scipy import sparse

from benchmarks.gf_cf import gf_cf


def test_scores_are_those_of_the_formula() -> None:
    """Sparse, batched and without the matrix of all pairs, it is the formula written out."""
    taken = (np.random.default_rng(0).random((12, 9)) < 0.4).astype(np.float64)
    taken[3] = 0
    users, items = np.maximum(taken.sum(1), 1), np.maximum(taken.sum(0), 1)
    normalized = taken / np.sqrt(users)[:, None] / np.sqrt(items)
    leading = np.linalg.svd(normalized)[2][:4].T
    ideal = np.diag(items**-0.5) @ leading @ leading.T @ np.diag(items**0.5)
    expected = taken @ (normalized.T @ normalized + 0.3 * ideal)
    cases = cast("Any", SimpleNamespace(users=np.array([0, 3, 11])))
    found = gf_cf(sparse.csr_array(taken), 4, 0.3)(cases)
    np.testing.assert_allclose(found, expected[[0, 3, 11]], rtol=1e-4, atol=1e-6)
