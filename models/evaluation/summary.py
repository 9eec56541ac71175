"""What results say: figures with intervals, and every model against the best baseline."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from models.baselines.usual import is_usual

from .bootstrap import Bootstrap, Comparison, Interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .results import Asked, ModelResult, Results

OURS = "interest_graph"
BOOTSTRAPPED = (
    "ndcg_at_10",
    "hit_rate_at_10",
    "recall_at_20",
    "ndcg_at_20",
    "mrr",
    "new_ndcg_at_10",
    "repeat_ndcg_at_10",
)


@dataclass(frozen=True, slots=True)
class Line:
    """One model in one test.

    Args:
        model: Its name.
        seeds: Fits that the figures are the mean of.
        tuned: Whether its hyperparameters come from tuning.
        metrics: Means by name.
        intervals: Of those metrics that are means over cases.
        against_best: Its main metric against the best baseline's; None for that one itself and
            where there is no baseline.
        seed_deviation: Standard deviation of the main metric over seeds; None for one seed.
        fit_s: Seconds of a fit, mean over seeds.
        rank_s: Seconds in which all cases are scored, mean over seeds.
    """

    model: str
    seeds: int
    tuned: bool
    metrics: dict[str, float]
    intervals: dict[str, Interval]
    against_best: Comparison | None
    seed_deviation: float | None
    fit_s: float
    rank_s: float


@dataclass(frozen=True, slots=True)
class Pair:
    """Two models that are compared with each other.

    Args:
        model: The one.
        other: The other.
        metric: By what.
        comparison: That metric of the one against that of the other.
    """

    model: str
    other: str
    metric: str
    comparison: Comparison


@dataclass(frozen=True, slots=True)
class Summary:
    """All models in one test.

    Args:
        test: Its name.
        main_metric: What decides.
        cases: Number of cases.
        best_baseline: The best of the models that are not ours, by this very test; empty for none.
        lines: Best first.
        pairs: Further comparisons: those that were asked for; each ablation with the whole; ours
            with the best of the usual baselines, where another is better; and, where things are
            taken again, ours by new and by repeat items, each with the baseline that is best at
            these.
    """

    test: str
    main_metric: str
    cases: int
    best_baseline: str
    lines: list[Line]
    pairs: list[Pair] = field(default_factory=list)


def summarise(
    results: Results,
    main_metric: str,
    resamples: int,
    pairs: Sequence[tuple[str, str]] = (),
    seed: int = 0,
) -> list[Summary]:
    """One summary for each test.

    The best baseline is chosen by the test itself: a choice in its favour, not in ours.

    Args:
        results: The runs.
        main_metric: What decides.
        resamples: Of the bootstrap.
        pairs: Models to compare with each other beside the best baseline.
        seed: Of the bootstrap.
    """
    models = {name: model for name, model in results.models.items() if model.runs}
    return [
        _summary(test, asked, models, main_metric, pairs, (resamples, seed))
        for test, asked in results.asked.items()
        if models
    ]


def _summary(
    test: str,
    asked: Asked,
    models: dict[str, ModelResult],
    main_metric: str,
    pairs: Sequence[tuple[str, str]],
    draws: tuple[int, int],
) -> Summary:
    """All models in one test."""
    columns = {}
    for name, model in models.items():
        for metric, values in model.per_case(asked, test).items():
            if metric in BOOTSTRAPPED and not np.isnan(values).all():
                columns[f"{name}/{metric}"] = values
    bootstrap = Bootstrap(asked.user, columns, seed=draws[1], resamples=draws[0])
    figures = {name: model.metrics(test) for name, model in models.items()}
    ordered = sorted(models, key=lambda name: -figures[name][main_metric])
    baselines = [name for name in ordered if not name.startswith(OURS)]
    best = next(iter(baselines), "")

    def against(name: str, other: str, metric: str = main_metric) -> Comparison:
        return bootstrap.compare(f"{name}/{metric}", f"{other}/{metric}")

    def line(name: str) -> Line:
        model = models[name]
        runs = list(model.runs.values())
        mains = [run.tests[test].metrics[main_metric] for run in runs]
        return Line(
            name,
            len(runs),
            model.tuned,
            figures[name],
            {
                metric: bootstrap.mean(f"{name}/{metric}")
                for metric in BOOTSTRAPPED
                if f"{name}/{metric}" in columns
            },
            against(name, best) if best and name != best else None,
            float(np.std(mains, ddof=1)) if len(mains) > 1 else None,
            float(np.mean([run.fit_s for run in runs])),
            float(np.mean([run.tests[test].rank_s for run in runs])),
        )

    ablations = [(name, OURS) for name in ordered if name.startswith(f"{OURS}_without_")]
    compared = [
        Pair(*pair, main_metric, against(*pair))
        for pair in (*pairs, *ablations)
        if set(pair) <= models.keys()
    ]
    usual = next((name for name in baselines if is_usual(name, models[name].found)), best)
    if OURS in models and usual != best and figures[usual][main_metric] > 0:
        compared.append(Pair(OURS, usual, main_metric, against(OURS, usual)))
    apart = [f"{kind}_{main_metric}" for kind in ("new", "repeat")]
    if OURS in models and baselines and all(f"{OURS}/{metric}" in columns for metric in apart):
        for metric in apart:
            other = max(baselines, key=lambda name: figures[name].get(metric, 0.0))
            compared.append(Pair(OURS, other, metric, against(OURS, other, metric)))
    lines = [line(name) for name in ordered]
    return Summary(test, main_metric, len(asked.user), best, lines, compared)
