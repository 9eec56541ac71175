"""The item encoder of the update workers: one step of the seed formula for stale items."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from interest_graph.item import content_hash
from interest_graph.subgraph import EdgeFeatures, ItemEncoding, ItemSubgraph

from .checkpoint import PublishedModel, load_published
from .graph_encoder import SOURCES, GraphEncoding
from .item_table import link_tensor
from .text_encoder import TextEncoder, choose_device
from .words import word_links

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

Floats = npt.NDArray[np.float32]
MAX_CACHED_TEXTS = 50_000


class ItemEncoder:
    """Encodes items from their subgraphs with a published model.

    Args:
        published: What a published directory holds.
        directory: That directory.
        device: Where the weights are.
        known_texts: Embeddings by content hash that this model's text encoder made before.
    """

    def __init__(
        self,
        published: PublishedModel,
        directory: Path,
        device: torch.device,
        known_texts: Mapping[str, Floats] | None = None,
    ) -> None:
        self._known_texts = known_texts or {}
        self._device = device
        self._model, self._identities = published.model, published.identities
        self._refinements = published.refinements
        self._directory = directory
        self._text_model = str(published.config["text_model"])
        # A tuned text encoder is the model's own.
        tuned = (directory / "text_encoder").is_dir()
        self.text_version = directory.name if tuned else self._text_model
        self._text_encoder: TextEncoder | None = None
        self._texts: OrderedDict[str, Floats] = OrderedDict()
        self.model_version = str(published.config["model_version"])
        self.dim = int(published.config["dim"])
        self.text_dim = int(published.config["text_dim"])
        self.num_neighbors = int(published.config["num_neighbors"])

    @classmethod
    def load(
        cls,
        directory: Path,
        device: str = "cpu",
        threads: int | None = None,
        known_texts: Mapping[str, Floats] | None = None,
    ) -> Self:
        """Read a published directory.

        Args:
            directory: The directory.
            device: `cpu`, `cuda`, or `auto` for CUDA where there is one.
            threads: Threads that torch uses in this process; None leaves them as they are.
            known_texts: Embeddings by content hash that this model's text encoder made before.

        Raises:
            CheckpointError: The directory cannot be read.
        """
        if threads is not None:
            torch.set_num_threads(threads)
        where = choose_device(device)
        return cls(load_published(directory, str(where)), directory, where, known_texts)

    def encode_texts(self, texts: Sequence[str]) -> Floats:
        """Text embeddings, (n, text_dim) float32; "" has zeros. Loads the encoder on first use."""
        known = [self._known_texts.get(content_hash(text, self.text_version)) for text in texts]
        if texts and all(embedding is not None for embedding in known):
            return np.stack([embedding for embedding in known if embedding is not None])
        if self._text_encoder is None:
            tuned = self._directory / "text_encoder"
            source = str(tuned) if tuned.is_dir() else self._text_model
            self._text_encoder = TextEncoder(source, str(self._device))
        return self._text_encoder.encode(texts)

    @torch.inference_mode()
    def category_embeddings(self, category_ids: Sequence[str], texts: Sequence[str]) -> Floats:
        """What categories contribute to their items: W x + identity, (c, dim) float32."""
        data = HeteroData()
        data["category"].x = self._tensor(self._cached_texts(texts))
        data["category"].identity = self._rows(self._identities.categories, category_ids)
        encoder = self._model.graph_encoder
        return np.asarray(encoder.node_values("category", data["category"]).cpu().numpy())

    @torch.inference_mode()
    def encode_items(self, subgraph: ItemSubgraph) -> ItemEncoding:
        """One step h(t) → h(t+1) for the seed items, from the frozen state of their neighbours."""
        count = len(subgraph.item_ids)
        if not count:
            nothing = np.zeros((0, self.dim), np.float32)
            return ItemEncoding(nothing, np.zeros(0, np.float32), [])
        data, categories = self._data(subgraph)
        encoding: GraphEncoding = self._model.graph_encoder(data)
        return ItemEncoding(
            embeddings=encoding.embeddings.cpu().numpy(),
            bias=self.bias(subgraph.popularity),
            category_weights=_category_weights(encoding, categories, count),
        )

    @torch.inference_mode()
    def bias(self, popularity: npt.NDArray[np.float64]) -> Floats:
        """The bias of items so popular, (n,) float32."""
        logarithm = self._tensor(np.log1p(popularity).astype(np.float32))
        return np.asarray(self._model.bias(logarithm).cpu().numpy())

    @torch.inference_mode()
    def edge_weights(self, edges: EdgeFeatures) -> Floats:
        """Weights of item edges, (m,) float32, not negative; known edges as training refined them.

        Evidence is what `models.item_evidence` computes; without it text, category and brand weigh.
        """
        pairs = list(zip(edges.source_ids, edges.target_ids, strict=True))
        if not pairs:
            return np.zeros(0, np.float32)
        same = np.array([source == target for source, target in pairs], dtype=np.float32)
        features = np.column_stack(
            [
                edges.evidence,
                edges.reverse_evidence,
                edges.text_cosine,
                edges.same_category,
                edges.same_brand,
                same,
            ]
        ).astype(np.float32)
        refinement = np.array([self._refinements.get(pair, 0.0) for pair in pairs], np.float32)
        weights: Tensor = self._model.edge_net(self._tensor(features), self._tensor(refinement))
        return np.asarray(weights.cpu().numpy())

    def _data(self, subgraph: ItemSubgraph) -> tuple[HeteroData, list[str]]:
        """The subgraph as the graph encoder reads it, and the categories in row order."""
        known, data = self._identities, HeteroData()
        item_rows = self._rows(known.items, subgraph.item_ids)
        experience = np.append(known.experience, np.float32(0))
        data["item"].x = self._tensor(subgraph.text_embeddings)
        data["item"].identity = item_rows
        data["item"].experience = self._tensor(experience)[item_rows]
        spoken = self._index(word_links(subgraph.texts, known.words))
        words, index = torch.unique(spoken[0], return_inverse=True)
        data["word"].identity = words
        data["word", "in", "item"].edge_index = torch.stack([index, spoken[1]])
        texts = {name: text for item in subgraph.categories for name, text in item}
        categories = sorted(texts)
        place = {name: row for row, name in enumerate(categories)}
        data["category"].x = self._tensor(self._cached_texts([texts[name] for name in categories]))
        data["category"].identity = self._rows(known.categories, categories)
        links = [
            (place[name], row)
            for row, item in enumerate(subgraph.categories)
            for name in sorted({name for name, _ in item})
        ]
        data["category", "describes", "item"].edge_index = self._index(links)
        brands = sorted({brand for brand in subgraph.brands if brand is not None})
        place = {name: row for row, name in enumerate(brands)}
        data["brand"].x = self._tensor(self._cached_texts(brands))
        data["brand"].identity = self._rows(known.brands, brands)
        branded = enumerate(subgraph.brands)
        links = [(place[brand], row) for row, brand in branded if brand is not None]
        data["brand", "makes", "item"].edge_index = self._index(links)
        data["neighbor"].x = self._tensor(subgraph.neighbor_text_embeddings)
        data["neighbor"].h = self._tensor(subgraph.neighbor_embeddings)
        similar = data["neighbor", "similar_to", "item"]
        similar.edge_index = self._tensor(subgraph.neighbor_index[::-1].copy())
        similar.edge_weight = self._tensor(subgraph.edge_weight)
        return data, categories

    def _cached_texts(self, texts: Sequence[str]) -> Floats:
        """Text embeddings of categories and brands, which come again and again."""
        missing = sorted({text for text in texts if text not in self._texts})
        if missing:
            self._texts.update(zip(missing, self.encode_texts(missing), strict=True))
        if not texts:
            return np.zeros((0, self.text_dim), np.float32)
        found = np.stack([self._texts[text] for text in texts])
        while len(self._texts) > MAX_CACHED_TEXTS:
            self._texts.popitem(last=False)
        return found

    def _tensor(self, array: npt.NDArray[np.generic]) -> Tensor:
        """An array on the device."""
        return torch.tensor(array, device=self._device)

    def _rows(self, known: dict[str, int], names: Sequence[str]) -> Tensor:
        """Identity rows of names, -1 for none."""
        rows = [known.get(name, -1) for name in names]
        return torch.tensor(rows, dtype=torch.int64, device=self._device)

    def _index(self, links: list[tuple[int, int]]) -> Tensor:
        """An edge index (2, e) of pairs."""
        return link_tensor(links).to(self._device)


def _category_weights(
    encoding: GraphEncoding, categories: list[str], count: int
) -> list[list[tuple[str, float]]]:
    """The share of each category in each item, strongest first."""
    kind = encoding.source_type == SOURCES.index("category")
    items, rows = encoding.source_index[:, kind].cpu().numpy()
    weights = encoding.source_weight[kind].cpu().numpy()
    shares: list[list[tuple[str, float]]] = [[] for _ in range(count)]
    for item, row, weight in zip(items, rows, weights, strict=True):
        shares[item].append((categories[row], float(weight)))
    return [sorted(share, key=lambda pair: (-pair[1], pair[0])) for share in shares]
