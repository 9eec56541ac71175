"""Batches of sequences of like length in which every event predicts the next one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from interest_graph.interaction_graph import InteractionGraph

Ints = npt.NDArray[np.int64]
LENGTH_NOISE = 0.3


def next_item_batches(
    graph: InteractionGraph, max_events: int, batch_events: int, rng: np.random.Generator
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """All events of one epoch in shuffled batches.

    Sequences are cut into windows at a random phase for each user. Windows of about the same length
    stand together, so that there is little padding.

    Args:
        graph: The events.
        max_events: Longest window.
        batch_events: Events of a batch, padding included, about.
        rng: Where the order and the phases come from.

    Yields:
        (B, T) int64 items padded with 0 on the right, (B, T) int64 next items, and (B, T) float32
        weights of the next events' types, 0 for the padding.
    """
    item, weight = graph.event_item, np.asarray(graph.event_weights, np.float32)[graph.event_type]
    starts, lengths = _windows(graph, max_events, rng)
    if not len(starts):
        return
    noisy = lengths * (1 + LENGTH_NOISE * rng.random(len(lengths)))
    order = np.argsort(noisy, kind="stable")
    batch = np.cumsum(lengths[order]) // batch_events
    batches = np.split(order, np.flatnonzero(np.diff(batch)) + 1)
    for number in rng.permutation(len(batches)).tolist():
        chosen = batches[number]
        place = np.arange(lengths[chosen].max())
        real = place < lengths[chosen][:, None]
        index = np.where(real, starts[chosen][:, None] + place, starts[chosen][:, None])
        yield (
            torch.from_numpy(np.where(real, item[index], 0)),
            torch.from_numpy(item[index + 1]),
            torch.from_numpy(np.where(real, weight[index + 1], 0)),
        )


def _windows(
    graph: InteractionGraph, max_events: int, rng: np.random.Generator
) -> tuple[Ints, Ints]:
    """First event and length of each window of events that have a next one."""
    user = graph.event_user
    source = np.flatnonzero(user[:-1] == user[1:])
    position = source - np.searchsorted(user, user[source], side="left")
    count = np.bincount(user, minlength=len(graph.user_ids)) - 1
    phase = np.where(count > max_events, rng.integers(0, max_events, len(count)), 0)
    window = (position + phase[user[source]]) // max_events
    new = np.ones(len(source), dtype=bool)
    new[1:] = (np.diff(user[source]) != 0) | (np.diff(window) != 0)
    return source[new], np.diff(np.append(np.flatnonzero(new), len(source)))
