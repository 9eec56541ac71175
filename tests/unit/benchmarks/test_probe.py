"""Events that are followed: one question for all of them, and what it finds."""

from __future__ import annotations

import time

import pytest

from benchmarks.probe import Probe, Watch


def sent(name: str) -> Probe:
    """A click that was accepted just now."""
    now = time.perf_counter()
    return Probe(name, "user", now, now, now, reflected=True)


def test_all_that_is_under_way_is_asked_for_at_once() -> None:
    """Each event has its own moments, and those of others do not wait for one that takes long."""
    asked: list[set[str]] = []

    def ask(under_way: list[dict[str, str]]) -> list[dict[str, object]]:
        names = {one["event_id"] for one in under_way}
        asked.append(names)
        rounds = {name: sum(name in before for before in asked) for name in names}
        rows = []
        for name in names:
            slow = name == "slow"
            if rounds[name] >= (4 if slow else 2):
                refreshed = 7 if rounds[name] >= (6 if slow else 3) else 6
                rows.append(
                    {"event_id": name, "facts": 7 + rounds[name] // 5, "refreshed": refreshed}
                )
        return rows

    one, other, slow = sent("one"), sent("other"), sent("slow")
    with Watch(ask) as watch:
        for probe in (one, other, slow):
            watch.add(probe)
    assert 0 < one.in_graph_s < one.refreshed_s
    assert one.refreshed_s < slow.in_graph_s < slow.refreshed_s
    assert slow.facts_revision == 7  # what came later is not waited for
    assert {"one", "other", "slow"} in asked
    assert len(asked) <= 8


def test_what_has_waited_long_is_asked_about_seldom() -> None:
    """A backlog must not make the watch a load of its own."""
    asked: dict[str, int] = {"old": 0, "new": 0}
    old, new = sent("old"), sent("new")
    old.accepted -= 20.0

    def ask(under_way: list[dict[str, str]]) -> list[dict[str, object]]:
        for one in under_way:
            asked[one["event_id"]] += 1
        arrived = asked["new"] >= 5 and asked["old"] >= 2
        return [
            {"event_id": one["event_id"], "facts": 1, "refreshed": 1}
            for one in under_way
            if arrived or (one["event_id"] == "new" and asked["new"] >= 5)
        ]

    with Watch(ask) as watch:
        watch.add(old)
        watch.add(new)
    assert asked == {"old": 2, "new": 5}
    assert old.refreshed_s - 20.0 >= 0.9  # of the twentieth of its age


def test_what_never_arrives_is_told() -> None:
    """An event that is lost ends the measurement with an error."""
    with pytest.raises(TimeoutError, match="1 events"), Watch(lambda _: [], 0.05) as watch:
        watch.add(sent("lost"))
