"""Prequential evaluation: nothing is seen before its time, and regimes differ as they should."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pytest

from interest_graph.interaction_graph import DAY_S
from models.evaluation.contender import Fitted
from models.evaluation.data_set import DataSet
from models.evaluation.metrics import judge
from models.evaluation.prequential import Regime, make_stream, nightly, refresh_on, run_regime
from models.evaluation.protocols import SplitConfig, make_data_stream, make_split
from models.evaluation.results import Results
from models.evaluation.run import RunConfig
from models.evaluation.run_prequential import (
    Retrained,
    Trainings,
    asked_of,
    line_pairs,
    regime_names,
    run_prequential,
)
from models.evaluation.summary import summarise
from tests.unit.models.synthetic import make_graph

if TYPE_CHECKING:
    from interest_graph.interaction_graph import InteractionGraph
    from models.evaluation.cases import Cases, Floats, Ranker
    from models.evaluation.contender import Hyperparameters

SHOP = make_graph(users=15, events=40)
START = float(np.quantile(SHOP.event_time, 0.8))
STREAM = make_stream(SHOP, START, ("purchase",), block_events=7)


@dataclass
class Watcher:
    """Ranks nothing, and remembers what it was shown when."""

    seen: list[tuple[float, float]] = field(default_factory=list)

    @property
    def ranker(self) -> Ranker:
        """Rank nothing."""
        return lambda cases: np.zeros((len(cases), SHOP.num_items), np.float32)

    def ranker_at(self, graph: InteractionGraph, time: float) -> Ranker:
        """Remember the newest event and the time."""
        self.seen.append((graph.event_time.max(), time))
        return lambda cases: np.zeros((len(cases), graph.num_items), np.float32)


def test_every_wanted_event_is_asked_for_once() -> None:
    """All wanted events of the test, at their own moments, and no others."""
    asked = [
        (user, item, moment)
        for _, cases in STREAM.waves(midnight=False)
        for user, moment, items in zip(
            cases.users.tolist(), cases.as_of.tolist(), cases.targets, strict=True
        )
        for item in items.tolist()
    ]
    late = (SHOP.event_time >= STREAM.start) & (SHOP.event_type == 1)
    rows = (SHOP.event_user[late], SHOP.event_item[late], SHOP.event_time[late])
    assert sorted(asked) == sorted(zip(*(row.tolist() for row in rows), strict=True))


@pytest.mark.parametrize("midnight", [False, True])
def test_no_history_holds_what_is_asked_for(midnight: bool) -> None:  # noqa: FBT001 a parameter
    """Users see all they did before the moment, or before midnight; others' events end earlier."""
    for began, cases in STREAM.waves(midnight=midnight):
        history = cases.history
        day = np.floor(began / DAY_S) * DAY_S
        others = ~np.isin(history.event_user, cases.users)
        assert history.event_time[others].max() < (day if midnight else began)
        for user, moment in zip(cases.users.tolist(), cases.as_of.tolist(), strict=True):
            until = day if midnight else moment
            theirs = SHOP.event_time[(SHOP.event_user == user) & (SHOP.event_time < until)]
            assert history.event_time[history.event_user == user].tolist() == theirs.tolist()


def test_blocks_lie_within_days_and_waves_name_a_user_once() -> None:
    """Nothing of a later day is in a block, and equal moments are never torn apart."""
    moments = STREAM.moments
    for block in np.unique(moments.block):
        days = np.floor(moments.time[moments.block == block] / DAY_S)
        assert len(np.unique(days)) == 1
    assert (np.diff(moments.time) >= 0).all()
    assert (np.diff(moments.block) >= 0).all()
    for _, cases in STREAM.waves(midnight=False):
        assert (np.diff(cases.users) > 0).all()


def test_a_model_is_shown_the_past_alone() -> None:
    """At every refresh the newest event is older than the moment; regimes refresh as they say."""
    seen = {}
    for refresh in ("never", "block", "day"):
        watcher = Watcher()
        run_regime(STREAM, Regime("watched", watcher, refresh))
        assert all(newest < time for newest, time in watcher.seen)
        seen[refresh] = [time for _, time in watcher.seen]
    assert seen["never"] == [STREAM.start]
    assert all(time % DAY_S == 0 for time in seen["day"])
    assert len(seen["block"]) >= len(seen["day"]) > 10
    rare = Watcher()
    run_regime(STREAM, nightly(rare, every_days=10))
    gaps = np.diff([time for _, time in rare.seen])
    assert (gaps >= 10 * DAY_S).all()


def test_histories_that_are_current_help() -> None:
    """Whoever follows the shelf does better from the last event than from last night's."""

    class Next:
        """Wants the next thing on the shelf after the user's last."""

        def ranker_at(self, graph: InteractionGraph, time: float) -> Ranker:
            """The same for all times."""
            del time

            def ranker(cases: Cases) -> Floats:
                scores = np.zeros((len(cases), graph.num_items), np.float32)
                for place, user in enumerate(cases.users.tolist()):
                    last = int(cases.seen(user)[-1])
                    scores[place, last // 10 * 10 + (last + 1) % 10] = 1
                return scores

            return ranker

    busy = make_graph(users=15, events=600)
    stream = make_stream(busy, float(np.quantile(busy.event_time, 0.95)))
    nobody = np.zeros(44)
    found = {
        histories: judge(run_regime(stream, Regime("", Next(), "never", histories))[0], nobody, 44)
        for histories in ("now", "midnight")
    }
    by_name = {name: one.metrics["ndcg_at_10"] for name, one in found.items()}
    assert by_name["now"] > 1.5 * by_name["midnight"]


@dataclass
class Counting:
    """Popularity, fitted again each time; with weights to train it cannot be refreshed."""

    name: str
    seeded: bool
    defaults: Hyperparameters = field(default_factory=dict)

    def fit(
        self,
        graph: InteractionGraph,
        hyperparameters: Hyperparameters,
        seed: int,
        check: Cases | None,
    ) -> Fitted:
        """Count."""
        del hyperparameters, seed, check
        scores = graph.popularity(float(graph.event_time.max()), 3).astype(np.float32)
        return Fitted(lambda cases: np.tile(scores, (len(cases), 1)))


@dataclass
class Trained(Counting):
    """Also kept up to date without being fitted again; remembers what it was fitted to."""

    newest: list[float] = field(default_factory=list)

    def live(self, graph: InteractionGraph, hyperparameters: Hyperparameters, seed: int) -> Watcher:
        """Fit, and watch what it is shown."""
        del hyperparameters, seed
        self.newest.append(float(graph.event_time.max()))
        return Watcher()


def test_what_is_refreshed_and_trained_at_night_sees_both() -> None:
    """Trained on what came before a midnight, and shown the rest at every block."""
    model = Trained("both", seeded=True)
    assert regime_names(model) == ["refresh on", "refresh off", "nightly", "refresh and nightly"]
    trainings = Trainings(model, {}, 0)
    start = trainings.at(SHOP.before(STREAM.start), STREAM.start)
    both = Retrained(trainings, 3, start, STREAM.start)
    run_regime(STREAM, refresh_on(both))
    trained = np.array(model.newest)
    assert trained[0] < STREAM.start
    assert len(trained) > 2
    assert (np.diff(np.ceil(trained / DAY_S)) >= 2).all()
    assert both.trained % DAY_S == 0
    assert isinstance(both.live, Watcher)
    assert all(newest < time for newest, time in both.live.seen)
    assert both.live.seen[0][1] >= both.trained


def test_regimes_that_train_on_the_same_night_share_the_training() -> None:
    """Each night is trained once, on what came before it, whichever regime asks first."""
    model = Trained("both", seeded=True)
    trainings = Trainings(model, {}, 0)
    run_regime(STREAM, nightly(trainings, 3))
    nights = list(model.newest)
    assert len(nights) > 2
    start = trainings.at(SHOP.before(STREAM.start), STREAM.start)
    both = Retrained(trainings, 3, start, STREAM.start)
    run_regime(STREAM, refresh_on(both))
    assert model.newest == nights
    assert start is not both.live
    assert both.live is trainings.at(SHOP, both.trained)
    data, results = DataSet("shop", SHOP, ("prequential",), repeats=True), Results({}, {}, {}, {})
    stream, whole = make_data_stream(data, SplitConfig(max_cases=40)), Trained("all", seeded=True)
    split = make_split(data, "prequential")
    run_prequential(stream, split, [whole], {}, RunConfig(seeds=(0,), retrain_days=3), results)
    assert len(results.models) == 4
    assert len(whole.newest) == len(set(whole.newest)) > 2


def test_every_model_runs_in_the_regimes_it_can() -> None:
    """Lines for each model and regime over the same cases, and the comparisons between them."""
    data = DataSet("shop", SHOP, ("prequential",), repeats=True)
    stream = make_data_stream(data, SplitConfig(max_cases=40))
    assert len(stream.moments) == 40
    asked = asked_of(stream)
    results = Results({}, {}, {}, {"test": asked})
    models = [Counting("counted", seeded=False), Counting("trained", seeded=True)]
    run_prequential(
        stream, make_split(data, "prequential"), models, {}, RunConfig(seeds=(0, 1)), results
    )
    assert {name: len(model.runs) for name, model in results.models.items()} == {
        "counted, refresh on": 1,
        "counted, refresh off": 1,
        "counted, nightly": 1,
        "trained, refresh off": 2,
        "trained, nightly": 2,
    }
    (summary,) = summarise(results, "ndcg_at_10", 50, line_pairs(results))
    assert summary.cases == 40
    assert [(pair.model, pair.other) for pair in summary.pairs] == [
        ("counted, refresh on", "counted, refresh off"),
        ("counted, refresh on", "counted, nightly"),
        ("counted, refresh off", "counted, nightly"),
        ("trained, refresh off", "trained, nightly"),
    ]
    for model in results.models.values():
        for run in model.runs.values():
            assert len(run.tests["test"].rank) == len(asked.item)
