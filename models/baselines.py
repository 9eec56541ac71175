"""Baselines that every training is compared with, fitted on the same events."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import sparse

from interest_graph.interaction_graph import DAY_S

from .evaluation.metrics import MAIN_METRIC, evaluate
from .item_evidence import EvidenceConfig, evidence, strongest
from .sequences import newest_windows

if TYPE_CHECKING:
    from interest_graph.interaction_graph import InteractionGraph

    from .evaluation.cases import Cases, Ranker

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
DECAYS = (0.95, 0.98, 1.0)
HALF_LIVES = (15.0, 30.0, 60.0, 120.0)
NORMS = ((1.0, 0.0), (0.75, 0.25), (0.5, 0.5))


class Popularity:
    """Every user gets the items with most decayed, weighted events.

    Args:
        graph: The events.
        as_of: The moment, in seconds since 1970.
        half_life_days: Days after which an event counts half.
    """

    def __init__(self, graph: InteractionGraph, as_of: float, half_life_days: float) -> None:
        self._scores = graph.popularity(as_of, half_life_days).astype(np.float32)

    def __call__(self, cases: Cases) -> Floats:
        """Scores of all items, the same for each case."""
        return np.tile(self._scores, (len(cases), 1))


class ItemKNN:
    """Sequence-aware item–item neighbourhood: directed evidence, newest events first.

        s(u, i) = Σ_j decay^rank(j) · e_ji   over the user's newest events

    Args:
        graph: The events.
        config: How pairs of events become evidence.
        history_decay: Weight of an event against the next newer one.
        neighbors: Neighbours kept of each item.
        max_events: Newest events that count.
    """

    def __init__(
        self,
        graph: InteractionGraph,
        config: EvidenceConfig,
        history_decay: float = 0.95,
        neighbors: int = 200,
        max_events: int = 100,
    ) -> None:
        self._decay, self._max_events = history_decay, max_events
        self._weights = np.asarray(graph.event_weights, dtype=np.float32)
        self._edges = _pruned(evidence(graph, config), neighbors)

    def __call__(self, cases: Cases) -> Floats:
        """Scores of all items for some cases."""
        history = cases.history
        index, real = newest_windows(history, cases.users, self._max_events)
        rank = real.sum(1, keepdims=True) - 1 - np.arange(self._max_events)
        amount = np.where(real, self._decay ** np.maximum(rank, 0), 0).astype(np.float32)
        amount *= self._weights[history.event_type[index]]
        row, column = np.nonzero(real)
        places = (row, history.event_item[index[row, column]])
        shape = (len(cases), history.num_items)
        wanted = sparse.csr_array((amount[row, column], places), shape=shape)
        return np.asarray((wanted @ self._edges).toarray(), dtype=np.float32)


def _pruned(matrix: sparse.csr_array, count: int) -> sparse.csr_array:
    """The matrix with the `count` largest entries of each row."""
    rows, columns, values = strongest(matrix, count)
    return sparse.csr_array((values, (rows, columns)), shape=matrix.shape)


class PersonalPopularity:
    """What the user took most often, each time halved with age; then what is popular.

    A hard baseline where people buy the same things again, and no help where they do not.

    Args:
        graph: The events behind the popularity.
        as_of: The moment, in seconds since 1970.
        half_life_days: Days after which an event counts half.
    """

    def __init__(self, graph: InteractionGraph, as_of: float, half_life_days: float) -> None:
        popularity = graph.popularity(as_of, half_life_days)
        self._rest = (popularity / max(popularity.max(initial=0.0), 1e-12) * 1e-3).astype(
            np.float32
        )
        self._half_life = half_life_days

    def __call__(self, cases: Cases) -> Floats:
        """Scores of all items for some cases."""
        history = cases.history
        scores = np.tile(self._rest, (len(cases), 1))
        weights = np.asarray(history.event_weights)[history.event_type]
        starts = np.searchsorted(history.event_user, cases.users, side="left")
        stops = np.searchsorted(history.event_user, cases.users, side="right")
        for place, (start, stop) in enumerate(zip(starts, stops, strict=True)):
            age_days = (cases.as_of[place] - history.event_time[start:stop]) / DAY_S
            decayed = weights[start:stop] * np.exp2(-age_days / self._half_life)
            np.add.at(scores[place], history.event_item[start:stop], decayed.astype(np.float32))
        return scores


def tune_baselines(
    past: InteractionGraph, check: Cases, test: Cases
) -> tuple[EvidenceConfig, dict[str, Ranker]]:
    """Fit the baselines, each with the hyperparameters that validate best by NDCG@10.

    Args:
        past: The events before validation, from which the neighbourhood is learned.
        check: The validation.
        test: The test; popularity is as of its moment, as in service.

    Returns:
        The evidence of the best neighbourhood, and the rankers by name.
    """

    def value(ranker: Ranker) -> float:
        return evaluate(ranker, check).metrics.get(MAIN_METRIC, 0.0)

    tried = [EvidenceConfig(source_power=source, target_power=target) for source, target in NORMS]
    best = max(tried, key=lambda config: value(ItemKNN(past, config)))
    decay = max(DECAYS, key=lambda decay: value(ItemKNN(past, best, decay)))
    rankers: dict[str, Ranker] = {"item_knn": ItemKNN(past, best, decay)}
    kinds: dict[str, type[Popularity | PersonalPopularity]] = {
        "popularity": Popularity,
        "personal_popularity": PersonalPopularity,
    }
    for name, kind in kinds.items():
        days = max(
            HALF_LIVES, key=lambda days: value(kind(check.history, float(check.as_of[0]), days))
        )
        rankers[name] = kind(test.history, float(test.as_of[0]), days)
    return best, rankers
