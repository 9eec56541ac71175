"""Runs models under the regimes of a prequential evaluation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from interest_graph.interaction_graph import DAY_S
from models.baselines.infeasible import InfeasibleError

from .metrics import judge, popularity_percentile
from .prequential import LiveRanker, nightly, refresh_off, refresh_on, run_regime
from .results import Asked, ModelResult, Outcome, Run
from .run import RunConfig, find, resumed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from interest_graph.interaction_graph import InteractionGraph

    from .cases import Ranker
    from .contender import Contender, Hyperparameters
    from .prequential import Regime, Stream
    from .results import Results
    from .splits import Split

TEST = "test"
ON, OFF, NIGHTLY = "refresh on", "refresh off", "nightly"
BOTH = "refresh and nightly"


class Trained(LiveRanker, Protocol):
    """A model whose weights are trained, which can be brought up to date without that."""

    @property
    def ranker(self) -> Ranker:
        """Ranks with all as it was at the end of the training."""
        ...


@runtime_checkable
class LiveContender(Protocol):
    """A contender that can be brought up to date without being fitted again."""

    def live(self, graph: InteractionGraph, hyperparameters: Hyperparameters, seed: int) -> Trained:
        """Fit once; what comes back keeps its weights and refreshes all that follows from facts.

        Args:
            graph: The events to learn from.
            hyperparameters: All of `defaults`, some of them changed, and what an earlier fit found.
            seed: Of everything random.
        """
        ...


@dataclass(slots=True)
class Refitted:
    """Follows events by being fitted again.

    Args:
        contender: What is fitted.
        hyperparameters: All of them.
        seed: Of every fit.
    """

    contender: Contender
    hyperparameters: Hyperparameters
    seed: int
    _first: dict[float, Ranker] = field(default_factory=dict)

    def ranker_at(self, graph: InteractionGraph, time: float) -> Ranker:
        """A new fit; the first one is kept, since every regime starts from it."""
        if time in self._first:
            return self._first[time]
        ranker = self.contender.fit(graph, self.hyperparameters, self.seed, None).ranker
        if not self._first:
            self._first[time] = ranker
        return ranker


@dataclass(slots=True)
class Trainings:
    """Follows events by being trained again; regimes that train at the same moment share it.

    Args:
        contender: What is trained.
        hyperparameters: All of them.
        seed: Of every training.
    """

    contender: LiveContender
    hyperparameters: Hyperparameters
    seed: int
    _done: dict[float, Trained] = field(default_factory=dict)

    def at(self, past: InteractionGraph, time: float) -> Trained:
        """The training on the events before `time`."""
        if time not in self._done:
            self._done[time] = self.contender.live(past, self.hyperparameters, self.seed)
        return self._done[time]

    def ranker_at(self, graph: InteractionGraph, time: float) -> Ranker:
        """What is trained on the events before `time`, and nothing newer."""
        return self.at(graph, time).ranker


@dataclass(slots=True)
class Retrained:
    """Follows events by being refreshed, and trained again at midnight, as the service is.

    Args:
        trainings: What is trained, and when it was.
        every_days: Days from one training to the next.
        live: As trained at first.
        trained: When, in seconds since 1970, a midnight.
    """

    trainings: Trainings
    every_days: int
    live: LiveRanker
    trained: float

    def ranker_at(self, graph: InteractionGraph, time: float) -> Ranker:
        """What is known by then, in the model of the last midnight that one was trained at."""
        midnight = float(np.floor(time / DAY_S) * DAY_S)
        if midnight - self.trained >= self.every_days * DAY_S:
            self.live = self.trainings.at(graph.before(midnight), midnight)
            self.trained = midnight
        return self.live.ranker_at(graph, time)


def regime_names(contender: Contender) -> list[str]:
    """The regimes that a contender can run in.

    What has weights that are trained, and no way to be refreshed without training, is not trained
    again at every block; what has none is as new after every block as after a night.
    """
    if isinstance(contender, LiveContender):
        return [ON, OFF, NIGHTLY, BOTH]
    return [OFF, NIGHTLY] if contender.seeded else [ON, OFF, NIGHTLY]


def line_pairs(results: Results) -> list[tuple[str, str]]:
    """The comparisons that a prequential evaluation is about: of a model's regimes."""
    bases = dict.fromkeys(name.rpartition(", ")[0] for name in results.models)
    kinds = ((ON, OFF), (ON, NIGHTLY), (OFF, NIGHTLY), (BOTH, NIGHTLY), (BOTH, ON))
    return [(f"{base}, {one}", f"{base}, {other}") for base in bases for one, other in kinds]


def run_prequential(
    stream: Stream,
    split: Split,
    contenders: Sequence[Contender],
    tuned: Mapping[str, Mapping[str, Any]],
    config: RunConfig,
    results: Results,
    save: Callable[[], None] = lambda: None,
    report: Callable[[str, int, int], None] = lambda *_: None,
) -> None:
    """Run every contender in every regime it can, into `results`, a line each.

    Args:
        stream: The events of the test.
        split: For what a first fit finds on the validation.
        contenders: Whom to run.
        tuned: As for `run_models`.
        config: How; `refit` does not matter here.
        results: What there is; added to.
        save: Called after every run.
        report: Called as work goes on.
    """
    for contender in contenders:
        lines = {
            regime: resumed(contender, f"{contender.name}, {regime}", tuned, config, results)
            for regime in regime_names(contender)
        }
        try:
            for seed in config.seeds if contender.seeded else config.seeds[:1]:
                if any(seed not in model.runs for model in lines.values()):
                    _run_seed(stream, split, contender, lines, seed, config, save, report)
        except InfeasibleError as error:
            for model in lines.values():
                model.infeasible = str(error)
            save()


def asked_of(stream: Stream) -> Asked:
    """What the stream asks for, in the order of its ranking."""
    parts = [Asked.of(cases) for _, cases in stream.waves(midnight=False)]
    return Asked.joined(parts)


def _run_seed(
    stream: Stream,
    split: Split,
    contender: Contender,
    lines: dict[str, ModelResult],
    seed: int,
    config: RunConfig,
    save: Callable[[], None],
    report: Callable[[str, int, int], None],
) -> None:
    """Run one contender with one seed in all regimes that are not done."""
    model = next(iter(lines.values()))
    report(f"{contender.name}, seed {seed}", 0, 0)
    hyperparameters = model.hyperparameters | find(split, contender, model, seed)
    refitted: LiveRanker = Refitted(contender, hyperparameters, seed)
    live = both = refitted
    start = stream.graph.before(stream.start)
    if isinstance(contender, LiveContender):
        refitted = trainings = Trainings(contender, hyperparameters, seed)
        live = trainings.at(start, stream.start)
        both = Retrained(trainings, config.retrain_days, live, stream.start)
    percentile = popularity_percentile(start)
    made: dict[str, Regime] = {
        ON: refresh_on(live),
        OFF: refresh_off(live),
        NIGHTLY: nightly(refitted, config.retrain_days),
        BOTH: refresh_on(both),
    }
    for regime, line in lines.items():
        line.found = model.found
        if seed in line.runs:
            continue
        what = f"{contender.name}, {regime}, seed {seed}"
        report(what, 0, 0)

        def told(done: int, total: int, what: str = what) -> None:
            report(what, done, total)

        ranking, refresh_s, rank_s = run_regime(stream, made[regime], told)
        metrics = judge(ranking, percentile, stream.graph.num_items).metrics
        outcome = Outcome(rank_s, metrics, ranking.rank, ranking.new_rank)
        line.runs[seed] = Run(refresh_s, {TEST: outcome})
        save()
