"""The table of an evaluation: a line for each model, the best first."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ..output import data, note, table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from models.evaluation.bootstrap import Interval
    from models.evaluation.results import Results
    from models.evaluation.summary import Line, Summary

SHOWN = {
    "ndcg_at_10": "NDCG@10",
    "recall_at_20": "Recall@20",
    "ndcg_at_20": "NDCG@20",
    "hit_rate_at_10": "HR@10",
    "mrr": "MRR",
    "new_ndcg_at_10": "new NDCG@10",
    "repeat_ndcg_at_10": "repeat NDCG@10",
    "catalog_coverage": "coverage",
    "popularity_bias": "popularity",
}
ALIKE = 1e-12


def show(summaries: Sequence[Summary]) -> None:
    """Write the table to stdout."""
    if not summaries:
        return
    main = summaries[0].main_metric
    others = [name for name in SHOWN if name != main and _tells(name, summaries)]
    tests = len(summaries) > 1
    headings = [
        *(["test"] if tests else []),
        "model",
        f"{SHOWN[main]} [95 %]",
        *(SHOWN[name] for name in others),
        "against best baseline [95 %]",
        "gain [95 %]",
        "seeds",
        "fit s",
        "rank s",
    ]
    rows = [
        [*([summary.test] if tests else []), *_cells(line, summary, others)]
        for summary in summaries
        for line in summary.lines
    ]
    table(headings, rows)


def show_pairs(summaries: Sequence[Summary]) -> None:
    """Write further comparisons to stdout, where there are any."""
    pairs = [pair for summary in summaries for pair in summary.pairs]
    if not pairs:
        return
    rows = [
        (
            pair.model,
            pair.other,
            SHOWN[pair.metric],
            _signed(pair.comparison.difference, 1, 4),
            _signed(pair.comparison.relative_gain, 100, 1, " %"),
        )
        for pair in pairs
    ]
    data("")
    table(("model", "against", "by", "difference [95 %]", "gain [95 %]"), rows)


def show_remarks(results: Results, summaries: Sequence[Summary]) -> None:
    """Say what the figures rest on."""
    setup = results.setup
    note(f"{setup['data']}, {setup['protocol']}: every model learned from {_learned(setup)}")
    for summary in summaries:
        against = f"; best baseline: {summary.best_baseline}" if summary.best_baseline else ""
        note(f"  {summary.test}: {summary.cases:,} cases{against}")
    defaults = dict.fromkeys(
        name.partition(",")[0]
        for name, model in results.models.items()
        if not model.tuned and model.runs
    )
    if defaults:
        note(f"  not tuned for this, default hyperparameters: {', '.join(defaults)}")
    for name, model in results.models.items():
        if model.infeasible:
            note(f"  {name}: {model.infeasible}")


def _learned(setup: Mapping[str, Any]) -> str:
    """What models learned from."""
    if days := setup.get("retrain_days"):
        often = "every night" if days == 1 else f"every {days} nights"
        return f"the events before the test; nightly: trained again {often}"
    return "train and validation (refitted)" if setup["refit"] else "train alone (not refitted)"


def _tells(name: str, summaries: Sequence[Summary]) -> bool:
    """Whether a metric is there, and says something that the one without its prefix does not."""
    plain = name.removeprefix("new_").removeprefix("repeat_")
    lines = [line for summary in summaries for line in summary.lines]
    there = [line.metrics for line in lines if name in line.metrics]
    if name == plain or not there:
        return bool(there)
    return any(abs(metrics[name] - metrics[plain]) > ALIKE for metrics in there)


def _cells(line: Line, summary: Summary, others: Sequence[str]) -> list[str]:
    """One line of the table."""
    main = line.intervals[summary.main_metric]
    compared = line.against_best
    difference = _signed(compared.difference, 1, 4) if compared else ""
    gain = _signed(compared.relative_gain, 100, 1, " %") if compared else ""
    return [
        line.model,
        f"{main.value:.4f} [{main.low:.4f}, {main.high:.4f}]",
        *(_figure(line.metrics.get(name, math.nan)) for name in others),
        difference,
        gain,
        str(line.seeds),
        f"{line.fit_s:.1f}",
        f"{line.rank_s:.1f}",
    ]


def _figure(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.4f}"


def _signed(interval: Interval, factor: float, digits: int, unit: str = "") -> str:
    """A difference with its bounds; where there is none to tell, a dash.

    >>> from models.evaluation.bootstrap import Interval
    >>> _signed(Interval(0.1, -0.02, 0.2), 100, 1)
    '+10.0 [-2.0, +20.0]'
    """
    if math.isnan(interval.value):
        return "-"
    value, low, high = (
        f"{factor * bound:+.{digits}f}" for bound in (interval.value, interval.low, interval.high)
    )
    return f"{value} [{low}, {high}]{unit}"
