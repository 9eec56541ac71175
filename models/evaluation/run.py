"""Runs an evaluation: fits every model as often as there are seeds, and judges it once each."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from models.baselines.infeasible import InfeasibleError

from .metrics import evaluate
from .results import ModelResult, Outcome, Results, Run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from interest_graph.interaction_graph import InteractionGraph

    from .cases import Cases, Floats, Ranker
    from .contender import Contender, Fitted
    from .splits import Split


@dataclass(frozen=True, slots=True)
class RunConfig:
    """How models are run.

    Args:
        seeds: The seeds of the fits; a model that has no randomness is fitted with the first alone.
        refit: Fit what is judged on train and validation together; otherwise on train.
        fresh: Run again what `results` holds already.
        retrain_days: Of prequential evaluations: days from one nightly training to the next.
    """

    seeds: tuple[int, ...] = (0,)
    refit: bool = True
    fresh: bool = False
    retrain_days: int = 1


def run_models(
    split: Split,
    contenders: Sequence[Contender],
    tuned: Mapping[str, Mapping[str, Any]],
    config: RunConfig,
    results: Results,
    save: Callable[[], None] = lambda: None,
    report: Callable[[str, int, int], None] = lambda *_: None,
) -> None:
    """Fit and judge every contender, into `results`.

    What the results hold of a contender with the same hyperparameters is kept. A contender for
    which no earlier fit is known (`found`) is first fitted on train with the validation beside it,
    with the first seed; what that fit finds serves every refit.

    Args:
        split: The cases.
        contenders: Whom to run.
        tuned: By name the `hyperparameters` and what was `found`; the others run with defaults.
        config: How.
        results: What there is; added to.
        save: Called after every run.
        report: Called as work goes on: what, done, total; a total of 0 for unknown.
    """
    for contender in contenders:
        model = resumed(contender, contender.name, tuned, config, results)
        try:
            _run_contender(split, contender, model, config, save, report)
        except InfeasibleError as error:
            model.infeasible = str(error)
            save()


def resumed(
    contender: Contender,
    line: str,
    tuned: Mapping[str, Mapping[str, Any]],
    config: RunConfig,
    results: Results,
) -> ModelResult:
    """The results of a contender so far, under the name `line`; none with other hyperparameters."""
    known = tuned.get(contender.name)
    hyperparameters = {**contender.defaults, **(known or {}).get("hyperparameters", {})}
    model = ModelResult(hyperparameters, known is not None, (known or {}).get("found"))
    before = results.models.get(line)
    if before is not None and not config.fresh and _same(before, model):
        model = before
    results.models[line] = model
    return model


def _same(before: ModelResult, now: ModelResult) -> bool:
    """Whether runs of one belong to the other."""
    found = now.found is None or now.found == before.found
    return before.hyperparameters == now.hyperparameters and found


def _run_contender(
    split: Split,
    contender: Contender,
    model: ModelResult,
    config: RunConfig,
    save: Callable[[], None],
    report: Callable[[str, int, int], None],
) -> None:
    """Fit one contender with every seed that is not done, and judge each fit."""
    for seed in config.seeds if contender.seeded else config.seeds[:1]:
        if seed in model.runs:
            continue
        what = f"{contender.name}, seed {seed}" if contender.seeded else contender.name
        report(what, 0, 0)
        fitted, fit_s = _fit(split, contender, model, seed, refit=config.refit)
        model.runs[seed] = _judge(split, fitted.ranker, fit_s, what, report)
        save()


def _fit(
    split: Split, contender: Contender, model: ModelResult, seed: int, *, refit: bool
) -> tuple[Fitted, float]:
    """The fit that is judged, and its seconds; before a first refit the fit that finds its way."""
    if not refit:
        known, searched = model.found or {}, getattr(contender, "searched", ())
        given = model.hyperparameters | {name: known[name] for name in searched if name in known}
        return _timed_fit(contender, split.train, given, seed, split.check)
    found = find(split, contender, model, seed)
    return _timed_fit(contender, split.known, model.hyperparameters | found, seed, None)


def find(split: Split, contender: Contender, model: ModelResult, seed: int) -> dict[str, Any]:
    """What a refit relies on: known already, or found by a fit on train with the validation."""
    if model.found is None:
        first = (contender, split.train, model.hyperparameters, seed, split.check)
        fitted, model.search_s = _timed_fit(*first)
        model.found = fitted.found
    return model.found


def _timed_fit(
    contender: Contender,
    graph: InteractionGraph,
    hyperparameters: Mapping[str, Any],
    seed: int,
    check: Cases | None,
) -> tuple[Fitted, float]:
    """A fit and its seconds."""
    began = perf_counter()
    fitted = contender.fit(graph, hyperparameters, seed, check)
    return fitted, perf_counter() - began


def _judge(
    split: Split,
    ranker: Ranker,
    fit_s: float,
    what: str,
    report: Callable[[str, int, int], None],
) -> Run:
    """The one look at every test."""
    total = sum(len(cases) for cases in split.tests.values())
    timed = TimedRanker(ranker, lambda done: report(what, done, total))
    tests = {}
    for name, cases in split.tests.items():
        before = timed.seconds
        judged = evaluate(timed, cases)
        ranking = judged.ranking
        seconds = timed.seconds - before
        tests[name] = Outcome(seconds, judged.metrics, ranking.rank, ranking.new_rank)
    return Run(fit_s, tests)


class TimedRanker:
    """A ranker that says how long it took and how far it is.

    Args:
        ranker: The ranker.
        report: Called with the number of cases done.
    """

    def __init__(self, ranker: Ranker, report: Callable[[int], None]) -> None:
        self._ranker, self._report = ranker, report
        self.seconds, self._done = 0.0, 0

    def __call__(self, cases: Cases) -> Floats:
        """Scores of all items for some cases."""
        began = perf_counter()
        scores = np.asarray(self._ranker(cases))
        self.seconds += perf_counter() - began
        self._done += len(cases)
        self._report(self._done)
        return scores
