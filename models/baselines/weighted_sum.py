"""The weighted sum of the two best: what anyone can do with two models at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from models.evaluation.contender import Contender, Fitted, Hyperparameters
from models.evaluation.metrics import BATCH_CASES, MAIN_METRIC, evaluate

from .fusion import NORMALIZERS
from .infeasible import InfeasibleError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from interest_graph.interaction_graph import InteractionGraph
    from models.evaluation.cases import Cases, Ranker
    from models.evaluation.context import Context

Floats = npt.NDArray[np.float32]
ENDS = (0.0, 0.01, 0.02, 0.03)
WEIGHTS = (*ENDS, *(round(0.05 * step, 2) for step in range(1, 20)), *(1 - end for end in ENDS))
MAX_SCORES = 60_000_000
DEFAULT_PARTS = ("sequence_knn", "ease_recency")


class WeightedSum:
    """A weighted sum of two baselines, or their fusion by reciprocal ranks.

        s(u, i) = w · f(s_1(u, ·))_i + (1 − w) · f(s_2(u, ·))_i

    with f per case as `fusion` says: `z_score`, `min_max`, `log_rank` or `reciprocal_rank` (Cormack
    et al. 2009). The two are those that validated best when they were tuned, with the
    hyperparameters found then; w is the best by validation of a grid from 0 to 1 in steps of 0.05,
    finer at both ends: the scores of a neighbourhood have far longer tails than those of a network.

    Args:
        context: Says what tuning found.
        parts: The two, as of `best_two`.
    """

    name = "weighted_sum"
    seeded = True
    defaults: Mapping[str, Any] = {"fusion": "z_score"}

    def __init__(self, context: Context, parts: Sequence[Contender]) -> None:
        self._tuned, self._parts = context.tuned, parts

    @property
    def relies_on(self) -> dict[str, Any]:
        """The parts, and what tuning found of each: trials of others are not of this sum."""
        return {part.name: self._tuned.get(part.name, {}) for part in self._parts}

    def fit(
        self,
        graph: InteractionGraph,
        hyperparameters: Hyperparameters,
        seed: int,
        check: Cases | None,
    ) -> Fitted:
        """Fit both parts and choose the weight; `found` holds it and what the parts found.

        A weight says whose it is: which part is the better one may change when they are tuned anew.

        Raises:
            InfeasibleError: What was found is of other parts.
        """
        normalize = NORMALIZERS[hyperparameters["fusion"]]
        known = hyperparameters.get("parts", {})
        names = [part.name for part in self._parts]
        if check is None and known and set(known) != set(names):
            msg = f"tuned of {' and '.join(known)}, and now of {' and '.join(names)}: tune it again"
            raise InfeasibleError(msg)
        fitted = self._fit_parts(graph, known, seed, check)
        first, second = (part.ranker for part in fitted)
        weight, whose = hyperparameters.get("weight", 0.5), names[0]
        if hyperparameters.get("weight_of", whose) != whose:
            weight = 1 - weight
        if check is not None:
            weight = best_weight(first, second, normalize, check)
        found = {part.name: one.found for part, one in zip(self._parts, fitted, strict=True)}
        ranker = WeightedSumRanker(first, second, normalize, weight)
        return Fitted(ranker, {"weight": weight, "weight_of": whose, "parts": found})

    def _fit_parts(
        self,
        graph: InteractionGraph,
        known: Mapping[str, Any],
        seed: int,
        check: Cases | None,
    ) -> list[Fitted]:
        """Both parts, each as it was tuned."""
        fitted = []
        for part in self._parts:
            tuned = self._tuned.get(part.name, {})
            given = dict(part.defaults) | dict(tuned.get("hyperparameters", {}))
            given |= dict(known.get(part.name, tuned.get("found", {}) if check is None else {}))
            fitted.append(part.fit(graph, given, seed, check))
        return fitted


class UsualSum(WeightedSum):
    """The same of the two best among usual baselines, where the two best of all are others.

    Args:
        context: Says what tuning found.
        parts: The two, as of `best_two` of the usual ones.
    """

    name = "usual_sum"


class WeightedSumRanker:
    """Scores by the weighted sum of two rankers.

    Args:
        first: A ranker.
        second: Another.
        normalize: Brings the scores of each case to one scale.
        weight: Of the first; the second has the rest to one.
    """

    def __init__(
        self, first: Ranker, second: Ranker, normalize: Callable[[Floats], Floats], weight: float
    ) -> None:
        self._first, self._second = first, second
        self._normalize, self._weight = normalize, weight

    def __call__(self, cases: Cases) -> Floats:
        """Scores of all items for some cases."""
        first, second = self._normalize(self._first(cases)), self._normalize(self._second(cases))
        return np.asarray(self._weight * first + (1 - self._weight) * second, np.float32)


def best_two(tuned: Mapping[str, Mapping[str, Any]], names: tuple[str, ...]) -> tuple[str, ...]:
    """The two that validated best, the best first; `DEFAULT_PARTS` before two were tuned.

    >>> best_two({"a": {"validation": 1}, "b": {"validation": 3}, "c": {}}, ("a", "b", "c"))
    ('b', 'a')
    """
    judged = [name for name in names if "validation" in tuned.get(name, {})]
    ordered = sorted(judged, key=lambda name: -tuned[name]["validation"])
    return tuple(ordered[:2]) if len(ordered) > 1 else DEFAULT_PARTS


def best_weight(
    first: Ranker, second: Ranker, normalize: Callable[[Floats], Floats], check: Cases
) -> float:
    """The weight of the grid that validates best, the one nearest to ½ of equals.

    Of more cases than `MAX_SCORES` scores allow a sample that is always the same is taken; each
    ranker is asked once.
    """
    most = max(MAX_SCORES // max(check.history.num_items, 1), 1)
    if len(check) > most:
        chosen = np.random.default_rng(0).choice(len(check), most, replace=False)
        check = check.take(np.sort(chosen))
    kept = [
        (normalize(first(batch)), normalize(second(batch))) for batch in check.batches(BATCH_CASES)
    ]

    def value(weight: float) -> float:
        scores = (weight * one + (1 - weight) * other for one, other in kept)
        return evaluate(lambda _: next(scores), check).metrics.get(MAIN_METRIC, 0.0)

    return max(WEIGHTS, key=lambda weight: (value(weight), -abs(weight - 0.5)))
