"""Which items a training step ranks: all when they are few, otherwise a sample."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from .recommender import Candidates

Floats = npt.NDArray[np.float64]
POPULARITY_POWER = 0.75


class CandidateSampler:
    """Negatives drawn by popularity and uniformly, and beside them the targets of the batch.

    Negatives do not depend on the batch: other targets of the same user would be drawn far more
    often than any correction knows, and the model would learn that nobody wants a thing twice. The
    log of each item's chance of being drawn corrects the softmax (logQ; Bengio & Senécal 2008).

    Args:
        events: (items,) float64, events of each item.
        negatives: Draws in each step.
        full_items: With at most this many items all of them are ranked.
        rng: Where the draws come from.
    """

    def __init__(
        self, events: Floats, negatives: int, full_items: int, rng: np.random.Generator
    ) -> None:
        self._items, self._negatives, self._rng = len(events), negatives, rng
        smoothed = (events + 1) ** POPULARITY_POWER
        chance = (smoothed / smoothed.sum() + 1 / max(len(events), 1)) / 2
        self._cumulative = np.cumsum(chance)
        self._log_inclusion = np.log(-np.expm1(negatives * np.log1p(-chance)))
        self._all = self._items <= max(full_items, negatives)

    def draw(self, targets: npt.NDArray[np.int64]) -> Candidates:
        """Candidates for a batch with these target rows."""
        if self._all:
            every = torch.arange(self._items)
            return Candidates(
                every, torch.ones_like(every, dtype=torch.bool), torch.zeros(len(every))
            )
        places = self._rng.random(self._negatives) * self._cumulative[-1]
        drawn = np.unique(np.searchsorted(self._cumulative, places, side="right"))
        rows = np.union1d(targets, drawn)
        log_inclusion = self._log_inclusion[rows].astype(np.float32)
        return Candidates(
            torch.from_numpy(rows),
            torch.from_numpy(np.isin(rows, drawn, assume_unique=True)),
            torch.from_numpy(log_inclusion),
        )
