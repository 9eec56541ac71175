"""Events of a shop that never was."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from benchmarks.made_events import SHARES, Ints, make_events

Bools = npt.NDArray[np.bool_]


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


def test_what_a_user_likes_changes_now_and_then() -> None:
    """Of users who come early and late in the year some have another category then, most do not."""
    events = make_events(50_000)
    group, middle = events.group_of_item[events.item], np.median(events.time_ms)
    changed = []
    for user in range(events.users):
        halves = [group[(events.user == user) & late] for late in _halves(events.time_ms, middle)]
        if min(len(half) for half in halves) >= 20:
            one, other = (np.bincount(half).argmax() for half in halves)
            changed.append(one != other)
    assert len(changed) > 50
    assert 0.1 < np.mean(changed) < 0.7


def _halves(time_ms: Ints, middle: float) -> tuple[Bools, Bools]:
    """Events before a moment, and from then on."""
    return time_ms < middle, time_ms >= middle
