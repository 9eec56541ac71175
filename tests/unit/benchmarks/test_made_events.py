"""Events of a shop that never was."""

from __future__ import annotations

import numpy as np

from benchmarks.made_events import SHARES, make_events


def test_they_follow_from_the_seed() -> None:
    """The same seed makes the same events, another one others."""
    first, again, other = make_events(3000, 1), make_events(3000, 1), make_events(3000, 2)
    for name in ("user", "item", "kind", "time_ms", "group_of_item"):
        assert np.array_equal(getattr(first, name), getattr(again, name)), name
    assert not np.array_equal(first.item, other.item)


def test_they_are_as_skewed_as_those_of_shops() -> None:
    """Few users and items have much, most little; users keep to a category; all types occur."""
    events = make_events(50_000)
    assert (np.diff(events.time_ms) >= 0).all()
    for rows, count in ((events.user, events.users), (events.item, events.items)):
        of_each = np.sort(np.bincount(rows, minlength=count))[::-1]
        assert of_each[0] > 10 * np.median(of_each)
        assert of_each[: count // 10].sum() > 0.25 * len(rows)
    assert np.allclose(np.bincount(events.kind) / len(events.kind), SHARES, atol=0.01)
    by_user = np.argsort(events.user, kind="stable")
    same = np.diff(events.user[by_user]) == 0
    assert np.median(np.diff(events.time_ms[by_user])[same]) < 5 * 60_000  # sessions
    group = events.group_of_item[events.item]
    most = [
        np.bincount(group[events.user == user]).max() / (events.user == user).sum()
        for user in range(100)
    ]
    assert np.mean(most) > 0.5


def test_what_is_not_there_yet_has_no_events() -> None:
    """Items appear in the course of the year."""
    events = make_events(50_000)
    first = np.full(events.items, np.iinfo(np.int64).max)
    np.minimum.at(first, events.item, events.time_ms)
    half = (events.time_ms[0] + events.time_ms[-1]) / 2
    assert 0.1 < (first > half).mean() < 0.5
