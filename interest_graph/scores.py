"""Scores of items for interests, and the terms that they are sums of, of many users at once.

What is computed for a user does not depend on the others: the terms of an item are the same bits
alone and among others, because explanations are computed alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from . import score_kernels as kernels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .interest import Interest
    from .interest_encoder import Floats, InterestEncoder
    from .item_matrix import ItemMatrix
    from .quantised_items import NearScores, QuantisedItems

    Ints = npt.NDArray[np.int64]
    Doubles = npt.NDArray[np.float64]

PRODUCTS = 8192
"""Products that are computed at once: they are in the cache while they are laid out by user."""


@dataclass(frozen=True, slots=True)
class Contributions:
    """The terms of one score, in float64.

    Args:
        interest: (m,) α_j v_jᵀ M v_i for each event.
        item_graph: (m,) γ_j w_ji for each event, ρ_j w_ii for those of the item itself.
        edge_weight: (m,) w_ji for each event; 0 where there is no edge or the event has no γ.
        bias: b_i, what the item's popularity says.
    """

    interest: Doubles
    item_graph: Doubles
    edge_weight: Doubles
    bias: float

    @property
    def score(self) -> float:
        """The sum of all terms."""
        return float(self.interest.sum() + self.item_graph.sum()) + self.bias


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of k scores of one user, in float64; the first three as in `Contributions`, (m, k).

    Args:
        interest: Of attention.
        item_graph: Of item edges.
        edge_weight: Weights of these edges.
        scores: (k,) the sums of all terms and the items' biases.
        best: (k,) int64, the event that says most for each item; 0 without events.
    """

    interest: Doubles
    item_graph: Doubles
    edge_weight: Doubles
    scores: Doubles
    best: Ints


class Scorer:
    """Scores items for some interests, B of them.

    Args:
        matrix: The item matrix, which must not change meanwhile.
        interests: At least one.
    """

    def __init__(self, matrix: ItemMatrix, interests: Sequence[Interest]) -> None:
        self._matrix, self._interests = matrix, interests
        self._queries = np.stack([one.query for one in interests])
        self._edges = matrix.neighbor_rows, matrix.neighbor_weights, matrix.own_weights

    def scores(self) -> Floats:
        """(B, n) float32, the score of every item for each interest.

        One product for all of them: the matrix is read from memory once.
        """
        embeddings, queries = self._matrix.embeddings, self._queries
        values = np.empty((len(queries), len(embeddings)), np.float32)
        step = PRODUCTS // len(queries)
        for start in range(0, len(embeddings), step):
            part = slice(start, start + step)
            values[:, part] = (embeddings[part] @ queries.T).T
        return self._with_edges(values + self._matrix.bias)

    def near_scores(self, items: QuantisedItems, barrier: Floats) -> NearScores:
        """The same nearly, with a barrier.

        Args:
            items: The matrix in eight bits.
            barrier: (n,) what is added to the scores of every interest.
        """
        near = items.scores(self._matrix, self._queries, self._matrix.bias + barrier)
        self._with_edges(near.values)
        return near

    def _with_edges(self, values: Floats) -> Floats:
        """The same array, with what edges add."""
        for one, own in zip(self._interests, values, strict=True):
            kernels.add_edges(own, one.rows, one.first, one.gamma, one.again, *self._edges)
        return values

    def terms(self, encoder: InterestEncoder, chosen: Sequence[Ints]) -> list[Terms]:
        """The terms of some scores for each interest; an item's are the same bits alone.

        Args:
            encoder: The model's.
            chosen: For each interest rows of items.
        """
        place_of = np.zeros(len(self._matrix.item_ids), np.int32)
        items = place_of, self._matrix.embeddings, self._matrix.bias, encoder.exact_columns
        return [
            Terms(
                *kernels.terms(
                    rows,
                    *items,
                    one.rows,
                    one.first,
                    one.alpha,
                    one.gamma,
                    one.again,
                    *self._edges,
                )
            )
            for one, rows in zip(self._interests, chosen, strict=True)
        ]


def scores(matrix: ItemMatrix, interest: Interest) -> Floats:
    """(n,) float32, the score of every item for one interest."""
    result: Floats = Scorer(matrix, [interest]).scores()[0]
    return result


def contributions(
    matrix: ItemMatrix, encoder: InterestEncoder, interest: Interest, row: int
) -> Contributions:
    """The terms of the score of the item in `row`."""
    (found,) = Scorer(matrix, [interest]).terms(encoder, [np.array([row])])
    return Contributions(
        found.interest[:, 0],
        found.item_graph[:, 0],
        found.edge_weight[:, 0],
        float(matrix.bias[row]),
    )
