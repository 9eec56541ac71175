"""EASE read from the newest events on."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from models.evaluation.contender import Fitted, Hyperparameters

from .ease import DenseRanker, item_weights
from .history import user_vectors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from interest_graph.interaction_graph import InteractionGraph
    from models.evaluation.cases import Cases
    from models.evaluation.context import Context

    from .ease import Floats


class EASERecency:
    """EASE whose user vector fades: B is that of `EASE`, but the history is weighted by recency.

    x_ui = Σ w · decay^rank · 2^(-age / half-life) over u's newest events with i
    """

    name = "ease_recency"
    seeded = False
    defaults: Mapping[str, Any] = {
        "l2": 200.0,
        "history_decay": 0.9,
        "history_half_life_days": 3650.0,
        "max_events": 100,
    }

    def __init__(self, context: Context) -> None:
        del context
        self._solved: tuple[InteractionGraph, float, Floats] | None = None

    def fit(
        self,
        graph: InteractionGraph,
        hyperparameters: Hyperparameters,
        seed: int,
        check: Cases | None,
    ) -> Fitted:
        """Solve for B; the last solution is kept for trials that differ in the decay alone.

        Raises:
            InfeasibleError: There are too many items.
        """
        del seed, check
        l2 = float(hyperparameters["l2"])
        if self._solved is None or self._solved[0] is not graph or self._solved[1] != l2:
            self._solved = None
            self._solved = graph, l2, item_weights(graph, l2)
        vectors = partial(
            user_vectors,
            max_events=int(hyperparameters["max_events"]),
            decay=float(hyperparameters["history_decay"]),
            half_life_days=float(hyperparameters["history_half_life_days"]),
        )
        return Fitted(DenseRanker(self._solved[2], vectors))
