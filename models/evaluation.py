"""Evaluation by full ranking: what would have been recommended before a cut, against what came."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from interest_graph.interaction_graph import InteractionGraph

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
STRONG_SHARE = 0.5
MAIN_METRIC = "ndcg_at_10"
BATCH_USERS = 64


@dataclass(frozen=True, slots=True)
class Cases:
    """Users to recommend to at one moment.

    Args:
        history: The events that may be seen.
        users: (U,) int64 rows of users with events before and after the cut.
        as_of: The moment, in seconds since 1970.
        targets: For each user the item rows that came after, distinct and ascending.
    """

    history: InteractionGraph
    users: Ints
    as_of: float
    targets: list[Ints]

    def seen(self, user: int) -> Ints:
        """Item rows of a user's events."""
        bounds = np.searchsorted(self.history.event_user, [user, user + 1])
        return self.history.event_item[bounds[0] : bounds[1]]


Ranker = Callable[[Cases, Ints], Floats]
"""Scores of all items for some users of the cases: (users, items) float32."""


def make_cases(
    history: InteractionGraph, future: InteractionGraph, as_of: float, max_users: int, seed: int
) -> Cases:
    """Cases from the events before and after a cut.

    Wanted are items of events whose type weighs at least half as much as the heaviest type there
    is. Of more than `max_users` users a seeded sample is taken.
    """
    weights = np.asarray(future.event_weights)[future.event_type]
    strong = weights >= weights.max(initial=0.0) * STRONG_SHARE
    user, item = future.event_user[strong], future.event_item[strong]
    users = np.intersect1d(user, history.event_user)
    if len(users) > max_users:
        chosen = np.random.default_rng(seed).choice(len(users), max_users, replace=False)
        users = users[np.sort(chosen)]
    starts, stops = np.searchsorted(user, users, "left"), np.searchsorted(user, users, "right")
    targets = [np.unique(item[a:b]) for a, b in zip(starts, stops, strict=True)]
    return Cases(history, users, as_of, targets)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The outcome of an evaluation.

    Args:
        metrics: Means over users by name.
        per_user: The same for each user that counted, (U,) float64 by name.
    """

    metrics: dict[str, float]
    per_user: dict[str, npt.NDArray[np.float64]]


def evaluate(ranker: Ranker, cases: Cases, k: int = 10, deep_k: int = 20) -> Evaluation:
    """Rank every item for every user.

    Metrics: `ndcg_at_k`, `hit_rate_at_k`, `recall_at_deep_k`, `mrr` and `catalog_coverage` over all
    items; the first three with prefix `new_` for the same among items that the user has no event
    with, over users who wanted such an item. Names hold the numbers, as in `ndcg_at_10`.
    """
    rows: list[dict[str, float]] = []
    shown: set[int] = set()
    for start in range(0, len(cases.users), BATCH_USERS):
        users = cases.users[start : start + BATCH_USERS]
        scores = ranker(cases, users)
        for place, user in enumerate(users):
            targets, line = cases.targets[start + place], scores[place].copy()
            top = top_k(line, deep_k)
            shown.update(top[:k].tolist())
            row = _ranked(top, targets, k, deep_k) | {"mrr": _reciprocal_rank(line, targets)}
            seen = np.unique(cases.seen(int(user)))
            new = np.setdiff1d(targets, seen, assume_unique=True)
            if len(new):
                line[seen] = -np.inf
                fresh = _ranked(top_k(line, deep_k), new, k, deep_k)
                row |= {f"new_{name}": value for name, value in fresh.items()}
            rows.append(row)
    names = sorted({name for row in rows for name in row})
    per_user = {name: np.array([row[name] for row in rows if name in row]) for name in names}
    metrics = {name: float(values.mean()) for name, values in per_user.items()}
    metrics["catalog_coverage"] = len(shown) / max(cases.history.num_items, 1)
    metrics["users"] = float(len(rows))
    return Evaluation(metrics, per_user)


def balanced(evaluation: Evaluation) -> float:
    """What validation maximises: the geometric mean of NDCG among all items and among new ones.

    A shop asks for both; alone, the first would reward nothing but showing what was bought before.
    """
    among_all = evaluation.metrics.get(MAIN_METRIC, 0.0)
    return float(np.sqrt(among_all * evaluation.metrics.get(f"new_{MAIN_METRIC}", among_all)))


def top_k(scores: Floats, k: int) -> Ints:
    """Rows of the k best scores, best first; equal ones by row."""
    count = min(k, len(scores))
    if not count:
        return np.zeros(0, np.int64)
    edge = np.partition(scores, len(scores) - count)[len(scores) - count]
    candidates = np.flatnonzero(scores >= edge)
    return candidates[np.argsort(-scores[candidates], kind="stable")[:count]]


def _ranked(top: Ints, targets: Ints, k: int, deep_k: int) -> dict[str, float]:
    """The metrics of one list of `deep_k` items against the items that were wanted."""
    hits = np.isin(top, targets)
    discounts = 1 / np.log2(np.arange(2, len(top) + 2))
    ideal = discounts[: min(k, len(targets))].sum()
    return {
        f"ndcg_at_{k}": float((hits[:k] * discounts[:k]).sum() / ideal),
        f"hit_rate_at_{k}": float(hits[:k].any()),
        f"recall_at_{deep_k}": float(hits.sum() / len(targets)),
    }


def _reciprocal_rank(scores: Floats, targets: Ints) -> float:
    """One over the rank of the best wanted item; among equals the middle one."""
    best = scores[targets].max()
    ties = int((scores == best).sum()) - 1
    return float(1 / (1 + (scores > best).sum() + ties / 2))
