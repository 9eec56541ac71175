"""Which model goes into service."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
import pytest

from interest_graph.errors import CheckpointError
from workers.roll_out_decision import decide, fair_baselines

if TYPE_CHECKING:
    from pathlib import Path

BASELINES = {"popularity": {"ndcg_at_10": 0.1}, "in_service": {"ndcg_at_10": 0.9}}


def directory(path: Path, created_at: str, test_from: float, ndcg: float) -> Path:
    """What a published directory says of its test."""
    path.mkdir()
    (path / "config.json").write_bytes(orjson.dumps({"created_at": created_at}))
    tested = {"test_from": test_from, "test": {"ndcg_at_10": ndcg}}
    (path / "metrics.json").write_bytes(orjson.dumps(tested))
    return path


@pytest.mark.parametrize(("test_from", "expected"), [(2e9, 0.9), (1e9, 0.3)])
def test_a_model_is_not_judged_by_what_it_was_fitted_on(
    tmp_path: Path, test_from: float, expected: float
) -> None:
    """The model in service is judged on the new test events unless it was made after they began."""
    incumbent = directory(tmp_path / "old", "2026-01-01T00:00:00+00:00", 0.0, 0.3)
    trained = directory(tmp_path / "new", "2026-02-01T00:00:00+00:00", test_from, 0.5)
    fair = fair_baselines(trained, BASELINES, incumbent)
    assert fair["in_service"]["ndcg_at_10"] == expected
    assert fair["popularity"] == BASELINES["popularity"]
    assert fair_baselines(trained, BASELINES, None) == BASELINES


def test_only_what_is_better_goes_into_service() -> None:
    """A model must beat popularity and the model in service; a draw is not better."""
    assert decide({"ndcg_at_10": 0.91}, BASELINES)[0]
    for ours, name in ((0.9, "in_service"), (0.5, "in_service"), (0.1, "popularity")):
        better, reason = decide({"ndcg_at_10": ours}, BASELINES)
        assert not better
        assert name in reason


def test_a_directory_that_says_nothing_is_an_error(tmp_path: Path) -> None:
    """A model in service without its test results stops the comparison, not silently wins it."""
    incumbent = directory(tmp_path / "old", "2026-01-01T00:00:00+00:00", 0.0, 0.3)
    trained = directory(tmp_path / "new", "2026-02-01T00:00:00+00:00", 1.0, 0.5)
    (incumbent / "metrics.json").write_bytes(b"{}")
    with pytest.raises(CheckpointError):
        fair_baselines(trained, BASELINES, incumbent)
