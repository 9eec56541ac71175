"""Item embeddings in eight bits: every score nearly, in a third of the time, then the best exactly.

An embedding v is s·q + δ with whole numbers q of -127 to 127 and a scale s of its own; a query u
likewise t·p + ε. Their product differs from s·t·(q·p) by u·δ + ε·(s·q), which is at most
|u| |δ| + |ε| |s·q| (Cauchy and Schwarz). So each score is known within bounds, and the k highest
are among those whose upper bound reaches the lowest of k lower ones. Of these the product is taken
exactly; nothing is missed ([ADR 0026](../docs/adr/0026-eight-bits-first.md)).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numkong
import numpy as np
import numpy.typing as npt

from . import quantised_kernels as kernels
from .top_k import top_k

if TYPE_CHECKING:
    from .item_matrix import ItemMatrix

    Floats = npt.NDArray[np.float32]
    Doubles = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]
    Levels = npt.NDArray[np.int8]

SEGMENT = 8192
"""Items whose levels are packed together, and again when one of them moves."""
MOST_NEAR = 64
"""Beside four times as many as are looked for: how many may be near each other."""
SPARE = 6
"""How many more than are looked for tell what the highest score at least."""
ROUNDED_UP = 1 + 1e-6
"""Lengths as float32 are not below the lengths."""


class Quantised(NamedTuple):
    """Vectors in eight bits.

    Args:
        levels: (n, dim) int8.
        scales: (n,) float32, what a level is worth.
        length: (n,) float64, length of each vector.
        left: (n,) float64, length of what the levels leave of it; both are endless where one of
            the numbers is, or where products might be beyond what a float32 holds.
    """

    levels: Levels
    scales: Floats
    length: Doubles
    left: Doubles


class NearScores(NamedTuple):
    """Scores of all items for B queries, nearly.

    Args:
        values: (B, n) float32; whoever adds to them adds what is to be added to the exact ones.
        queries: (B, dim) float32.
        asked: The same in eight bits.
        embeddings: (n, dim) float32.
        levels: (n, dim) int8, of the rows.
        of_rows: (3, n) float32: scale, length, and length of what is left of each row.
        wrong: (B,) by how much any value of each query may be wrong at most, but for the rounding
            of what is added to it; endless where one is.
    """

    values: Floats
    queries: Floats
    asked: Quantised
    embeddings: Floats
    levels: Levels
    of_rows: Floats
    wrong: list[float]

    def best(self, place: int, k: int) -> Ints | None:
        """Rows of the k highest exact scores of a query, best first; None if many are as high.

        Args:
            place: Of the query.
            k: How many, if there are as many above -inf.
        """
        values, wrong = self.values[place], self.wrong[place]
        own_levels, unit, length, left = (own[place] for own in self.asked)
        scales, lengths, lefts = self.of_rows
        if not length:
            return top_k(values, k)
        if not length < np.inf:
            return None
        rows, most = top_k(values, k + SPARE), MOST_NEAR + 4 * k
        if len(rows) >= k:
            asked = k, length, left, lengths, lefts, wrong
            rows = kernels.near_highest(values, rows, *asked, most)
        if len(rows) > most:
            return None
        query = self.queries[place], own_levels, unit
        items = self.embeddings, self.levels, scales
        exact = kernels.exact_scores(values, rows, *query, *items)
        best: Ints = rows[top_k(exact, k)]
        return best


class QuantisedItems:
    """The rows of one item matrix in eight bits, which follow it when they are asked for."""

    def __init__(self) -> None:
        self._matrix: ItemMatrix | None = None
        self._epoch = 0
        self._levels = np.zeros((0, 0), np.int8)
        self._of_rows = np.zeros((3, 0), np.float32)
        self._packed: dict[int, numkong.PackedMatrix] = {}
        self._greatest = 0.0, 0.0

    def scores(self, matrix: ItemMatrix, queries: Floats, base: Floats) -> NearScores:
        """Products of every row with some queries, and what is added to each.

        Args:
            matrix: The rows, n of them.
            queries: (B, dim).
            base: (n,) what is added to the products of every query.
        """
        self._follow(matrix)
        embeddings, asked = matrix.embeddings, Quantised(*kernels.quantise(queries))
        values = np.empty((len(queries), len(embeddings)), np.float32)
        for start in range(0, len(embeddings), SEGMENT):
            dots = np.asarray(numkong.dots_packed(asked.levels, self._packed[start]))
            kernels.lay_out(dots, asked.scales, self._of_rows[0], base, values, start)
        wrong = [
            kernels.wrong_by(*own, *self._greatest) if own[0] else 0.0
            for own in zip(asked.length.tolist(), asked.left.tolist(), strict=True)
        ]
        return NearScores(values, queries, asked, embeddings, self._levels, self._of_rows, wrong)

    def _follow(self, matrix: ItemMatrix) -> None:
        """Take over what has moved or come since the last time, or all of another matrix."""
        (count, dim), moved = matrix.embeddings.shape, np.zeros(0, np.int64)
        if matrix is not self._matrix:
            self._matrix, self._packed = matrix, {}
            self._levels = np.zeros((0, dim), np.int8)
            self._of_rows = np.zeros((3, 0), np.float32)
        elif matrix.epoch > self._epoch:
            moved = matrix.moved_since(self._epoch)
        if missing := count - len(self._levels):
            moved = np.union1d(moved, np.arange(count - missing, count))
            self._levels = np.concatenate([self._levels, np.zeros((missing, dim), np.int8)])
            new = np.zeros((3, missing), np.float32)
            self._of_rows = np.concatenate([self._of_rows, new], axis=1)
        self._epoch = matrix.epoch
        for start in (np.unique(moved // SEGMENT) * SEGMENT).tolist():
            rows = moved[(moved >= start) & (moved < start + SEGMENT)]
            items = Quantised(*kernels.quantise(matrix.embeddings[rows]))
            self._levels[rows] = items.levels
            self._of_rows[0, rows] = items.scales
            self._of_rows[1:, rows] = np.stack([items.length, items.left]) * ROUNDED_UP
            self._packed[start] = numkong.dots_pack(self._levels[start : start + SEGMENT])
        if len(moved):
            self._greatest = float(self._of_rows[1].max()), float(self._of_rows[2].max())
