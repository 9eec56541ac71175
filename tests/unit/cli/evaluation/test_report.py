"""The table: figures with bounds, and nothing where there is nothing to say."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING

from cli.evaluation.report import show, show_pairs
from models.evaluation.bootstrap import Comparison, Interval
from models.evaluation.summary import Line, Pair, Summary

if TYPE_CHECKING:
    import pytest

NOTHING = Interval(nan, nan, nan)


def line(model: str, against: Comparison | None, **metrics: float) -> Line:
    """A line with a given main metric."""
    intervals = {"ndcg_at_10": Interval(metrics["ndcg_at_10"], 0.0, 1.0)}
    return Line(model, 1, True, metrics, intervals, against, None, 1.0, 2.0)  # noqa: FBT003


def test_gains_have_signs_and_bounds(capsys: pytest.CaptureFixture[str]) -> None:
    """A gain is shown with its interval, in per cent; one over nothing as a dash."""
    gain = Comparison(Interval(0.01, -0.002, 0.03), Interval(0.1, -0.02, 0.3))
    none = Comparison(Interval(0.0, 0.0, 0.0), NOTHING)
    lines = [line("a", gain, ndcg_at_10=0.11), line("b", none, ndcg_at_10=0.1)]
    summary = Summary("test", "ndcg_at_10", 5, "b", lines, [Pair("a", "b", "ndcg_at_10", gain)])
    show([summary])
    show_pairs([summary])
    printed = capsys.readouterr().out
    assert printed.count("+0.0100 [-0.0020, +0.0300]") == 2
    assert printed.count("+10.0 [-2.0, +30.0] %") == 2
    assert "nan" not in printed
    assert any(
        row.split()[:3] == ["a", "b", "NDCG@10"] for row in printed.splitlines() if row.strip()
    )


def test_metrics_that_say_nothing_new_are_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """Where all that is wanted is new, the column for new items would repeat the one for all."""
    same = {"ndcg_at_10": 0.2, "new_ndcg_at_10": 0.2}
    show([Summary("test", "ndcg_at_10", 5, "", [line("a", None, **same)])])
    assert "new NDCG@10" not in capsys.readouterr().out
    other = {"ndcg_at_10": 0.2, "new_ndcg_at_10": 0.1}
    show([Summary("test", "ndcg_at_10", 5, "", [line("a", None, **other)])])
    assert "new NDCG@10" in capsys.readouterr().out
    show([])
    assert not capsys.readouterr().out
