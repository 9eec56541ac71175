"""An item encoder of plain arithmetic, to test what goes into the graph without a model."""
# ruff: noqa: D102 the methods are those of the protocol in `interest_graph.item_neighborhood`

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from interest_graph.item import content_hash
from interest_graph.subgraph import EdgeFeatures, ItemEncoding, ItemSubgraph
from tests.integration.published_directory import DIM, FIRST

if TYPE_CHECKING:
    from collections.abc import Sequence

Floats = npt.NDArray[np.float32]


class FakeEncoder:
    """Embeds a text by its hash, an item by its text plus half of each neighbour by weight.

    Args:
        model_version: The model it stands for.
    """

    dim = DIM
    text_dim = 4
    text_version = "fake"
    num_neighbors = 3

    def __init__(self, model_version: str = FIRST) -> None:
        self.model_version = model_version
        self.rounding = 0.0  # what other company in a batch adds to an embedding
        self.texts: list[str] = []
        self.subgraphs: list[ItemSubgraph] = []
        self.edges: list[EdgeFeatures] = []

    def encode_texts(self, texts: Sequence[str]) -> Floats:
        self.texts += texts
        hashes = [bytes.fromhex(content_hash(text))[: self.text_dim] for text in texts]
        return np.array([list(one) for one in hashes], dtype=np.float32) / 255

    def encode_items(self, subgraph: ItemSubgraph) -> ItemEncoding:
        self.subgraphs.append(subgraph)
        embeddings = np.tile(subgraph.text_embeddings, (1, self.dim // self.text_dim))
        for row, neighbor in subgraph.neighbor_index.T:
            embeddings[row] += 0.5 * subgraph.neighbor_embeddings[neighbor]
        return ItemEncoding(
            embeddings=embeddings.astype(np.float32) + np.float32(self.rounding),
            bias=self.bias(subgraph.popularity),
            category_weights=[
                [(category_id, 1 / len(own)) for category_id, _ in own]
                for own in subgraph.categories
            ],
        )

    def bias(self, popularity: npt.NDArray[np.float64]) -> Floats:
        return np.log1p(popularity).astype(np.float32)

    def edge_weights(self, edges: EdgeFeatures) -> Floats:
        self.edges.append(edges)
        return np.asarray(0.1 + edges.text_cosine + edges.evidence, dtype=np.float32)

    def category_embeddings(self, ids: Sequence[str], texts: Sequence[str]) -> Floats:
        del ids
        return np.tile(self.encode_texts(texts), (1, self.dim // self.text_dim))
