"""Nearest items by text: the content baseline, which can rank items without any event."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from models.evaluation.contender import Fitted, Hyperparameters

from .history import user_vectors
from .infeasible import InfeasibleError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from scipy import sparse

    from interest_graph.interaction_graph import InteractionGraph
    from models.evaluation.cases import Cases
    from models.evaluation.context import Context

Floats = npt.NDArray[np.float32]
TIE_BREAK = 1e-6


class TextKNN:
    """Recency-weighted mean cosine of an item's text to those of the user's newest items.

        s(u, i) = Σ_j x_uj · cos(t_j, t_i) / Σ_j x_uj

    over the newest events with decay by rank and age; where nothing is said of either, the mean
    cosine is 0 and popularity decides.
    """

    name = "text_knn"
    seeded = False
    defaults: Mapping[str, Any] = {
        "max_events": 10,
        "history_decay": 0.8,
        "history_half_life_days": 3650.0,
        "centered": True,
    }

    def __init__(self, context: Context) -> None:
        self._embeddings = context.text_embeddings
        self._made: Floats | None = None

    def fit(
        self,
        graph: InteractionGraph,
        hyperparameters: Hyperparameters,
        seed: int,
        check: Cases | None,
    ) -> Fitted:
        """Embed the texts, once.

        Raises:
            InfeasibleError: The items have no texts.
        """
        del seed, check
        if self._embeddings is None:
            msg = "text_knn needs texts of items, and there are none"
            raise InfeasibleError(msg)
        if self._made is None:
            self._made = self._embeddings()
        directions = unit_rows(self._made, centered=bool(hyperparameters["centered"]))
        vectors = partial(
            user_vectors,
            max_events=int(hyperparameters["max_events"]),
            decay=float(hyperparameters["history_decay"]),
            half_life_days=float(hyperparameters["history_half_life_days"]),
        )
        popularity = np.bincount(graph.event_item, minlength=graph.num_items).astype(np.float32)
        popularity /= max(popularity.max(initial=0.0), 1.0)
        return Fitted(TextRanker(directions, vectors, popularity * TIE_BREAK))


class TextRanker:
    """Scores by direction.

    Args:
        directions: (items, d) float32 of length one, or zero for nothing said.
        vectors: What the users of cases took, (cases, items) sparse.
        rest: (items,) float32, what decides between equals.
    """

    def __init__(
        self, directions: Floats, vectors: Callable[[Cases], sparse.csr_array], rest: Floats
    ) -> None:
        self._directions, self._vectors, self._rest = directions, vectors, rest

    def __call__(self, cases: Cases) -> Floats:
        """Scores of all items for some cases."""
        taken = self._vectors(cases)
        total = np.maximum(np.asarray(taken.sum(axis=1)), 1e-12)[:, None]
        profile = np.asarray(taken @ self._directions) / total
        return np.asarray(profile @ self._directions.T + self._rest, np.float32)


def unit_rows(embeddings: Floats, *, centered: bool) -> Floats:
    """Rows of length one; zero rows stay zero.

    Args:
        embeddings: (items, d).
        centered: Whether the mean of the other rows is taken off first: what all texts share says
            nothing about which of them are alike.
    """
    said = np.abs(embeddings).sum(axis=1) > 0
    rows = embeddings.astype(np.float32)
    if centered and said.any():
        rows[said] -= rows[said].mean(axis=0)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, 1e-12), np.float32)
