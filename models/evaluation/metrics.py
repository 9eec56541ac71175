"""Metrics by full ranking: the rank of everything that was wanted, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from interest_graph.top_k import top_k

if TYPE_CHECKING:
    from interest_graph.interaction_graph import InteractionGraph

    from .cases import Cases, Floats, Ints, Ranker

MAIN_METRIC = "ndcg_at_10"
BATCH_CASES = 128
MANY = 8  # targets from which on it is faster to sort the scores than to compare with each
Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Ranking:
    """Where everything that was wanted stood among all items that were ranked.

    Args:
        cases: Number of cases.
        case: (R,) int64, the case of each wanted item, ascending.
        item: (R,) int64, its row.
        rank: (R,) float64 from 1; among equal scores the middle; infinite for an item that was
            left out.
        new_rank: (R,) float64, the same among items that the user had no event with; NaN for items
            that the user had one with.
        top: (cases, deep_k) int64, the best items of each case, -1 where there are fewer.
    """

    cases: int
    case: Ints
    item: Ints
    rank: Values
    new_rank: Values
    top: Ints


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The outcome of an evaluation.

    Args:
        metrics: Means over cases by name.
        per_case: The same for each case, (cases,) float64 by name; NaN where it does not count.
        ranking: Where it comes from.
    """

    metrics: dict[str, float]
    per_case: dict[str, Values]
    ranking: Ranking


def evaluate(ranker: Ranker, cases: Cases, k: int = 10, deep_k: int = 20) -> Evaluation:
    """Rank every item for every case.

    Metrics: those of `metrics_by_case`, as means over the cases where they count;
    `catalog_coverage`, the share of the ranked items that stand in any list of k; and
    `popularity_bias`, the mean over the lists of k of the items' popularity percentile (0 for the
    rarest item in the history, 1 for the most popular).
    """
    eligible = cases.history.num_items if cases.candidates is None else int(cases.candidates.sum())
    return judge(rank(ranker, cases, deep_k), popularity_percentile(cases.history), eligible, k)


def judge(ranking: Ranking, percentile: Values, eligible: int, k: int = 10) -> Evaluation:
    """The metrics of a ranking; see `evaluate`.

    Args:
        ranking: Where everything stood; as deep as its lists.
        percentile: (items,) float64, see `popularity_percentile`.
        eligible: Number of items that were ranked.
        k: Length of a list.
    """
    per_case = metrics_by_case(ranking, k, ranking.top.shape[1])
    metrics = {
        name: float(np.nanmean(values))
        for name, values in per_case.items()
        if not np.isnan(values).all()
    }
    shown = ranking.top[:, :k]
    shown = shown[shown >= 0]
    metrics["catalog_coverage"] = len(np.unique(shown)) / max(eligible, 1)
    if len(shown):
        metrics["popularity_bias"] = float(percentile[shown].mean())
    metrics["cases"] = float(ranking.cases)
    return Evaluation(metrics, per_case, ranking)


def metrics_by_case(ranking: Ranking, k: int = 10, deep_k: int = 20) -> dict[str, Values]:
    """Metrics of every case, (cases,) float64 by name; NaN where one does not count.

    `ndcg_at_k`, `hit_rate_at_k`, `ndcg_at_deep_k`, `recall_at_deep_k` and `mrr`; the same with
    prefix `new_` among items that the user had no event with, over cases that wanted one; and with
    prefix `repeat_` for what the user had an event with, among all items, over cases that wanted
    such an item and could get it.
    """
    repeat = np.where(np.isnan(ranking.new_rank) & np.isfinite(ranking.rank), ranking.rank, np.nan)
    kinds = {"": ranking.rank, "new_": ranking.new_rank, "repeat_": repeat}
    per_case = {}
    for prefix, ranks in kinds.items():
        counts = np.bincount(ranking.case[~np.isnan(ranks)], minlength=ranking.cases)
        for name, values in _by_case(ranking, ranks, counts, k, deep_k).items():
            per_case[prefix + name] = np.where(counts > 0, values, np.nan)
    return per_case


def rank(ranker: Ranker, cases: Cases, deep_k: int) -> Ranking:
    """Rank every item for every case; see `Ranking`."""
    parts: list[tuple[Ints, Values, Values]] = []
    top = np.full((len(cases), deep_k), -1, dtype=np.int64)
    place = 0
    for batch in cases.batches(BATCH_CASES):
        scores = np.asarray(ranker(batch))
        if not np.isfinite(scores).all():
            scores = np.nan_to_num(scores, nan=-np.inf, neginf=-np.inf)
        for line, user, targets in zip(scores, batch.users.tolist(), batch.targets, strict=True):
            seen = np.unique(cases.seen(user))
            eligible = line.copy()
            if cases.candidates is not None:
                eligible[~cases.candidates] = -np.inf
            if cases.exclude_seen:
                eligible[seen] = -np.inf
            best = top_k(eligible.astype(np.float32, copy=False), deep_k)
            top[place, : len(best)] = best
            parts.append((targets, *_ranks(eligible, targets, seen)))
            place += 1
    case = np.repeat(np.arange(len(cases)), [len(part[0]) for part in parts])
    if not parts:
        nothing = np.zeros(0)
        return Ranking(0, case.astype(np.int64), case.astype(np.int64), nothing, nothing, top)
    item, ranks, new = (np.concatenate([part[i] for part in parts]) for i in range(3))
    return Ranking(len(cases), case, item, ranks, new, top)


def balanced(evaluation: Evaluation) -> float:
    """What validation maximises: the mean of NDCG among all items and among new ones.

    A shop asks for both; alone, the first would reward nothing but showing what was bought before.
    A geometric mean would let the rarer decide: where hardly anything new is wanted, or none of it
    found, it says nothing about the rest.
    """
    among_all = evaluation.metrics.get(MAIN_METRIC, 0.0)
    return (among_all + evaluation.metrics.get(f"new_{MAIN_METRIC}", among_all)) / 2


def popularity_percentile(history: InteractionGraph) -> Values:
    """Share of the items with fewer events than each item, (items,)."""
    counts = np.bincount(history.event_item, minlength=history.num_items)
    fewer = np.searchsorted(np.sort(counts), counts, side="left")
    return np.asarray(fewer / max(len(counts) - 1, 1), dtype=np.float64)


def _ranks(scores: Floats, targets: Ints, seen: Ints) -> tuple[Values, Values]:
    """Ranks of some items, and those among what was not seen; infinite for what scores -inf.

    Of an item that was seen the second is NaN. Both come from one comparison with all items: what
    was seen is little, and taken off.
    """
    wanted = scores[targets]
    above, equal = _compared(scores, wanted)
    fresh = ~np.isin(targets, seen, assume_unique=True)
    seen_above, seen_equal = _compared(scores[seen], wanted[fresh])
    new = np.full(len(targets), np.nan)
    new[fresh] = _rank(wanted[fresh], above[fresh] - seen_above, equal[fresh] - seen_equal)
    return _rank(wanted, above, equal), new


def _compared(scores: Floats, wanted: Floats) -> tuple[Ints, Ints]:
    """How many scores are above each of some values, and how many equal to it."""
    if len(wanted) < MANY:
        return (scores > wanted[:, None]).sum(1), (scores == wanted[:, None]).sum(1)
    ordered = np.sort(scores)
    above = len(scores) - np.searchsorted(ordered, wanted, side="right")
    return above, len(scores) - above - np.searchsorted(ordered, wanted, side="left")


def _rank(wanted: Floats, above: Ints, equal: Ints) -> Values:
    """Ranks from 1, in the middle of equal scores; infinite for -inf."""
    return np.where(wanted > -np.inf, 1 + above + (equal - 1) / 2, np.inf)


def _by_case(
    ranking: Ranking, ranks: Values, counts: Ints, k: int, deep_k: int
) -> dict[str, Values]:
    """Metrics of each case from the ranks of what it wanted, `counts` items each."""

    def total(values: Values) -> Values:
        sums = np.bincount(ranking.case, weights=values, minlength=ranking.cases)
        return sums.astype(np.float64)

    ranks = np.nan_to_num(ranks, nan=np.inf)
    gain = 1 / np.log2(ranks + 1)
    reciprocal = np.zeros(ranking.cases)
    np.maximum.at(reciprocal, ranking.case, 1 / ranks)
    discounts = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(2, deep_k + 2)))])
    result = {"mrr": reciprocal}
    for depth in (k, deep_k):
        ideal = discounts[np.minimum(counts, depth)]
        found = total(np.where(ranks <= depth, gain, 0.0))
        result[f"ndcg_at_{depth}"] = found / np.maximum(ideal, 1e-12)
    result[f"hit_rate_at_{k}"] = (total((ranks <= k).astype(float)) > 0).astype(float)
    result[f"recall_at_{deep_k}"] = total((ranks <= deep_k).astype(float)) / np.maximum(counts, 1)
    return result
