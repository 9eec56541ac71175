"""Finds out on the validation how pairs of events are best turned into evidence."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from .evaluation.metrics import MAIN_METRIC, evaluate
from .item_evidence import (
    EvidenceConfig,
    borrowed_evidence,
    direct_evidence,
    scaled,
    with_borrowed,
)
from .sequences import newest_windows
from .sparse_rows import Matrix, pruned

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from interest_graph.interaction_graph import InteractionGraph

    from .evaluation.cases import Cases

Floats = npt.NDArray[np.float32]
MAX_EVENTS = 50
STEPS: dict[str, tuple[float, ...]] = {
    "history_decay": (0.3, 0.5, 0.65, 0.8, 0.9, 0.96, 1.0),
    "target_power": (0.0, 0.1, 0.25, 0.4, 0.5, 0.65, 0.8),
    "user_power": (0.0, 0.25, 0.5, 0.75, 1.0),
    "source_power": (0.0, 0.2, 0.4, 0.5, 0.6, 0.8, 1.0),
    "reverse": (0.0, 0.1, 0.25, 0.5, 0.75, 1.0),
    "distance_decay": (0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0),
    "half_life_days": (7.0, 15.0, 30.0, 60.0, 120.0, 365.0, 3650.0),
    "smoothing": (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 40.0),
    "predicted": (0.0, 0.1, 0.2, 0.3, 0.4, 0.5),
    "window": (5, 10, 20, 40, 60),
    "borrowed": (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0),
}
ROUNDS = 2
# What matters where nothing came first.
ANY_ORDER = ("target_power", "user_power", "source_power", "smoothing", "predicted", "borrowed")
IN_ORDER = tuple(name for name in STEPS if name != "predicted")
"""Where there is an order a trained model gained nothing by predicted events: docs/quality.md."""


def search_evidence(
    graph: InteractionGraph,
    check: Cases,
    edges_per_item: int,
    start: EvidenceConfig,
    lent: Matrix | None = None,
    wanted: Collection[str] = tuple(STEPS),
) -> tuple[EvidenceConfig, float]:
    """Coordinate search for the evidence with which a plain neighbourhood validates best.

        s(u, i) = Σ_j decay^rank(j) · e_ji   over the user's newest events

    It is judged by the new items: what is wanted again is a term of its own. Where all events are
    of one moment every pair counts alike, and only the normalisation is searched.

    Args:
        graph: The events before the validation.
        check: The validation.
        edges_per_item: Strongest edges that are kept of each item.
        start: Where the search begins.
        lent: The shares in which items borrow evidence, as of `models.likeness.lenders`.
        wanted: What is searched; the rest stays as it is.

    Returns:
        The evidence, and the decay of a user's events from one to the next older one.
    """
    known: dict[EvidenceConfig, sparse.csr_array] = {}
    evidence = KnownEvidence(graph, lent)
    ordered = graph.has_order

    def judge(point: dict[str, Any]) -> float:
        config = replace(start, **{name: point[name] for name in point if name != "history_decay"})
        if config not in known:
            known.clear()
            known[config] = pruned(evidence(config), edges_per_item)
        ranker = _Neighborhood(known[config], point["history_decay"])
        metrics = evaluate(ranker, check).metrics
        return metrics.get(f"new_{MAIN_METRIC}", metrics.get(MAIN_METRIC, 0.0))

    point = {name: getattr(start, name) for name in STEPS if name != "history_decay"}
    names = [
        name
        for name in (IN_ORDER if ordered else ANY_ORDER)
        if name in wanted and (name != "borrowed" or (lent is not None and lent.nnz))
    ]
    best = _climb({"history_decay": 0.9 if ordered else 1.0} | point, judge, names)
    decay = float(best.pop("history_decay"))
    return replace(start, **best), decay


def _climb(
    start: dict[str, Any], judge: Callable[[dict[str, Any]], float], names: Sequence[str]
) -> dict[str, Any]:
    """Along each coordinate, step by step as long as it gets better; `ROUNDS` times round."""
    best, value = dict(start), judge(start)
    for _ in range(ROUNDS):
        before = value
        for name in names:
            steps = STEPS[name]
            for direction in (1, -1):
                moved = False
                while (step := _next(steps, best[name], direction)) is not None:
                    found = judge(best | {name: step})
                    if found <= value:
                        break
                    best, value, moved = best | {name: step}, found, True
                if moved:
                    break
        if value == before:
            break
    return best


def _next(steps: tuple[float, ...], value: float, direction: int) -> float | None:
    """The step after a value in a direction, or None at the end."""
    beyond = [step for step in steps if (step - value) * direction > 0]
    return None if not beyond else min(beyond, key=lambda step: abs(step - value))


class KnownEvidence:
    """Evidence of different configurations; what only its borrowed part needs is not done again."""

    def __init__(self, graph: InteractionGraph, lent: Matrix | None) -> None:
        self._graph, self._alone = graph, np.zeros(len(graph.user_ids), np.int64)
        self._backwards = None if lent is None else sparse.csr_array(lent.T)
        self._direct: tuple[EvidenceConfig, sparse.csr_array] | None = None
        self._borrowed: sparse.csr_array | None = None

    def __call__(self, config: EvidenceConfig) -> sparse.csr_array:
        """As `models.item_evidence.evidence`."""
        own = replace(config, borrowed=0.0)
        if self._direct is None or self._direct[0] != own:
            (direct,) = direct_evidence(self._graph, own, self._alone)
            self._direct, self._borrowed = (own, direct), None
        direct = self._direct[1]
        if self._backwards is None or not config.borrowed:
            return scaled([direct])[0]
        if self._borrowed is None:
            self._borrowed = borrowed_evidence(direct, self._backwards)
        return scaled([with_borrowed(direct, self._borrowed, config.borrowed)])[0]


class _Neighborhood:
    """Scores by the evidence of a user's newest events."""

    def __init__(self, edges: sparse.csr_array, decay: float) -> None:
        self._edges, self._decay = edges, decay

    def __call__(self, cases: Cases) -> Floats:
        history = cases.history
        index, real = newest_windows(history, cases.users, MAX_EVENTS)
        age = real.sum(1, keepdims=True) - 1 - np.arange(MAX_EVENTS)
        amount = np.where(real, self._decay ** np.maximum(age, 0), 0.0)
        amount = amount * np.asarray(history.event_weights)[history.event_type[index]]
        row, column = np.nonzero(real)
        places = (row, history.event_item[index[row, column]])
        shape = (len(cases), history.num_items)
        taken = sparse.csr_array((amount[row, column].astype(np.float32), places), shape=shape)
        return np.asarray((taken @ self._edges).toarray(), np.float32)
