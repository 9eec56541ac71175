"""Which items a training step ranks: all when they are few, otherwise a sample."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from .recommender import Candidates

Floats = npt.NDArray[np.float64]


class CandidateSampler:
    """The targets of a batch and items drawn uniformly, with each item's chance of being drawn.

    An item is among the candidates when it is a target of the batch, with probability about
    1 - (1 - p_i)^targets for its share p_i of all events, or when it is drawn. The log of that
    chance is the correction of sampled softmax (logQ; Bengio & Senécal 2008).

    Args:
        events: (items,) float64, weighted events of each item.
        negatives: Items drawn in each step.
        full_items: With at most this many items all of them are candidates.
        rng: Where the draws come from.
    """

    def __init__(
        self, events: Floats, negatives: int, full_items: int, rng: np.random.Generator
    ) -> None:
        self._items, self._negatives, self._rng = len(events), negatives, rng
        self._share = events / max(float(events.sum()), 1e-12)
        self._all = self._items <= max(full_items, negatives)

    def draw(self, targets: npt.NDArray[np.int64]) -> Candidates:
        """Candidates for a batch with these target rows (repeats included)."""
        if self._all:
            return Candidates(torch.arange(self._items), torch.zeros(self._items))
        drawn = self._rng.integers(0, self._items, self._negatives)
        rows = np.union1d(targets, drawn)
        missed = len(targets) * np.log1p(-np.minimum(self._share[rows], 1 - 1e-9))
        missed = missed + self._negatives * np.log1p(-1 / self._items)
        chance = np.log(-np.expm1(missed)).astype(np.float32)
        return Candidates(torch.from_numpy(rows), torch.from_numpy(chance))
