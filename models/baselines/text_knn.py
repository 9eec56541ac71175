"""Nearest items by text: the content baseline, which can rank items without any event."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from models.evaluation.contender import Fitted, Hyperparameters
from models.likeness import Matrix, word_vectors

from .history import user_vectors
from .infeasible import InfeasibleError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from interest_graph.interaction_graph import InteractionGraph
    from models.evaluation.cases import Cases
    from models.evaluation.context import Context

Floats = npt.NDArray[np.float32]
TIE_BREAK = 1e-6


class TextKNN:
    """Recency-weighted mean likeness of an item's text to those of the user's newest items.

        s(u, i) = Σ_j x_uj · ((1 - w) cos(t_j, t_i) + w cos(k_j, k_i)) / Σ_j x_uj

    over the newest events with decay by rank and age; t are text embeddings, k words weighed by how
    rare they are (tf–idf). Where nothing is said of either, popularity decides.
    """

    name = "text_knn"
    seeded = False
    defaults: Mapping[str, Any] = {
        "max_events": 10,
        "history_decay": 0.8,
        "history_half_life_days": 3650.0,
        "centered": True,
        "words": 0.0,
    }

    def __init__(self, context: Context) -> None:
        self._embeddings = context.text_embeddings
        self._made: Floats | None = None
        self._words: Matrix | None = None

    def fit(
        self,
        graph: InteractionGraph,
        hyperparameters: Hyperparameters,
        seed: int,
        check: Cases | None,
    ) -> Fitted:
        """Embed the texts and count their words, once.

        Raises:
            InfeasibleError: The items have no texts.
        """
        del seed, check
        if self._embeddings is None:
            msg = "text_knn needs texts of items, and there are none"
            raise InfeasibleError(msg)
        if self._made is None:
            self._made = self._embeddings()
        if self._words is None:
            self._words = word_vectors(graph.item_texts)
        share = float(hyperparameters.get("words", 0.0))
        directions = unit_rows(self._made, centered=bool(hyperparameters["centered"]))
        vectors = partial(
            user_vectors,
            max_events=int(hyperparameters["max_events"]),
            decay=float(hyperparameters["history_decay"]),
            half_life_days=float(hyperparameters["history_half_life_days"]),
        )
        popularity = np.bincount(graph.event_item, minlength=graph.num_items).astype(np.float32)
        popularity /= max(popularity.max(initial=0.0), 1.0)
        said = directions * np.float32((1 - share) ** 0.5), self._words * np.float32(share**0.5)
        return Fitted(TextRanker(*said, vectors, popularity * TIE_BREAK))


class TextRanker:
    """Scores by direction and words.

    Args:
        directions: (items, d) float32, zero for nothing said.
        words: (items, words) float32 sparse, likewise.
        vectors: What the users of cases took, (cases, items) sparse.
        rest: (items,) float32, what decides between equals.
    """

    def __init__(
        self,
        directions: Floats,
        words: Matrix,
        vectors: Callable[[Cases], sparse.csr_array],
        rest: Floats,
    ) -> None:
        self._directions, self._words = directions, words
        self._vectors, self._rest = vectors, rest

    def __call__(self, cases: Cases) -> Floats:
        """Scores of all items for some cases."""
        taken = self._vectors(cases)
        total = np.maximum(np.asarray(taken.sum(axis=1)), 1e-12)[:, None]
        score = np.asarray(taken @ self._directions) @ self._directions.T
        if self._words.nnz:
            score = score + (sparse.csr_array(taken @ self._words) @ self._words.T).toarray()
        return np.asarray(score / total + self._rest, np.float32)


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
