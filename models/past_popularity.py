"""Popularity as it stood: what training reads of it for events of long ago."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from interest_graph.interaction_graph import InteractionGraph

MOST_SNAPSHOTS = 64
MOST_ENTRIES = 50_000_000


@dataclass(frozen=True, slots=True)
class PastPopularity:
    """Popularity at S moments, ascending.

    Args:
        times: (S,) float64, seconds since 1970.
        log_popularity: (S, items) float32, log of one plus the popularity from the events before.
    """

    times: Tensor
    log_popularity: Tensor

    def snapshots(self, as_of: Tensor) -> Tensor:
        """The last moment not after each of some times; the first where there is none."""
        place = torch.searchsorted(self.times, as_of.contiguous(), right=True) - 1
        return place.clamp(min=0)

    def to(self, device: torch.device) -> PastPopularity:
        """The same on another device."""
        return PastPopularity(self.times.to(device), self.log_popularity.to(device))


def past_popularity(graph: InteractionGraph, half_life_days: float) -> PastPopularity:
    """Popularity at up to `MOST_SNAPSHOTS` moments with about as many events between them.

    With many items there are fewer moments, so that memory stays bounded. Events that are all of
    one moment have no past: then it is the popularity from all of them.
    """
    count = max(1, min(MOST_SNAPSHOTS, MOST_ENTRIES // max(graph.num_items, 1)))
    times = np.zeros(1)
    if graph.num_events:
        times = np.unique(np.quantile(graph.event_time, np.arange(count) / count))
    ordered = graph.has_order
    pasts = (graph.before(float(time)) if ordered else graph for time in times)
    counted = [
        past.popularity(float(time), half_life_days)
        for past, time in zip(pasts, times, strict=True)
    ]
    log_popularity = np.log1p(np.stack(counted)).astype(np.float32)
    return PastPopularity(torch.from_numpy(times), torch.from_numpy(log_popularity))
