"""Splits: what a model may learn from, what it is tuned on, and what judges it once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .cases import Cases, make_cases

if TYPE_CHECKING:
    from interest_graph.interaction_graph import InteractionGraph


@dataclass(frozen=True, slots=True)
class Split:
    """One protocol applied to one data set.

    Args:
        train: What models are fitted on while they are tuned.
        check: The validation.
        known: Train and validation together: what the final model is fitted on.
        test: What it is judged by, once.
    """

    train: InteractionGraph
    check: Cases
    known: InteractionGraph
    test: Cases


def leave_one_out(graph: InteractionGraph) -> Split:
    """The last event of every user is the test, the one before it the validation.

    Users with fewer than three events are learned from and not asked about. What a user has seen
    is left out of the ranking.
    """
    user = graph.event_user
    stop = np.searchsorted(user, np.arange(len(graph.user_ids)), side="right")
    count = np.bincount(user, minlength=len(graph.user_ids))
    asked = np.flatnonzero(count >= 3)
    from_end = stop[user] - np.arange(len(user))  # 1 for a user's last event
    long_enough = count[user] >= 3
    train = graph.where(~long_enough | (from_end > 2))
    known = graph.where(~long_enough | (from_end > 1))

    def cases(history: InteractionGraph, back: int) -> Cases:
        place = stop[asked] - back
        targets = [np.array([item]) for item in graph.event_item[place]]
        return Cases(history, asked, graph.event_time[place], targets, exclude_seen=True)

    return Split(train, cases(train, 2), known, cases(known, 1))


def temporal(
    graph: InteractionGraph, validation_share: float, test_share: float, max_users: int, seed: int
) -> Split:
    """The latest events are the test, those before them the validation.

    Raises:
        ValueError: No events are left before, between or after the cuts.
    """
    first, second = cut_times(graph, validation_share, test_share)
    train, known = graph.before(first), graph.before(second)
    check = make_cases(train, known.split(first)[1], first, max_users, seed)
    test = make_cases(known, graph.split(second)[1], second, max_users, seed)
    return Split(train, check, known, test)


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
