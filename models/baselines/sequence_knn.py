"""Item–item neighbourhood that knows order and recency: the baseline to beat."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from interest_graph.interaction_graph import DAY_S, InteractionGraph
from models.evaluation.contender import Fitted, Hyperparameters
from models.sparse_rows import pruned

from .history import user_vectors
from .neighborhood import NeighborhoodRanker

if TYPE_CHECKING:
    from collections.abc import Mapping

    from models.evaluation.cases import Cases
    from models.evaluation.context import Context

Values = npt.NDArray[np.float64]
MAX_PAIRS = 60_000_000


class SequenceKNN:
    """Directed pair counts that decay with distance and age, read from the newest events on.

        s(u, i) = Σ_j w_j · history_decay^rank(j) · 2^(-age(j) / history_half_life) · e_ji
        e_ji = (c_ji + reverse · c_ij) / ((n_j + smoothing)^a · (n_i + smoothing)^b)
        c_ji = Σ √(w_j w_i) · distance_decay^(distance - 1) · 2^(-age / half_life)

    over the pairs of events of one user, at most `window` apart, in which j comes before i; pairs
    at the same moment count in both directions; n are the decayed events. A relative of sequence-
    and time-aware neighbourhoods (Ludewig & Jannach 2018, arXiv:1803.09587; Garg et al. 2019,
    arXiv:1905.08297). It counts on its own, so that it stays what it is when the model changes.
    """

    name = "sequence_knn"
    seeded = False
    defaults: Mapping[str, Any] = {
        "window": 20,
        "distance_decay": 0.9,
        "half_life_days": 365.0,
        "source_power": 0.5,
        "target_power": 0.5,
        "smoothing": 8.0,
        "reverse": 0.3,
        "neighbors": 400,
        "history_decay": 0.8,
        "history_half_life_days": 3650.0,
        "max_events": 60,
    }

    def __init__(self, context: Context) -> None:
        del context
        self._counted: tuple[InteractionGraph, tuple[Any, ...], sparse.csr_array, Values] | None = (
            None
        )

    def fit(
        self,
        graph: InteractionGraph,
        hyperparameters: Hyperparameters,
        seed: int,
        check: Cases | None,
    ) -> Fitted:
        """Count pairs; the window is cut so that no more than `MAX_PAIRS` are counted."""
        del seed, check
        given = dict(hyperparameters)
        pairs, events = self._counts(
            graph,
            max(1, min(given["window"], MAX_PAIRS // max(graph.num_events, 1))),
            given["distance_decay"],
            given["half_life_days"],
            given["reverse"],
        )
        entries = pairs.tocoo()
        events = events + given["smoothing"]
        source = events[entries.row] ** -given["source_power"]
        values = entries.data * source * events[entries.col] ** -given["target_power"]
        places = (values.astype(np.float32), (entries.row, entries.col))
        vectors = partial(
            user_vectors,
            max_events=given["max_events"],
            decay=given["history_decay"],
            half_life_days=given["history_half_life_days"],
        )
        kept = pruned(sparse.csr_array(places, shape=pairs.shape), given["neighbors"])
        return Fitted(NeighborhoodRanker(kept, vectors))

    def _counts(self, graph: InteractionGraph, *options: Any) -> tuple[sparse.csr_array, Values]:
        """`pair_counts`, those of before where graph and options are the same."""
        kept = self._counted
        if kept is None or kept[0] is not graph or kept[1] != options:
            kept = self._counted = (graph, options, *pair_counts(graph, *options))
        return kept[2], kept[3]


def pair_counts(
    graph: InteractionGraph,
    window: int,
    distance_decay: float,
    half_life_days: float,
    reverse: float,
) -> tuple[sparse.csr_array, Values]:
    """How much each item was followed by each other.

    Returns:
        The counts c_ji + reverse · c_ij, (items, items) sparse, and the decayed events n, (items,).
    """
    user, item, time = graph.event_user, graph.event_item, graph.event_time
    age_days = (float(time.max(initial=0.0)) - time) / DAY_S
    weight = np.asarray(graph.event_weights)[graph.event_type]
    weight = np.sqrt(weight * np.exp2(-age_days / half_life_days))
    shape = (graph.num_items, graph.num_items)
    total: sparse.csr_array[Any, Any] = sparse.csr_array(shape, dtype=np.float32)
    for distance in range(1, window + 1):
        first, second = slice(None, -distance), slice(distance, None)
        same = user[first] == user[second]
        if not same.any():
            break
        source, target = item[first][same], item[second][same]
        amount = (weight[first] * weight[second])[same] * distance_decay ** (distance - 1)
        back = np.where((time[first] == time[second])[same], 1.0, reverse) * amount
        back[source == target] = 0.0
        for values, places in ((amount, (source, target)), (back, (target, source))):
            some = values > 0
            placed = (values[some].astype(np.float32), (places[0][some], places[1][some]))
            total = total + sparse.csr_array(placed, shape=shape)
    events = np.bincount(item, weights=weight, minlength=graph.num_items)
    return total, events.astype(np.float64)
