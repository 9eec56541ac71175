"""Splits: what a model may learn from, what it is tuned on, and what judges it once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from .cases import Cases, items_by_user, make_cases, wanted_events

if TYPE_CHECKING:
    from collections.abc import Collection

    import numpy.typing as npt

    from interest_graph.interaction_graph import InteractionGraph

LEAST_EVENTS = 3  # one to learn from, one to validate, one to test


@dataclass(frozen=True, slots=True)
class Split:
    """One protocol applied to one data set.

    Args:
        train: What models are fitted on while they are tuned.
        check: The validation.
        known: Train and validation together: what the final model is fitted on.
        test: What it is judged by, once.
        test_name: What the test is called where there are several.
        more_tests: Further cases that the same fitted model is judged by, by name.
    """

    train: InteractionGraph
    check: Cases
    known: InteractionGraph
    test: Cases
    test_name: str = "test"
    more_tests: dict[str, Cases] = field(default_factory=dict)

    @property
    def tests(self) -> dict[str, Cases]:
        """All cases that judge, by name, the main ones first."""
        return {self.test_name: self.test, **self.more_tests}


def leave_one_out(graph: InteractionGraph) -> Split:
    """The last event of every user is the test, the one before it the validation.

    Users with fewer than three events are learned from and not asked about. What a user has seen
    is left out of the ranking.
    """
    user = graph.event_user
    stop = np.searchsorted(user, np.arange(len(graph.user_ids)), side="right")
    count = np.bincount(user, minlength=len(graph.user_ids))
    enough = count >= LEAST_EVENTS
    asked = np.flatnonzero(enough)
    from_end = stop[user] - np.arange(len(user))  # 1 for a user's last event
    train = graph.where(~enough[user] | (from_end >= LEAST_EVENTS))
    known = graph.where(~enough[user] | (from_end >= LEAST_EVENTS - 1))

    def cases(history: InteractionGraph, back: int) -> Cases:
        place = stop[asked] - back
        targets = [np.array([item]) for item in graph.event_item[place]]
        return Cases(history, asked, graph.event_time[place], targets, exclude_seen=True)

    return Split(train, cases(train, 2), known, cases(known, 1))


def temporal(
    graph: InteractionGraph,
    validation_share: float,
    test_share: float,
    max_users: int,
    seed: int,
    target_types: Collection[str] | None = None,
) -> Split:
    """The latest events are the test, those before them the validation.

    Raises:
        ValueError: No events are left before, between or after the cuts.
    """
    first, second = cut_times(graph, validation_share, test_share)
    train, known = graph.before(first), graph.before(second)
    between, after = known.split(first)[1], graph.split(second)[1]
    check = make_cases(train, between, first, max_users, seed, target_types)
    test = make_cases(known, after, second, max_users, seed, target_types)
    return Split(train, check, known, test)


def temporal_next(
    graph: InteractionGraph,
    validation_share: float,
    test_share: float,
    target_types: Collection[str] | None = None,
) -> Split:
    """Learned from is what came before a cut; asked for is what each user wanted next after it.

    A case stands at the moment of a user's first wanted event after the cut that has earlier events
    of that user, before or after the cut; they are the user's history. Wanted is everything wanted
    at that moment. It suits data in which most users come once.

    Raises:
        ValueError: No events are left before, between or after the cuts.
    """
    first, second = cut_times(graph, validation_share, test_share)
    wanted = wanted_events(graph, target_types)
    user, item, time = graph.event_user, graph.event_item, graph.event_time
    began = time[np.searchsorted(user, user, side="left")]

    def cases(start: float, end: float) -> Cases:
        possible = np.flatnonzero(wanted & (time >= start) & (time < end) & (time > began))
        users, position = np.unique(user[possible], return_index=True)
        moment = np.full(len(graph.user_ids), start)
        moment[users] = time[possible[position]]
        history = graph.where(time < moment[user])
        now = wanted & (time == moment[user])
        return Cases(history, users, moment[users], items_by_user(user[now], item[now], users))

    train, known = graph.before(first), graph.before(second)
    return Split(train, cases(first, second), known, cases(second, np.inf))


def given(
    graph: InteractionGraph, in_test: npt.NDArray[np.bool_], validation_share: float, seed: int
) -> Split:
    """The test is given; a seeded share of each user's other items is the validation.

    What a user has seen is left out of the ranking.

    Args:
        graph: All events.
        in_test: (events,) bool, the events of the test.
        validation_share: Share of a user's events outside the test; at least one of two or more.
        seed: Of the draw.
    """
    known = graph.where(~in_test)
    count = np.bincount(known.event_user, minlength=len(graph.user_ids))
    size = np.where(count > 1, np.maximum(np.floor(count * validation_share), 1), 0)
    order = np.lexsort((np.random.default_rng(seed).random(known.num_events), known.event_user))
    start = np.cumsum(count) - count
    place = np.arange(known.num_events) - start[known.event_user]
    in_check = np.zeros(known.num_events, dtype=np.bool_)
    in_check[order[place < size[known.event_user]]] = True
    train = known.where(~in_check)

    def cases(history: InteractionGraph, future: InteractionGraph) -> Cases:
        users = np.intersect1d(future.event_user, history.event_user)
        targets = items_by_user(future.event_user, future.event_item, users)
        as_of = np.full(len(users), graph.event_time.max(initial=0.0))
        return Cases(history, users, as_of, targets, exclude_seen=True)

    check = cases(train, known.where(in_check))
    return Split(train, check, known, cases(known, graph.where(in_test)))


def cut_times(graph: InteractionGraph, validation: float, test: float) -> tuple[float, float]:
    """The moments at which validation and test begin.

    Raises:
        ValueError: No events are left before, between or after them.
    """
    if not graph.num_events:
        msg = "there are no events to train on"
        raise ValueError(msg)
    quantiles = np.quantile(graph.event_time, [1 - validation - test, 1 - test])
    first, second = float(quantiles[0]), float(quantiles[1])
    if not float(graph.event_time.min()) < first < second:
        msg = "the events are too few, or too close in time, to be split into three"
        raise ValueError(msg)
    return first, second
