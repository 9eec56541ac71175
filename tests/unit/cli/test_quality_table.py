"""The table that a training and the demo print: the model next to the baselines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.quality_table import show_quality

if TYPE_CHECKING:
    import pytest


def test_the_model_stands_first_and_every_baseline_below(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each line has the metrics that the model has, in one order, under their headings."""
    model = {"recall_at_20": 0.25, "ndcg_at_10": 0.5, "unknown": 1.0}
    baselines = {
        "personal_popularity": {"ndcg_at_10": 0.375, "recall_at_20": 0.125},
        "popularity": {"ndcg_at_10": 0.0625},
    }
    show_quality(model, baselines)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["ndcg_at_10", "recall_at_20"]
    assert lines[1:] == [
        ["this", "model", "0.5000", "0.2500"],
        ["personal", "popularity", "0.3750", "0.1250"],
        ["popularity", "0.0625", "0.0000"],
    ]
