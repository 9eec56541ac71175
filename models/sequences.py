"""Windows of users' events: what one training step reads."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from interest_graph.interest_kernels import MINUTE_S

if TYPE_CHECKING:
    from interest_graph.interaction_graph import InteractionGraph

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class WindowBatch:
    """B windows of T events; what is behind a window's end is padding.

    Args:
        items: (B, T) int64 item rows; 0 in the padding.
        targets: (B, T) int64 item rows to predict at the moment of each event: its own item, or
            that of a later one.
        event_types: (B, T) int64 codes.
        times: (B, T) float64 seconds.
        last: (B, T) int64, the newest event that may be seen when predicting; -1 when none.
        as_of: (B, T) float64, the minute of each event.
        weight: (B, T) float32, weight of each prediction; 0 for padding and where nothing may be
            seen.
        past_items: (B, O) int64 item rows of the events before the window, oldest first; -1 none.
        past_types: (B, O) int64 codes.
        past_times: (B, O) float64 seconds.
    """

    items: Tensor
    targets: Tensor
    event_types: Tensor
    times: Tensor
    last: Tensor
    as_of: Tensor
    weight: Tensor
    past_items: Tensor
    past_types: Tensor
    past_times: Tensor

    def to(self, device: torch.device) -> WindowBatch:
        """The same on another device."""
        moved = (getattr(self, name).to(device) for name in self.__slots__)
        return WindowBatch(*moved)

    def share(self, rank: int, size: int) -> WindowBatch:
        """The windows of one of `size` processes; one that weighs nothing when there are fewer."""
        mine = WindowBatch(
            *(getattr(self, name)[rank::size].contiguous() for name in self.__slots__)
        )
        if len(mine.weight):
            return mine
        first = WindowBatch(*(getattr(self, name)[:1] for name in self.__slots__))
        return replace(first, weight=torch.zeros_like(first.weight))


class Windows:
    """All windows of a graph for one epoch, cut at a random phase for each user.

    Args:
        graph: The events.
        size: Events of a window.
        rng: Where the phases come from.
        reach: Events that are read before a window.
        any_order: Whether a user's events stand in a new random order, because they have none.
    """

    def __init__(
        self,
        graph: InteractionGraph,
        size: int,
        rng: np.random.Generator,
        reach: int = 0,
        *,
        any_order: bool = False,
    ) -> None:
        user = graph.event_user
        if any_order:
            graph = graph.where(np.lexsort((rng.random(len(user)), user)))
        self._graph, self._size, self._rng, self._reach = graph, size, rng, reach
        position = np.arange(len(user)) - np.searchsorted(user, user, side="left")
        phase = rng.integers(0, size, len(graph.user_ids))
        window = (position + phase[user]) // size
        starts = np.ones(len(user), dtype=bool)
        starts[1:] = (np.diff(user) != 0) | (np.diff(window) != 0)
        self._starts = np.flatnonzero(starts)
        self._lengths = np.diff(np.append(self._starts, len(user)))
        long_enough = self._lengths > 1
        self._starts, self._lengths = self._starts[long_enough], self._lengths[long_enough]
        self.users = user[self._starts]

    def batches(self, events: int, group: Ints) -> list[Ints]:
        """Shuffled batches of windows of about one length, each of users of one group.

        Args:
            events: Most events of a batch, padding included.
            group: (users,) int64, the group of each user.
        """
        batches = []
        order = self._rng.permutation(len(self._starts))
        order = order[np.argsort(self._lengths[order], kind="stable")]
        for number in np.unique(group[self.users]):
            members = order[group[self.users[order]] == number]
            begin = 0
            while begin < len(members):
                width = self._lengths[members[begin:]]
                fits = np.arange(1, len(width) + 1) * width <= max(events, width[0])
                count = len(width) if fits.all() else int(np.argmin(fits))
                batches.append(members[begin : begin + count])
                begin += count
        return [batches[place] for place in self._rng.permutation(len(batches))]

    def read(self, windows: Ints, same_moment: float, look_ahead: float) -> WindowBatch:
        """Gather windows.

        Args:
            windows: Which.
            same_moment: Share of windows in which an event may see those before it that happened at
                the same moment; in the others only what happened earlier.
            look_ahead: Share of targets that are drawn from all that follows in the window instead
                of being the next event (Pancha et al. 2022, arXiv:2205.04507).
        """
        graph = self._graph
        starts, lengths = self._starts[windows], self._lengths[windows]
        width = int(lengths.max())
        place = np.arange(width)
        real = place < lengths[:, None]
        index = np.where(real, starts[:, None] + place, starts[:, None])
        times = graph.event_time[index]
        changed = np.ones(index.shape, dtype=bool)
        changed[:, 1:] = times[:, 1:] != times[:, :-1]
        moment = np.maximum.accumulate(np.where(changed, place, 0), axis=1)
        sees_moment = self._rng.random(len(windows)) < same_moment
        last = np.where(sees_moment[:, None], place - 1, moment - 1)
        reach = np.where(self._rng.random(index.shape) < look_ahead, lengths[:, None] - place, 1)
        ahead = (self._rng.random(index.shape) * np.maximum(reach, 1)).astype(np.int64)
        target = np.where(real, index + ahead, starts[:, None])
        weights = np.asarray(graph.event_weights, dtype=np.float32)[graph.event_type[target]]
        return WindowBatch(
            torch.from_numpy(np.where(real, graph.event_item[index], 0)),
            torch.from_numpy(graph.event_item[target]),
            torch.from_numpy(np.where(real, graph.event_type[index], 0)),
            torch.from_numpy(times),
            torch.from_numpy(np.where(real, last, -1)),
            torch.from_numpy(np.floor(times / MINUTE_S) * MINUTE_S),
            torch.from_numpy(np.where(real & (last >= 0), weights, 0).astype(np.float32)),
            *self._past(starts),
        )

    def _past(self, starts: Ints) -> tuple[Tensor, Tensor, Tensor]:
        """Items, types and times of the events before windows that begin at `starts`."""
        graph = self._graph
        begin = np.searchsorted(graph.event_user, graph.event_user[starts], side="left")
        reach = min(self._reach, int((starts - begin).max(initial=0)))
        index = starts[:, None] - np.arange(reach, 0, -1)
        real = index >= begin[:, None]
        index = np.where(real, index, starts[:, None])
        return (
            torch.from_numpy(np.where(real, graph.event_item[index], -1)),
            torch.from_numpy(graph.event_type[index]),
            torch.from_numpy(graph.event_time[index]),
        )


def newest_windows(
    graph: InteractionGraph, users: Ints, size: int
) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """Positions of the newest events of users, oldest first, padded on the right.

    Returns:
        (users, size) int64 positions in the graph's events, and which of them are real.
    """
    stops = np.searchsorted(graph.event_user, users, side="right")
    starts = np.maximum(np.searchsorted(graph.event_user, users, side="left"), stops - size)
    index = starts[:, None] + np.arange(size)
    real = index < stops[:, None]
    return np.where(real, index, 0), real
