"""ALS: implicit matrix factorisation by alternating least squares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from threadpoolctl import threadpool_limits

from models.evaluation.contender import Fitted, Hyperparameters

from .history import binary_vectors, interactions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from interest_graph.interaction_graph import InteractionGraph
    from models.evaluation.cases import Cases
    from models.evaluation.context import Context

Floats = npt.NDArray[np.float32]


class ALS:
    """Weighted matrix factorisation (Hu, Koren & Volinsky 2008), by the library `implicit`.

        min Σ c_ui (x_ui − p_u · q_i)² + λ (Σ ‖p_u‖² + Σ ‖q_i‖²),  c_ui = α where taken, else 1

    A user's factors are solved from the history at ranking time: (Qᵀ C Q + λI)⁻¹ Qᵀ C x_u, so that
    they move with it.
    """

    name = "als"
    seeded = True
    defaults: Mapping[str, Any] = {
        "factors": 64,
        "regularization": 5.0,
        "alpha": 1.5,
        "iterations": 15,
    }

    def __init__(self, context: Context) -> None:
        self._threads = context.threads

    def fit(
        self,
        graph: InteractionGraph,
        hyperparameters: Hyperparameters,
        seed: int,
        check: Cases | None,
    ) -> Fitted:
        """Factorise."""
        from implicit.cpu.als import AlternatingLeastSquares  # noqa: PLC0415 only evaluations need it

        del check
        with threadpool_limits(1, "blas"):
            model = AlternatingLeastSquares(
                **hyperparameters, num_threads=self._threads, random_state=seed
            )
            model.fit(sparse.csr_matrix(interactions(graph)), show_progress=False)
        return Fitted(ALSRanker(model))


class ALSRanker:
    """Scores by factors of users that are solved from their histories.

    Args:
        model: The fitted model of `implicit`.
    """

    def __init__(self, model: Any) -> None:
        self._model = model

    def __call__(self, cases: Cases) -> Floats:
        """Scores of all items for some cases."""
        taken = sparse.csr_matrix(binary_vectors(cases))
        with threadpool_limits(1, "blas"):
            users = self._model.recalculate_user(np.arange(len(cases)), taken)
        return np.asarray(users @ self._model.item_factors.T, np.float32)
