"""Item–item matrices: the strongest neighbours of each item, and scoring by them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable

    from scipy import sparse

    from models.evaluation.cases import Cases

Floats = npt.NDArray[np.float32]


class NeighborhoodRanker:
    """Scores by what the user took and an item–item matrix.

        s(u, i) = Σ_j x_uj · e_ji

    Args:
        neighbors: (items, items) sparse, from what was taken to what is recommended.
        vectors: What the users of cases took, (cases, items) sparse.
    """

    def __init__(
        self, neighbors: sparse.csr_array, vectors: Callable[[Cases], sparse.csr_array]
    ) -> None:
        self._neighbors, self._vectors = neighbors, vectors

    def __call__(self, cases: Cases) -> Floats:
        """Scores of all items for some cases."""
        return np.asarray((self._vectors(cases) @ self._neighbors).toarray(), np.float32)
