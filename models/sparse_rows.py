"""Rows of sparse matrices: the strongest entries of each, block by block."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Matrix = sparse.csr_array[Any, Any]
BLOCK_ROWS = 2048
"""Rows whose entries are looked through at once."""


def row_of_entries(matrix: sparse.csr_array) -> Ints:
    """The row of every stored entry."""
    return np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))


def strongest(matrix: sparse.csr_array, count: int) -> tuple[Ints, Ints, Floats]:
    """The `count` strongest entries of each row.

    Returns:
        Sources, targets and values; by source, then value descending, then target row.
    """
    entries = pruned(matrix, count).tocoo()
    row, column = entries.row.astype(np.int64), entries.col.astype(np.int64)
    order = np.lexsort((column, -entries.data, row))
    return row[order], column[order], entries.data[order].astype(np.float32)


def pruned(matrix: sparse.csr_array, count: int) -> sparse.csr_array:
    """The matrix with the `count` strongest entries of each row; of equal ones the first."""
    return stacked([best_of_each(block, count) for _, block in blocks_of_rows(matrix)])


def best_others(matrix: sparse.csr_array, count: int, by: Matrix | None = None) -> sparse.csr_array:
    """The same without the diagonal, of the matrix or of its product with another.

    Such a product has many times the entries of its factors, and is never there as a whole.
    """
    found = []
    for first, rows in blocks_of_rows(matrix):
        block = rows if by is None else sparse.csr_array(rows @ by)
        other = block.indices != row_of_entries(block) + first
        found.append(best_of_each(chosen(block, other), count))
    best = stacked(found)
    best.sort_indices()  # sums and look-ups of what is sorted are several times as fast
    return best


def blocks_of_rows(matrix: sparse.csr_array) -> Iterator[tuple[int, sparse.csr_array]]:
    """The matrix by `BLOCK_ROWS` rows, each block with the number of its first row."""
    for first in range(0, max(matrix.shape[0], 1), BLOCK_ROWS):
        yield first, matrix[first : first + BLOCK_ROWS]


def best_of_each(block: sparse.csr_array, count: int) -> sparse.csr_array:
    """The `count` strongest entries of each row; of equal ones those of the first columns."""
    row = row_of_entries(block)
    lowest = _lowest_of_best(block, count)[row]
    best = chosen(block, block.data >= lowest)
    tied = np.flatnonzero(np.diff(best.indptr) > count)
    if not len(tied):
        return best
    places = np.flatnonzero(np.isin(row_of_entries(best), tied))
    rows, columns, values = row_of_entries(best)[places], best.indices[places], best.data[places]
    order = np.lexsort((columns, -values, rows))
    rows = rows[order]
    too_many = np.arange(len(rows)) - np.searchsorted(rows, rows, side="left") >= count
    kept = np.ones(best.nnz, dtype=np.bool_)
    kept[places[order[too_many]]] = False
    return chosen(best, kept)


def chosen(block: sparse.csr_array, kept: npt.NDArray[np.bool_]) -> sparse.csr_array:
    """The block with some of its entries."""
    places = np.flatnonzero(kept)
    starts = np.searchsorted(places, block.indptr)
    return sparse.csr_array((block.data[places], block.indices[places], starts), shape=block.shape)


def stacked(blocks: Sequence[sparse.csr_array]) -> sparse.csr_array:
    """Blocks of rows below each other."""
    return sparse.csr_array(sparse.vstack(blocks, format="csr"))


def _lowest_of_best(block: sparse.csr_array, count: int) -> Floats:
    """The `count`-th highest entry of each row, -inf where there are no more than that.

    Rows are laid out side by side with others of about their length, which wastes little.
    """
    lengths = np.diff(block.indptr)
    lowest = np.full(len(lengths), -np.inf, dtype=block.data.dtype)
    long = np.flatnonzero(lengths > count)
    doublings = np.log2(lengths[long]).astype(np.int64)
    for one in np.unique(doublings).tolist():
        rows = long[doublings == one]
        columns = np.arange(lengths[rows].max())
        inside = columns < lengths[rows, None]
        values = np.full(inside.shape, -np.inf, dtype=block.data.dtype)
        values[inside] = block.data[(block.indptr[rows, None] + columns)[inside]]
        place = len(columns) - max(count, 1)
        values.partition(place, axis=1)
        lowest[rows] = values[:, place]
    return lowest


def at(matrix: sparse.csr_array, rows: Ints, columns: Ints) -> Floats:
    """The matrix's entries at given places, 0 where there is none.

    >>> at(sparse.csr_array(np.eye(2)), np.array([0, 0]), np.array([0, 1])).tolist()
    [1.0, 0.0]
    """
    if not len(rows):
        return np.zeros(0, np.float32)
    return np.asarray(matrix[rows, columns], dtype=np.float32)
