"""BPR: matrix factorisation that learns from pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from threadpoolctl import threadpool_limits

from models.evaluation.contender import Fitted, Hyperparameters

from .history import binary_vectors, interactions
from .infeasible import InfeasibleError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from interest_graph.interaction_graph import InteractionGraph
    from models.evaluation.cases import Cases
    from models.evaluation.context import Context

Floats = npt.NDArray[np.float32]
FOLD_IN_STEPS = 50
FOLD_IN_RATE = 0.05


class BPR:
    """Bayesian personalised ranking (Rendle et al. 2009, arXiv:1205.2618), by `implicit`.

        max Σ log σ(p_u · (q_i − q_j)) − λ ‖θ‖²   over taken i and sampled j that were not taken

    A user whose history is not the one that was fitted gets factors by the same steps with the
    items' factors held.
    """

    name = "bpr"
    seeded = True
    defaults: Mapping[str, Any] = {
        "factors": 128,
        "learning_rate": 0.02,
        "regularization": 0.02,
        "iterations": 80,
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
        """Factorise; with more than one thread equal seeds differ a little.

        Raises:
            InfeasibleError: The steps are too long: factors grow beyond all bounds.
        """
        from implicit.cpu.bpr import BayesianPersonalizedRanking  # noqa: PLC0415 as in `als`
        from implicit.recommender_base import ModelFitError  # noqa: PLC0415 as in `als`

        del check
        taken = interactions(graph)
        with threadpool_limits(1, "blas"):
            model = BayesianPersonalizedRanking(
                **hyperparameters, num_threads=self._threads, random_state=seed
            )
            try:
                model.fit(sparse.csr_matrix(taken), show_progress=False)
            except ModelFitError as error:
                msg = f"BPR: {error} with {dict(hyperparameters)}"
                raise InfeasibleError(msg) from error
        factors = (np.asarray(model.user_factors), np.asarray(model.item_factors))
        return Fitted(BPRRanker(*factors, taken, model.regularization))


class BPRRanker:
    """Scores by fitted factors, or by those that are found for another history.

    Args:
        users: (users, factors + 1) float32; the last is 1, for the items' bias.
        items: (items, factors + 1) float32.
        taken: (users, items) of ones, what the factors of users were fitted to.
        l2: The regularisation λ.
    """

    def __init__(self, users: Floats, items: Floats, taken: sparse.csr_array, l2: float) -> None:
        self._users, self._items, self._taken, self._l2 = users, items, taken, l2

    def __call__(self, cases: Cases) -> Floats:
        """Scores of all items for some cases."""
        taken = binary_vectors(cases)
        factors = self._users[cases.users].copy()
        moved = np.flatnonzero(abs(taken - self._taken[cases.users]).sum(axis=1) > 0)
        if len(moved):
            factors[moved] = self._fold_in(factors[moved], sparse.csr_array(taken[moved]))
        return np.asarray(factors @ self._items.T, np.float32)

    def _fold_in(self, users: Floats, taken: sparse.csr_array) -> Floats:
        """Gradient steps on users' factors; always the same negatives are drawn."""
        rng = np.random.default_rng(0)
        pairs = taken.tocoo()
        gather = sparse.csr_array(
            (np.ones(len(pairs.row), np.float32), (pairs.row, np.arange(len(pairs.row)))),
            shape=(len(users), len(pairs.row)),
        )
        users[~np.isfinite(users)] = 0.0
        users[:, -1] = 1.0
        for _ in range(FOLD_IN_STEPS):
            negative = rng.integers(0, len(self._items), len(pairs.row))
            difference = self._items[pairs.col] - self._items[negative]
            margin = (users[pairs.row] * difference).sum(1)
            pull = gather @ (difference / (1 + np.exp(margin))[:, None])
            users += FOLD_IN_RATE * (pull - self._l2 * users)
            users[:, -1] = 1.0
        return users
