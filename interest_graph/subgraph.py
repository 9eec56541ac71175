"""What an encoder reads of the graph around stale items: plain arrays, no library of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class ItemSubgraph:
    """Seed items with everything one step of the seed formula reads.

    Args:
        item_ids: The seed items, n of them.
        texts: What each seed item says; "" for nothing.
        text_embeddings: (n, text_dim) float32; a row of zeros stands for "no text".
        categories: For each seed item its categories as (category_id, category text).
        brands: For each seed item its brand's name, or None.
        popularity: (n,) float64, weighted events decayed to now.
        neighbor_index: (2, e) int64: row of the seed item, row in the neighbour arrays. The
            neighbours of an item are those its own SIMILAR_TO edges lead to, without itself, at
            most `num_neighbors`, by weight descending and then by item_id.
        neighbor_ids: The neighbours, k of them, each once.
        neighbor_embeddings: (k, dim) float32, as stored: the frozen state h(t).
        neighbor_text_embeddings: (k, text_dim) float32.
        edge_weight: (e,) float32, the weights of those SIMILAR_TO edges.
    """

    item_ids: list[str]
    texts: list[str]
    text_embeddings: npt.NDArray[np.float32]
    categories: list[list[tuple[str, str]]]
    brands: list[str | None]
    popularity: npt.NDArray[np.float64]
    neighbor_index: npt.NDArray[np.int64]
    neighbor_ids: list[str]
    neighbor_embeddings: npt.NDArray[np.float32]
    neighbor_text_embeddings: npt.NDArray[np.float32]
    edge_weight: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ItemEncoding:
    """What one step makes of the seed items, in their order.

    Args:
        embeddings: (n, dim) float32, the state h(t+1).
        bias: (n,) float32, the score's term b.
        category_weights: For each item (category_id, weight): the share of each category in the
            item's own part u, the weight of BELONGS_TO.
    """

    embeddings: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]
    category_weights: list[list[tuple[str, float]]]


@dataclass(frozen=True, slots=True)
class EdgeFeatures:
    """What is known of m candidate edges source → target before they are weighed.

    Args:
        source_ids: The items the edges leave.
        target_ids: The items the edges lead to; equal to the source for "again".
        evidence: (m,) float32, decayed, normalised co-occurrence source → target; 0 = none.
        reverse_evidence: (m,) float32, the same in the other direction.
        text_cosine: (m,) float32, cosine of the two text embeddings; 0 when one has none.
        same_category: (m,) float32, 1 where the items share a category.
        same_brand: (m,) float32, 1 where the items share a brand.
    """

    source_ids: list[str]
    target_ids: list[str]
    evidence: npt.NDArray[np.float32]
    reverse_evidence: npt.NDArray[np.float32]
    text_cosine: npt.NDArray[np.float32]
    same_category: npt.NDArray[np.float32]
    same_brand: npt.NDArray[np.float32]
