"""Progress for people, and nothing of it in what programs read."""

from __future__ import annotations

import sys

import pytest

from cli.demo_story import _duration, _path
from cli.progress import ProgressBars


def _work(bars: ProgressBars) -> None:
    with bars as report:
        report("Loading", 0, 2)
        report("Loading", 2, 2)
        report("Fitting", 1, 9)
        report("Publishing", 1, 1)


def test_without_a_terminal_nothing_is_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    """Scripts get their data and no bars, on either stream."""
    _work(ProgressBars())
    assert capsys.readouterr() == ("", "")


def test_finished_steps_are_told_when_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    """One line a piece of work, also for one that ended before its last step."""
    _work(ProgressBars(steps=True))
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(" (")[0] for line in lines] == ["✓ Loading", "✓ Fitting", "✓ Publishing"]


def test_a_terminal_gets_bars_on_stderr(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Data on stdout stay clean whatever is drawn."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    _work(ProgressBars())
    out, err = capsys.readouterr()
    assert out == ""
    assert "Publishing" in err


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0123, "12 ms"), (1.25, "1.2 s"), (28.7, "28.7 s")]
)
def test_times_are_said_as_people_say_them(seconds: float, text: str) -> None:
    """Milliseconds below a second, tenths of seconds above."""
    assert _duration(seconds) == text


def test_a_path_reads_from_the_user_to_the_item() -> None:
    """Relationships of the graph are arrows; where there is none, the terms only go together."""
    nodes = [
        {"id": "u", "name": None},
        {"id": "a", "name": "Tea"},
        {"id": "b", "name": "Milk"},
    ]
    bought = {"type": "PURCHASED"}
    assert _path({"nodes": nodes, "edges": [bought]}) == "u -PURCHASED-> Tea ~ Milk"
