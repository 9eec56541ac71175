"""Popularity that fades."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from interest_graph.interaction_graph import DAY_S
from models.evaluation.contender import Fitted, Hyperparameters

if TYPE_CHECKING:
    from collections.abc import Mapping

    from interest_graph.interaction_graph import InteractionGraph
    from models.evaluation.cases import Cases
    from models.evaluation.context import Context

Floats = npt.NDArray[np.float32]


class RecentPopularity:
    """Everyone gets what is popular at the moment of asking; older events count less.

    s(u, i) = Σ w · 2^(-age / half-life) over the events with item i up to the case's moment
    """

    name = "recent_popularity"
    seeded = False
    defaults: Mapping[str, Any] = {"half_life_days": 30.0}

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
        del graph, seed, check
        return Fitted(RecentPopularityRanker(float(hyperparameters["half_life_days"])))


class RecentPopularityRanker:
    """Decayed, weighted events of each item at the moment of each case.

    Args:
        half_life_days: Age at which an event counts half.
    """

    def __init__(self, half_life_days: float) -> None:
        self._half_life_s = half_life_days * DAY_S
        self._order: tuple[InteractionGraph, npt.NDArray[np.int64]] | None = None

    def __call__(self, cases: Cases) -> Floats:
        """Scores of all items for some cases: one pass over the events in order of time."""
        history = cases.history
        if self._order is None or self._order[0] is not history:
            self._order = history, np.argsort(history.event_time, kind="stable")
        order = self._order[1]
        time, item = history.event_time[order], history.event_item[order]
        weight = np.asarray(history.event_weights)[history.event_type[order]]
        scores = np.empty((len(cases), history.num_items), np.float32)
        total, done, now = np.zeros(history.num_items), 0, 0.0
        for moment in np.unique(cases.as_of).tolist():
            total *= np.exp2((now - moment) / self._half_life_s) if done else 1.0
            stop = int(np.searchsorted(time, moment, side="right"))
            fresh = slice(done, stop)
            amount = weight[fresh] * np.exp2((time[fresh] - moment) / self._half_life_s)
            total += np.bincount(item[fresh], weights=amount, minlength=history.num_items)
            done, now = stop, moment
            scores[cases.as_of == moment] = total
        return scores
