"""Cases: whom to recommend to, from what may be seen, and what they then wanted."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from interest_graph.interaction_graph import InteractionGraph

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
STRONG_SHARE = 0.5
SEVERAL = 1.5
"""Wanted items of a case, on average, from which on it is not the next one that counts."""


@dataclass(frozen=True, slots=True)
class Cases:
    """Users to recommend to, each at a moment.

    Args:
        history: The events that may be seen.
        users: (C,) int64 rows of the users.
        as_of: (C,) float64, the moment of each, in seconds since 1970.
        targets: For each the item rows that were wanted, distinct and ascending.
        exclude_seen: Whether items of a user's own events are left out of the ranking.
        candidates: (items,) bool, what is ranked; None for everything.
    """

    history: InteractionGraph
    users: Ints
    as_of: npt.NDArray[np.float64]
    targets: list[Ints]
    exclude_seen: bool = False
    candidates: npt.NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        """Number of cases."""
        return len(self.users)

    @property
    def several(self) -> bool:
        """Whether several items are wanted of a case, such as a basket or what comes in a month."""
        return sum(map(len, self.targets)) > SEVERAL * len(self)

    def seen(self, user: int) -> Ints:
        """Item rows of a user's events."""
        bounds = np.searchsorted(self.history.event_user, [user, user + 1])
        return self.history.event_item[bounds[0] : bounds[1]]

    def take(self, places: Ints) -> Self:
        """Some of the cases."""
        return replace(
            self,
            users=self.users[places],
            as_of=self.as_of[places],
            targets=[self.targets[place] for place in places.tolist()],
        )

    def batches(self, size: int) -> Iterator[Self]:
        """All cases, `size` at a time."""
        for start in range(0, len(self), size):
            yield self.take(np.arange(start, min(start + size, len(self))))


Ranker = Callable[[Cases], Floats]
"""Scores of all items for each of some cases: (cases, items) float32."""


def wanted_events(
    graph: InteractionGraph, target_types: Collection[str] | None = None
) -> npt.NDArray[np.bool_]:
    """Which events show that an item was wanted, (events,) bool.

    Args:
        graph: The events.
        target_types: The event types that count; by default those that weigh at least half as much
            as the heaviest type there is.
    """
    if target_types is None:
        weights = np.asarray(graph.event_weights)[graph.event_type]
        return np.asarray(weights >= weights.max(initial=0.0) * STRONG_SHARE)
    counts = np.array([name in target_types for name in graph.event_types], dtype=np.bool_)
    return np.asarray(counts[graph.event_type])


def make_cases(
    history: InteractionGraph,
    future: InteractionGraph,
    as_of: float,
    max_users: int,
    seed: int,
    target_types: Collection[str] | None = None,
) -> Cases:
    """One case for every user with events before and after a cut.

    Wanted are the items of `wanted_events`. Of more than `max_users` users a seeded sample is
    taken.
    """
    wanted = wanted_events(future, target_types)
    user, item = future.event_user[wanted], future.event_item[wanted]
    users = np.intersect1d(user, history.event_user)
    if len(users) > max_users:
        chosen = np.random.default_rng(seed).choice(len(users), max_users, replace=False)
        users = users[np.sort(chosen)]
    targets = items_by_user(user, item, users)
    return Cases(history, users, np.full(len(users), as_of), targets)


def items_by_user(user: Ints, item: Ints, users: Ints) -> list[Ints]:
    """For each of some users the distinct items, ascending.

    Args:
        user: (N,) int64, ascending.
        item: (N,) int64, an item of each.
        users: Whose.
    """
    starts, stops = np.searchsorted(user, users, "left"), np.searchsorted(user, users, "right")
    return [np.unique(item[a:b]) for a, b in zip(starts, stops, strict=True)]
