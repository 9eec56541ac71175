"""EASE: a linear model of items from items with a closed form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import lapack

from models.evaluation.contender import Fitted, Hyperparameters

from .history import binary_vectors, interactions
from .infeasible import InfeasibleError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from scipy import sparse

    from interest_graph.interaction_graph import InteractionGraph
    from models.evaluation.cases import Cases
    from models.evaluation.context import Context

Floats = npt.NDArray[np.float32]
MAX_ITEMS = 15_000


class EASE:
    """Embarrassingly shallow autoencoder (Steck 2019, arXiv:1905.03375).

        B = argmin ‖X − XB‖² + λ ‖B‖²  with diag(B) = 0
        P = (XᵀX + λI)⁻¹,  B_ij = −P_ij / P_jj,  s(u, ·) = x_u B

    X is binary, also where people take the same item again. In float32, and refused for more than
    `MAX_ITEMS` items: time grows with their cube and memory with their square.
    """

    name = "ease"
    seeded = False
    defaults: Mapping[str, Any] = {"l2": 200.0}

    def __init__(self, context: Context) -> None:
        del context

    def fit(
        self,
        graph: InteractionGraph,
        hyperparameters: Hyperparameters,
        seed: int,
        check: Cases | None,
    ) -> Fitted:
        """Solve for B.

        Raises:
            InfeasibleError: There are more than `MAX_ITEMS` items.
        """
        del seed, check
        weights = item_weights(graph, float(hyperparameters["l2"]))
        return Fitted(DenseRanker(weights, binary_vectors))


class DenseRanker:
    """Scores by what the user took and a dense item–item matrix.

    Args:
        weights: (items, items) float32.
        vectors: What the users of cases took, (cases, items) sparse.
    """

    def __init__(self, weights: Floats, vectors: Callable[[Cases], sparse.csr_array]) -> None:
        self._weights, self._vectors = weights, vectors

    def __call__(self, cases: Cases) -> Floats:
        """Scores of all items for some cases."""
        return np.asarray(self._vectors(cases) @ self._weights, np.float32)


def item_weights(graph: InteractionGraph, l2: float) -> Floats:
    """The matrix B of a graph's events.

    Args:
        graph: The events.
        l2: The regularisation λ.

    Raises:
        InfeasibleError: There are more than `MAX_ITEMS` items.
    """
    if graph.num_items > MAX_ITEMS:
        msg = (
            f"EASE inverts a dense matrix of items by items: {graph.num_items:,} items are more "
            f"than the {MAX_ITEMS:,} that it is run for"
        )
        raise InfeasibleError(msg)
    taken = interactions(graph)
    gram = np.asfortranarray((taken.T @ taken).toarray(), np.float32)
    gram[np.diag_indices_from(gram)] += l2
    factor, not_definite = lapack.spotrf(gram, lower=True, overwrite_a=True)
    inverse, singular = lapack.spotri(factor, lower=True, overwrite_c=True)
    if not_definite or singular:
        msg = f"EASE: the Gram matrix with λ = {l2} is not positive definite in float32"
        raise InfeasibleError(msg)
    lower = np.tril(inverse, -1)
    diagonal = np.diagonal(inverse).copy()
    weights: Floats = -(lower + lower.T) / diagonal
    return np.ascontiguousarray(weights)
