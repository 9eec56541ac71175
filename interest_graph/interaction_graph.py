"""The facts that training learns from, as arrays: items, categories, brands, users, events."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt

DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class InteractionGraph:
    """A snapshot of the graph's facts.

    Events are sorted by (user, time, event_id); `sorted_events` brings them into that order.

    Args:
        item_ids: The items; a position in this list is an item's row.
        item_texts: What each item says; "" for stubs.
        item_categories: For each item the rows of its categories.
        category_ids: The categories.
        category_texts: Their paths as text, `Home > Kitchen`.
        brand_ids: The brands, by name.
        item_brand: (items,) int64, row of the item's brand, -1 for none.
        user_ids: The users.
        event_user: (events,) int64, row of the user.
        event_item: (events,) int64, row of the item.
        event_type: (events,) int64, code of the event type.
        event_time: (events,) float64, seconds since 1970.
        event_types: Names of the event types, in code order.
        event_weights: Weight of each event type, in code order.
    """

    item_ids: list[str]
    item_texts: list[str]
    item_categories: list[tuple[int, ...]]
    category_ids: list[str]
    category_texts: list[str]
    brand_ids: list[str]
    item_brand: npt.NDArray[np.int64]
    user_ids: list[str]
    event_user: npt.NDArray[np.int64]
    event_item: npt.NDArray[np.int64]
    event_type: npt.NDArray[np.int64]
    event_time: npt.NDArray[np.float64]
    event_types: tuple[str, ...]
    event_weights: tuple[float, ...]

    def __post_init__(self) -> None:
        """Check what every reader relies on.

        Raises:
            ValueError: Lengths differ, a row or code is out of range, or events are unsorted.
        """
        items, events = len(self.item_ids), len(self.event_user)
        lengths = {len(self.item_texts), len(self.item_categories), len(self.item_brand)}
        if lengths != {items} or len(self.category_texts) != len(self.category_ids):
            msg = "items or categories: the lists differ in length"
            raise ValueError(msg)
        if {len(self.event_item), len(self.event_type), len(self.event_time)} != {events}:
            msg = "events: the arrays differ in length"
            raise ValueError(msg)
        bounds = (
            (self.event_user, len(self.user_ids)),
            (self.event_item, items),
            (self.event_type, len(self.event_types)),
        )
        if events and any(column.min() < 0 or column.max() >= bound for column, bound in bounds):
            msg = "events: a row or code is out of range"
            raise ValueError(msg)
        step_user, step_time = np.diff(self.event_user), np.diff(self.event_time)
        if (step_user < 0).any() or ((step_user == 0) & (step_time < 0)).any():
            msg = "events: not sorted by user and time"
            raise ValueError(msg)

    @property
    def num_items(self) -> int:
        """Number of items."""
        return len(self.item_ids)

    @property
    def num_events(self) -> int:
        """Number of events."""
        return len(self.event_user)

    @property
    def has_order(self) -> bool:
        """Whether some events came before others; otherwise all are of one moment."""
        return bool(self.num_events) and bool(np.ptp(self.event_time) > 0)

    def before(self, time: float) -> Self:
        """The same items and users with the events before `time` (seconds) only."""
        return self.where(self.event_time < time)

    def split(self, cut_time: float) -> tuple[Self, Self]:
        """The events before `cut_time` (seconds), and those from then on."""
        return self.before(cut_time), self.where(self.event_time >= cut_time)

    def popularity(self, now: float, half_life_days: float) -> npt.NDArray[np.float64]:
        """Weighted events of each item, each halved every `half_life_days` before `now`.

        Returns:
            (items,) float64. Events after `now` count in full.
        """
        age_days = np.maximum(now - self.event_time, 0.0) / DAY_S
        weights = np.asarray(self.event_weights, dtype=np.float64)[self.event_type]
        decayed = weights * np.exp2(-age_days / half_life_days)
        counts = np.bincount(self.event_item, weights=decayed, minlength=self.num_items)
        return counts.astype(np.float64)

    def where(self, keep: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> Self:
        """A graph with the events that `keep` marks, or whose positions it lists, in its order."""
        return replace(
            self,
            event_user=self.event_user[keep],
            event_item=self.event_item[keep],
            event_type=self.event_type[keep],
            event_time=self.event_time[keep],
        )


def sorted_events(
    user: npt.NDArray[np.int64], time: npt.NDArray[np.float64], event_ids: list[str]
) -> npt.NDArray[np.int64]:
    """The order of events by (user, time, event_id), as positions.

    >>> sorted_events(np.array([1, 0, 0]), np.array([1.0, 3.0, 3.0]), ["a", "c", "b"]).tolist()
    [2, 1, 0]
    """
    return np.lexsort((np.asarray(event_ids), time, user)).astype(np.int64)
