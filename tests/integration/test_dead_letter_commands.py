"""`interest-graph dead-letter …` on a real Redis."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from cli.main import app
from tests.integration.log_reading import read_log

if TYPE_CHECKING:
    from interest_graph.event_stream import EventStream
    from interest_graph.settings import Settings
    from tests.integration.conftest import MakeEvent


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs a command on the session's Redis; returns what it prints, after its exit code."""
    monkeypatch.setenv("INTEREST_GRAPH_LOG_URL", settings.log_url)

    def invoke(*words: str, code: int = 0, answer: str | None = None) -> str:
        done = CliRunner().invoke(app, ["dead-letter", *words], input=answer)
        assert done.exit_code == code, done.output
        return done.stdout

    return invoke


@pytest.fixture
def two_letters(events: EventStream, make_event: MakeEvent) -> None:
    """Two dead letters with different reasons."""
    events.accept([make_event("e-0"), make_event("e-1")])
    for number, entry in enumerate(read_log(events)):
        events.bury(entry, f"reason {number}")


@pytest.mark.usefixtures("two_letters")
def test_letters_are_listed_and_shown(run: Any) -> None:
    """What, when and why, with a count of the reasons; one of them whole."""
    listed = json.loads(run("list", "--json"))
    assert listed["count"] == 2
    assert [row["payload"]["event_id"] for row in listed["items"]] == ["e-0", "e-1"]
    assert {"reason": "reason 1", "count": 1} in listed["reasons"]
    (one,) = json.loads(run("list", "--json", "--reason", "reason 1"))["items"]
    assert json.loads(run("show", one["letter_id"])) == one
    text = run("list", "--limit", "1")
    assert "e-0" in text
    assert "e-1" not in text


@pytest.mark.usefixtures("two_letters")
def test_letters_are_replayed_by_reason(run: Any, events: EventStream) -> None:
    """Those that were meant, and no other."""
    assert json.loads(run("replay", "--reason", "reason 0", "--json")) == {"replayed": 1}
    assert (events.length(), events.dead_letters()) == (1, 1)
    assert json.loads(run("replay", "--all", "--json")) == {"replayed": 1}
    assert (events.length(), events.dead_letters()) == (2, 0)


@pytest.mark.usefixtures("two_letters")
def test_letters_are_dropped_after_a_question(run: Any, events: EventStream) -> None:
    """`no` keeps them; `--yes` is for programs."""
    run("drop", "--all", answer="n\n", code=1)
    assert events.dead_letters() == 2
    assert "2 dead letters dropped" in run("drop", "--all", "--yes")
    assert (events.length(), events.dead_letters()) == (0, 0)


@pytest.mark.usefixtures("two_letters")
@pytest.mark.parametrize("words", [("replay",), ("drop",), ("replay", "1-1", "--all")])
def test_what_is_meant_must_be_said(run: Any, events: EventStream, words: tuple[str, ...]) -> None:
    """Nothing is moved or deleted without ids, a reason or --all."""
    run(*words, code=2)
    assert events.dead_letters() == 2
