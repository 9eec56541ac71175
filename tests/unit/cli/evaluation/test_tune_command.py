"""Tuning every model of a data set, one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from cli.evaluation import tuning
from models.evaluation.contenders import REGISTRY
from models.evaluation.data_set import DataSet
from models.evaluation.tuning import Budget, Tuned
from tests.unit.models.synthetic import make_graph

if TYPE_CHECKING:
    from pathlib import Path

SHOP = DataSet("shop", make_graph(users=20), ("leave_one_out",), repeats=False)


@pytest.mark.parametrize("best", ["personal_popularity", "ease"])
def test_a_sum_of_usual_baselines_is_tuned_where_it_is_another(
    best: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is known of a new data set at first; what was tuned meanwhile decides at its turn."""
    made: list[str] = []

    def fake(_: Any, contender: Any, *__: Any, **___: Any) -> Tuned:
        made.append(contender.name)
        value = 0.9 if contender.name == best else 0.5 - 0.01 * len(made)
        return Tuned({}, {}, value, 1, 1.0)

    monkeypatch.setattr(tuning, "find_data_set", lambda *_: SHOP)
    monkeypatch.setattr(tuning, "tune", fake)
    monkeypatch.setattr(tuning, "cache_dir", lambda: tmp_path)
    request = tuning.TuningRequest(
        "shop", None, None, Budget(1, 1), hyperparameters=tmp_path, trials=tmp_path
    )
    tuning.run_tuning(request, lambda _: None, lambda _: None, lambda *_: None)
    equal = best == "ease"  # then popularity and it are the two best of both kinds
    assert made == [name for name in REGISTRY if not (equal and name == "usual_sum")]


def test_a_model_that_there_is_not_is_refused_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mistyped name costs no trials of those before it."""
    monkeypatch.setattr(tuning, "find_data_set", lambda *_: SHOP)
    monkeypatch.setattr(tuning, "tune", lambda *_, **__: pytest.fail("nothing may run"))
    request = tuning.TuningRequest(
        "shop", None, ("ease", "eese"), Budget(1, 1), hyperparameters=tmp_path, trials=tmp_path
    )
    with pytest.raises(ValueError, match="eese"):
        tuning.run_tuning(request, lambda _: None, lambda _: None, lambda *_: None)
