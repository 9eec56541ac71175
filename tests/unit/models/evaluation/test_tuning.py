"""Tuning begins with the defaults, keeps to its budget, goes on, and never looks at the test."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pytest

from models.baselines.infeasible import InfeasibleError
from models.evaluation.contender import Fitted
from models.evaluation.splits import Split, temporal
from models.evaluation.tuned import read_tuned
from models.evaluation.tuning import Budget, Trial, read_trials, tune, write_trials, write_tuned

if TYPE_CHECKING:
    from collections.abc import Mapping

    from interest_graph.interaction_graph import InteractionGraph
    from models.evaluation.cases import Cases

sys.path.insert(0, str(Path(__file__).parents[1]))

from synthetic import make_graph

SPACE = {"lift": {"type": "float", "low": 0.0, "high": 1.0}}


@pytest.fixture
def split() -> Split:
    return temporal(make_graph(), 0.1, 0.1, 100, 0)


class Lifted:
    """Scores what was wanted higher the more `lift` it has."""

    name = "lifted"
    seeded = False
    defaults: Mapping[str, Any] = {"lift": 0.25, "other": 1}

    def __init__(self) -> None:
        self.fits = 0

    def fit(
        self,
        graph: InteractionGraph,
        hyperparameters: Mapping[str, Any],
        seed: int,
        check: Cases | None,
    ) -> Fitted:
        """Count the fits."""
        del graph, seed, check
        self.fits += 1
        if hyperparameters["lift"] < 0:
            raise InfeasibleError("too low")

        def ranker(cases: Cases) -> np.ndarray:
            scores = np.random.default_rng(0).random((len(cases), cases.history.num_items))
            for place, targets in enumerate(cases.targets):
                scores[place, targets] += hyperparameters["lift"]
            return scores.astype(np.float32)

        return Fitted(ranker, {"epochs": 3})


def test_tuning_goes_on_and_writes_what_it_found(split: Split, tmp_path: Path) -> None:
    """The defaults come first, trials of the journal are not run again, the best is written."""
    journal = tmp_path / "lifted.journal"
    first = tune(split, Lifted(), SPACE, Budget(4, 10), journal, "ndcg_at_10")
    assert first.log[0].hyperparameters == {"lift": 0.25, "other": 1}
    assert first.trials == len(first.log) == 4
    contender = Lifted()
    tuned = tune(split, contender, SPACE, Budget(6, 10), journal, "ndcg_at_10")
    assert contender.fits == 2
    assert tuned.log[:4] == first.log
    assert tuned.validation == max(trial.validation or 0 for trial in tuned.log)
    assert tuned.found == {"epochs": 3}
    write_tuned(tmp_path / "set.temporal.json", "lifted", tuned)
    assert read_tuned("set", "temporal", tmp_path)["lifted"]["hyperparameters"]["other"] == 1
    write_trials(tmp_path / "trials.json", tuned, SPACE, Budget(6, 10), "ndcg_at_10")
    written = orjson.loads((tmp_path / "trials.json").read_bytes())
    assert len(written["trials"]) == 6
    assert written["search_space"] == SPACE


def test_a_search_takes_up_the_trials_that_were_committed(split: Split, tmp_path: Path) -> None:
    """They count and may stay the best, by hand or not; trials of other cases are left."""
    first = tune(split, Lifted(), SPACE, Budget(3, 10), tmp_path / "a", "ndcg_at_10")
    beyond = Trial(3, {"lift": 9.0, "other": 1}, {"epochs": 2}, 0.99, 5.0)
    never = Trial(4, {"lift": -1.0, "other": 1}, {}, None, 5.0, "too low")
    known = replace(first, log=[*first.log, beyond, never])
    write_trials(tmp_path / "all.json", known, SPACE, Budget(5, 10), "ndcg_at_10")
    assert read_trials(tmp_path / "all.json", 600) == read_trials(tmp_path / "none.json") == []
    (tmp_path / "old.json").write_bytes(orjson.dumps({"trials": []}))
    assert read_trials(tmp_path / "old.json") == []
    contender, earlier = Lifted(), read_trials(tmp_path / "all.json")
    tuned = tune(
        split, contender, SPACE, Budget(7, 10), tmp_path / "b", "ndcg_at_10", earlier=earlier
    )
    assert tuned.log[:5] == known.log
    assert (contender.fits, tuned.trials) == (2, 7)
    assert (tuned.hyperparameters, tuned.found) == (beyond.hyperparameters, beyond.found)


def test_two_searches_with_a_seed_draw_the_same(split: Split, tmp_path: Path) -> None:
    """Equal seeds, equal trials."""
    one, other = (
        tune(split, Lifted(), SPACE, Budget(5, 10), tmp_path / f"{number}.journal", "mrr").log
        for number in range(2)
    )
    assert [trial.hyperparameters for trial in one] == [trial.hyperparameters for trial in other]


def test_time_ends_a_search_and_few_points_do(split: Split, tmp_path: Path) -> None:
    """After the time only a first fit begins; each point of a small space is tried once."""
    assert tune(split, Lifted(), SPACE, Budget(9, 0.0), tmp_path / "a", "mrr").trials == 1
    four = {"lift": {"type": "categorical", "choices": [0.25, 0.5, 0.75, 1.0]}}
    tuned = tune(split, Lifted(), four, Budget(9, 10), tmp_path / "b", "mrr")
    assert sorted(trial.hyperparameters["lift"] for trial in tuned.log) == [0.25, 0.5, 0.75, 1.0]
    begun = tune(
        split, Lifted(), four, Budget(9, 10), tmp_path / "c", "mrr", earlier=tuned.log[2:3]
    )
    assert begun.log[0] == replace(tuned.log[2], number=0)
    assert sorted(trial.hyperparameters["lift"] for trial in begun.log) == [0.25, 0.5, 0.75, 1.0]


def test_what_cannot_be_fitted_is_said(split: Split, tmp_path: Path) -> None:
    """Trials that cannot be fitted are kept with their reason; when none can, that is raised."""
    low = {"lift": {"type": "float", "low": -1.0, "high": 0.3}}
    tuned = tune(split, Lifted(), low, Budget(8, 10), tmp_path / "a", "mrr")
    assert {trial.reason for trial in tuned.log} == {None, "too low"}
    never = Lifted()
    never.defaults = {"lift": -1.0}
    with pytest.raises(InfeasibleError, match="too low"):
        tune(split, never, {}, Budget(3, 10), tmp_path / "b", "mrr")


def test_the_test_is_not_looked_at(split: Split, tmp_path: Path) -> None:
    """A split without a test can be tuned on."""
    blind = replace(split, test=None, known=None)
    assert tune(blind, Lifted(), SPACE, Budget(2, 10), tmp_path / "a", "mrr").trials == 2
