"""Splits that hold back whole items, or whole users: what a model does with what it never saw."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .cases import Cases, Ints, items_by_user, wanted_events
from .splits import Split

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from interest_graph.interaction_graph import InteractionGraph

Bools = npt.NDArray[np.bool_]
AFTER_EVENTS = (1, 2, 3, 5)


def cold_items(
    graph: InteractionGraph,
    share: float,
    seed: int,
    target_types: Collection[str] | None = None,
) -> Split:
    """A share of the items loses all events; who had taken them must be found from content alone.

    Half of these items are the validation, half the test. They keep text, categories and brand.
    Asked about is every user who had taken one of them and has other events; as of the user's last
    event. The test ranks the cold items among themselves; `more_tests` among all items, those left
    out that the user has seen. A refit learns from the events of the validation's items.

    Raises:
        ValueError: There are fewer than two items with events to hold back.
    """
    cold_check, cold_test = _halves(np.unique(graph.event_item), graph.num_items, share, seed)
    known = graph.where(~cold_test[graph.event_item])
    train = known.where(~cold_check[known.event_item])

    def cases(history: InteractionGraph, cold: Bools) -> Cases:
        future = graph.where(cold[graph.event_item] & wanted_events(graph, target_types))
        users = np.intersect1d(future.event_user, history.event_user)
        last = np.searchsorted(graph.event_user, users, side="right") - 1
        targets = items_by_user(future.event_user, future.event_item, users)
        as_of = graph.event_time[last]
        return Cases(history, users, as_of, targets, exclude_seen=True, candidates=cold)

    test = cases(known, cold_test)
    everything = {"among all items": replace(test, candidates=None)}
    check = cases(train, cold_check)
    return Split(train, check, known, test, "among cold items", everything)


def cold_users(
    graph: InteractionGraph,
    share: float,
    seed: int,
    target_types: Collection[str] | None = None,
    *,
    exclude_seen: bool = False,
    after_events: Sequence[int] = AFTER_EVENTS,
) -> Split:
    """A share of the users is not learned from; what comes after their first events is asked for.

    Half of them are the validation, half the test. A case shows a user's first n events and wants
    the item of the next one; of each user of the validation with one n, seeded; of the test with
    every n in turn. What all other users did is in the history too.

    Args:
        graph: All events.
        share: Share of the users with two or more events.
        seed: Of the draws.
        target_types: The event types that can be wanted; see `wanted_events`.
        exclude_seen: Leave out of the ranking what the user has seen.
        after_events: The values of n.

    Raises:
        ValueError: There are fewer than two users to hold back.
    """
    count = np.bincount(graph.event_user, minlength=len(graph.user_ids))
    check_users, test_users = _halves(np.flatnonzero(count > 1), len(count), share, seed)
    known = graph.where(~test_users[graph.event_user])
    train = known.where(~check_users[known.event_user])
    wanted = wanted_events(graph, target_types)

    def cases(cold: Bools, left_out: Bools, shown: Ints) -> Cases:
        return _after_first(graph, cold, left_out, shown, wanted, exclude_seen=exclude_seen)

    drawn = np.random.default_rng(seed).permutation(len(count)) % len(after_events)
    mixed = np.minimum(np.asarray(after_events)[drawn], np.maximum(count - 1, 1))
    check = cases(check_users, check_users | test_users, mixed)
    tests = {
        f"after {n} event{'s' if n > 1 else ''}": cases(
            test_users, test_users, np.full(len(count), n)
        )
        for n in after_events
    }
    name, test = next(iter(tests.items()))
    return Split(train, check, known, test, name, dict(list(tests.items())[1:]))


def _halves(chosen_from: Ints, size: int, share: float, seed: int) -> tuple[Bools, Bools]:
    """A seeded share of some rows as two disjoint masks of equal size."""
    half = round(len(chosen_from) * share / 2)
    if half < 1:
        msg = f"a share of {share} of {len(chosen_from)} is too few to hold back two of them"
        raise ValueError(msg)
    drawn = np.random.default_rng(seed).permutation(chosen_from)[: 2 * half]
    masks = np.zeros((2, size), dtype=np.bool_)
    masks[0, drawn[:half]] = masks[1, drawn[half:]] = True
    return masks[0], masks[1]


def _after_first(
    graph: InteractionGraph,
    cold: Bools,
    left_out: Bools,
    shown: Ints,
    wanted: Bools,
    *,
    exclude_seen: bool,
) -> Cases:
    """Cases of the cold users after their first events.

    Args:
        graph: All events.
        cold: (users,) bool, whom to ask about.
        left_out: (users,) bool, of whom nothing is seen but, when they are cold, the first events.
        shown: (users,) int64, how many events of a user are shown.
        wanted: (events,) bool, what can be wanted.
        exclude_seen: Leave out of the ranking what the user has seen.
    """
    user = graph.event_user
    place = np.arange(graph.num_events) - np.searchsorted(user, user, side="left")
    first = place < shown[user]
    history = graph.where(~left_out[user] | (cold[user] & first))
    later = np.flatnonzero(cold[user] & ~first & wanted)
    users, position = np.unique(user[later], return_index=True)
    targets = later[position]
    items = [np.array([item]) for item in graph.event_item[targets]]
    return Cases(history, users, graph.event_time[targets], items, exclude_seen)
