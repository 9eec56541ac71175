"""Scores of items for interests, and the terms that they are sums of, of many users at once.

What is computed for a user does not depend on the others: the terms of an item are the same bits
alone and among others, because explanations are computed alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .interest import Interest
    from .interest_encoder import Floats, InterestEncoder
    from .item_matrix import ItemMatrix

    Ints = npt.NDArray[np.int64]
    Doubles = npt.NDArray[np.float64]
    Bools = npt.NDArray[np.bool_]

Scalar = TypeVar("Scalar", bound=np.generic)

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
    """The terms of k scores of one user, in float64; fields as in `Contributions`, (m, k).

    The bias is (k,).
    """

    interest: Doubles
    item_graph: Doubles
    edge_weight: Doubles
    bias: Doubles

    @property
    def of_events(self) -> Doubles:
        """(m, k), what each event says for each item."""
        return self.interest + self.item_graph


class Scorer:
    """Scores items for some interests; B of them, E events in all.

    Args:
        matrix: The item matrix, which must not change meanwhile.
        interests: At least one.
    """

    def __init__(self, matrix: ItemMatrix, interests: Sequence[Interest]) -> None:
        self._matrix, self._interests = matrix, interests
        self._counts = [len(one.rows) for one in interests]
        ends = [*accumulate(self._counts)]
        newest = [
            np.arange(end - count + one.first, end)
            for one, count, end in zip(interests, self._counts, ends, strict=True)
        ]
        self._newest = np.concatenate(newest)  # places of those with α and γ
        self._rows = np.concatenate([one.rows for one in interests])  # (E,)
        self._gamma = np.concatenate([one.gamma for one in interests])
        self._again = np.concatenate([one.again for one in interests])
        self._first = np.repeat(np.arange(len(interests)) * len(matrix.item_ids), self._counts)
        self._sources = self._rows[self._newest]
        self._leads = matrix.neighbor_rows[self._sources]  # (newest, width)
        self._strengths = matrix.neighbor_weights[self._sources]

    def scores(self, barrier: Floats | None = None) -> Floats:
        """(B, n) float32, the score of every item for each interest.

        One product for all of them: the matrix is read from memory once.

        Args:
            barrier: (n,) what is added to the scores of every interest.
        """
        bias = self._matrix.bias
        values = self._products()
        values += bias if barrier is None else bias + barrier
        self._add_edges(values)
        return values

    def _products(self) -> Floats:
        """(B, n) float32, of every item and each interest."""
        embeddings, count = self._matrix.embeddings, len(self._interests)
        if count == 1:
            return np.asarray(embeddings @ self._interests[0].query)[None]
        queries = np.stack([one.query for one in self._interests], axis=1)
        values = np.empty((count, len(embeddings)), np.float32)
        step = PRODUCTS // count
        for start in range(0, len(embeddings), step):
            part = slice(start, start + step)
            values[:, part] = (embeddings[part] @ queries).T
        return values

    def _add_edges(self, values: Floats) -> None:
        """Add to scores what the edges from the events' items say."""
        # One axis: NumPy adds along several at half the speed.
        flat, newest, leads = values.reshape(-1), self._newest, self._leads
        own = self._again * self._matrix.own_weights[self._rows]
        np.add.at(flat, self._first + self._rows, own)
        amounts = self._gamma[newest][:, None] * self._strengths
        # Where there is no edge, row -1 gets 0; an item's edge to itself counts by ρ alone.
        amounts[(leads == self._sources[:, None]) | (leads < 0)] = 0
        np.add.at(flat, (self._first[newest][:, None] + leads).ravel(), amounts.ravel())

    def terms(self, encoder: InterestEncoder, chosen: Sequence[Ints]) -> list[Terms]:
        """The terms of some scores for each interest; an item's are the same bits alone.

        Args:
            encoder: The model's.
            chosen: For each interest rows of items.
        """
        embeddings, sizes = self._matrix.embeddings, [len(rows) for rows in chosen]
        rows = np.concatenate(chosen)
        values = embeddings[self._sources].astype(np.float64)
        items = embeddings[rows].astype(np.float64)  # (items, dim)
        # A stack of products of a matrix and a vector gives each item the same bits alone and among
        # others, which a product of two matrices does not.
        mapped = np.matmul(encoder.exact_map, items[:, :, None])  # (items, dim, 1)
        bias = self._matrix.bias[rows].astype(np.float64)
        graph, weights = self._edge_terms(rows, sizes)
        return [
            Terms(_felt(one, newest, own), graph_of[:, :size], weights_of[:, :size], bias_of)
            for one, size, newest, own, graph_of, weights_of, bias_of in zip(
                self._interests,
                sizes,
                _parts(values, [len(one.rows) - one.first for one in self._interests]),
                _parts(mapped, sizes),
                _parts(graph, self._counts),
                _parts(weights, self._counts),
                _parts(bias, sizes),
                strict=True,
            )
        ]

    def _edge_terms(self, rows: Ints, sizes: list[int]) -> tuple[Doubles, Doubles]:
        """Terms of item edges and the edges' weights, of all events and their users' items.

        Args:
            rows: Rows of the items, user by user.
            sizes: How many are of each user.

        Returns:
            Both (E, k); a user with fewer items than others has the first columns.
        """
        wanted = np.zeros(len(self._matrix.item_ids) + 1, dtype=np.bool_)
        wanted[rows] = True  # row -1, where there is no edge, is the last one: of no item
        edges, again = np.flatnonzero(wanted[self._leads]), np.flatnonzero(wanted[self._rows])
        sources, same = self._newest[edges // self._leads.shape[1]], self._rows[again]
        # An item may lead to itself: of several values for a place the last one stays.
        event = np.concatenate([sources, again])
        lead = np.concatenate([self._leads.ravel()[edges], same])
        amount = np.concatenate([self._gamma[sources], self._again[again]]).astype(np.float64)
        weight = np.concatenate([self._strengths.ravel()[edges], self._matrix.own_weights[same]])
        # An item may be another user's alone: user and row make one number.
        firsts = np.arange(len(sizes)) * len(self._matrix.item_ids)
        keys, asked = np.repeat(firsts, sizes) + rows, self._first[event] + lead
        order = np.argsort(keys)
        item = order[np.searchsorted(keys[order][:-1], asked)]
        found = keys[item] == asked
        columns = np.concatenate([np.arange(size) for size in sizes])
        graph, weights = np.zeros((2, len(self._rows), max(sizes)))
        place = event[found], columns[item[found]]
        weights[place] = weight[found]
        graph[place] = (amount * weight)[found]
        return graph, weights


def _felt(interest: Interest, values: Doubles, items: Doubles) -> Doubles:
    """(m, k) α_j v_jᵀ M v_i; `values` are v_j of events with α, `items` M v_i, (k, dim, 1)."""
    felt = np.zeros((len(interest.rows), len(items)))
    felt[interest.first :] = np.matmul(values, items)[:, :, 0].T
    felt[interest.first :] *= interest.alpha[interest.first :, None]
    return felt


def _parts(values: npt.NDArray[Scalar], sizes: Sequence[int]) -> Iterator[npt.NDArray[Scalar]]:
    """One part of each size, one after another."""
    start = 0
    for size in sizes:
        yield values[start : start + size]
        start += size


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
        found.interest[:, 0], found.item_graph[:, 0], found.edge_weight[:, 0], float(found.bias[0])
    )
