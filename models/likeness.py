"""How alike items are by what is said of them, and whose events an item may borrow.

What followed one nail polish is likely to follow another: where users' events are few, those of
items that read alike say more than the item's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from interest_graph.top_k import top_k

from .threads import in_threads
from .words import learn_vocabulary, word_links

if TYPE_CHECKING:
    from collections.abc import Sequence

    from interest_graph.interaction_graph import InteractionGraph

Floats = npt.NDArray[np.float32]
Matrix = sparse.csr_array[Any, Any]
LENDERS = 30
SHARPNESS = 3.0
BRAND = 0.3
CATEGORY = 0.2
CHUNK_ROWS = 256
"""Items whose likeness to all others is computed at once; with more a shop takes longer."""
TINY = 1e-9


def lenders(graph: InteractionGraph, texts: Floats, *, words: bool = True) -> Matrix:
    """The shares in which each item borrows of others, (items, items) sparse, rows sum to 1 or 0.

        S_ik ∝ max(cos(x_i, x_k) + cos(t_i, t_k) + 0.3 [same brand] + 0.2 cos(c_i, c_k), 0)³

    for the `LENDERS` most alike other items k with events; x are text vectors, t words weighed by
    how rare they are (tf–idf; Spärck Jones 1972), c categories.

    Args:
        graph: The events, and what is said of the items.
        texts: (items, d) float32 text vectors, zeros for none.
        words: Whether words count.
    """
    return lenders_of_each([graph], texts, words=words)[0]


def lenders_of_each(
    graphs: Sequence[InteractionGraph], texts: Floats, *, words: bool = True
) -> list[Matrix]:
    """The same for several sets of events with the same items, whose likeness is computed once."""
    count = graphs[0].num_items
    dense = texts / np.maximum(np.linalg.norm(texts, axis=1, keepdims=True), TINY)
    said = _said(graphs[0], words=words)
    most = min(LENDERS, count - 1)
    if most < 1 or (not said.nnz and not dense.any()):
        return [sparse.csr_array((count, count), dtype=np.float32) for _ in graphs]
    idle = [np.bincount(graph.event_item, minlength=count) == 0 for graph in graphs]
    by_word = sparse.csr_array(said.T)

    def shares(begin: int) -> list[Matrix]:
        own = np.arange(begin, min(begin + CHUNK_ROWS, count))
        like = dense[own] @ dense.T
        like += (said[own] @ by_word).toarray()
        like[np.arange(len(own)), own] = -np.inf
        np.copyto(like, -np.inf, where=like <= 0)
        return [_shares(np.where(barred, np.float32(-np.inf), like), most) for barred in idle]

    blocks = in_threads(shares, range(0, count, CHUNK_ROWS))
    return [sparse.csr_array(sparse.vstack(one, format="csr")) for one in zip(*blocks, strict=True)]


def _shares(like: Floats, most: int) -> Matrix:
    """The shares of the most alike, from likeness (rows, items) that is positive or -inf."""
    best = [top_k(own, most) for own in like]
    row, column = np.repeat(np.arange(len(like)), [len(one) for one in best]), np.concatenate(best)
    share = like[row, column] ** SHARPNESS
    total = np.bincount(row, share, len(like))
    share = (share / np.maximum(total, TINY)[row]).astype(np.float32)
    return sparse.csr_array((share, (row, column)), shape=like.shape)


def word_vectors(texts: Sequence[str]) -> Matrix:
    """Words and pairs of words of each text, the rarer the more (tf–idf): rows of length 1 or 0."""
    vocabulary = learn_vocabulary(texts)
    links = np.array(word_links(texts, vocabulary), dtype=np.int64).reshape(-1, 2)
    known = _incidence(links[:, 1], links[:, 0], (len(texts), len(vocabulary)))
    used = np.bincount(links[:, 0], minlength=len(vocabulary))
    rare = np.log((1 + len(texts)) / (1 + used)) + 1
    return _unit(sparse.csr_array(known * rare.astype(np.float32)))


def _said(graph: InteractionGraph, *, words: bool) -> Matrix:
    """Words, brand and categories of each item, so that products of rows are their likeness."""
    count = graph.num_items
    branded = np.flatnonzero(graph.item_brand >= 0)
    brand = _incidence(branded, graph.item_brand[branded], (count, len(graph.brand_ids)))
    pairs = [(item, row) for item, found in enumerate(graph.item_categories) for row in found]
    item, row = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    category = _unit(_incidence(item, row, (count, len(graph.category_ids))))
    parts = [brand * np.float32(BRAND**0.5), category * np.float32(CATEGORY**0.5)]
    if words:
        parts.append(word_vectors(graph.item_texts))
    return sparse.csr_array(sparse.hstack(parts, format="csr"))


def _incidence(
    row: npt.NDArray[np.int64], column: npt.NDArray[np.int64], shape: tuple[int, int]
) -> Matrix:
    """Ones at the given places; a column at least."""
    ones = np.ones(len(row), dtype=np.float32)
    return sparse.csr_array((ones, (row, column)), shape=(shape[0], max(shape[1], 1)))


def _unit(matrix: Matrix) -> Matrix:
    """Rows of length 1, or 0."""
    lengths = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    scaled = sparse.diags_array((1 / np.maximum(lengths, TINY)).astype(np.float32)) @ matrix
    return sparse.csr_array(scaled)
