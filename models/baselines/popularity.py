"""Popularity of all time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from models.evaluation.contender import Fitted, Hyperparameters

if TYPE_CHECKING:
    from collections.abc import Mapping

    from interest_graph.interaction_graph import InteractionGraph
    from models.evaluation.cases import Cases
    from models.evaluation.context import Context

Floats = npt.NDArray[np.float32]


class Popularity:
    """Everyone gets the items with most weighted events in the history, whenever they were.

    s(u, i) = Σ w over all events with item i
    """

    name = "popularity"
    seeded = False
    defaults: Mapping[str, Any] = {}

    def __init__(self, context: Context) -> None:
        del context

    def fit(
        self,
        graph: InteractionGraph,
        hyperparameters: Hyperparameters,
        seed: int,
        check: Cases | None,
    ) -> Fitted:
        """Nothing is learned: the ranker counts the history that a case may see."""
        del graph, hyperparameters, seed, check
        return Fitted(PopularityRanker())


class PopularityRanker:
    """Weighted events of each item in the history, the same for each case."""

    def __init__(self) -> None:
        self._counted: tuple[InteractionGraph, Floats] | None = None

    def __call__(self, cases: Cases) -> Floats:
        """Scores of all items for some cases."""
        history = cases.history
        if self._counted is None or self._counted[0] is not history:
            weights = np.asarray(history.event_weights)[history.event_type]
            counts = np.bincount(history.event_item, weights=weights, minlength=history.num_items)
            self._counted = history, counts.astype(np.float32)
        return np.tile(self._counted[1], (len(cases), 1))
