"""Personal popularity: what someone takes again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from models.evaluation.contender import Fitted, Hyperparameters

from .history import user_vectors
from .recent_popularity import RecentPopularityRanker

if TYPE_CHECKING:
    from collections.abc import Mapping

    from interest_graph.interaction_graph import InteractionGraph
    from models.evaluation.cases import Cases
    from models.evaluation.context import Context

Floats = npt.NDArray[np.float32]
REST_SHARE = 1e-3


class PersonalPopularity:
    """What the user took most often, each time halved with age; then what is popular.

        s(u, i) = Σ w · 2^(-age / half-life) over u's events with i, + 0.001 · popularity in [0, 1]

    A hard baseline where people buy the same things again, and no help where they do not.
    """

    name = "personal_popularity"
    seeded = False
    defaults: Mapping[str, Any] = {"half_life_days": 60.0, "rest_half_life_days": 30.0}

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
        own = float(hyperparameters["half_life_days"])
        rest = float(hyperparameters["rest_half_life_days"])
        return Fitted(PersonalPopularityRanker(own, rest))


class PersonalPopularityRanker:
    """The user's own decayed events, then everyone's.

    Args:
        half_life_days: Age at which an event of the user counts half.
        rest_half_life_days: Age at which anyone's event counts half.
    """

    def __init__(self, half_life_days: float, rest_half_life_days: float) -> None:
        self._half_life_days = half_life_days
        self._rest = RecentPopularityRanker(rest_half_life_days)

    def __call__(self, cases: Cases) -> Floats:
        """Scores of all items for some cases."""
        rest = self._rest(cases)
        rest *= REST_SHARE / np.maximum(rest.max(axis=1, keepdims=True, initial=0.0), 1e-12)
        own = user_vectors(cases, half_life_days=self._half_life_days)
        return rest + np.asarray(own.toarray(), np.float32)
