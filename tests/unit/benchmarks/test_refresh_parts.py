"""Where the refresh benchmark says that time and hits go."""

from __future__ import annotations

from typing import TYPE_CHECKING
from unittest.mock import Mock

from benchmarks.hits import OTHER, PURPOSES, name_of
from benchmarks.refresh import Parts
from cypher.statement import load, load_for_all, paths

if TYPE_CHECKING:
    import pytest


def test_a_part_is_without_the_parts_within_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a part waits for another is the other's; together they are all of the time."""
    clock = iter([0.0, 1.0, 3.0, 4.0, 9.0, 10.0])
    monkeypatch.setattr("benchmarks.refresh.time", Mock(perf_counter=lambda: next(clock)))
    parts = Parts()
    inner = parts.timed("inner", lambda: None)
    with parts.part("outer"):
        inner()
        inner()
    assert parts.seconds == {"inner": 7.0, "outer": 3.0}


def test_every_statement_is_known_by_its_text() -> None:
    """Each has its name, templates too, and no two share a purpose's first line."""
    found = [*paths("read"), *paths("write")]
    assert len(PURPOSES) == len(found)
    assert [name_of(load(path).text) for path in found] == [load(path).name for path in found]
    template = load_for_all("read/fetch_user_events", ("VIEWED", "CLICKED"))
    assert name_of(template) == "fetch_user_events"
    assert name_of("\nUNWIND $ids AS id\n") == OTHER
