"""All items as the graph encoder reads them, and the subgraph around some of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from .words import learn_vocabulary, word_links

if TYPE_CHECKING:
    from interest_graph.interaction_graph import InteractionGraph

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Identities:
    """Which items, categories, brands and words have a learned identity, and its row.

    Args:
        items: From item_id to row.
        categories: From category_id to row.
        brands: From brand to row.
        words: From word, or pair of words, to row.
        experience: (items,) float32, log of one plus the events of each in training.
    """

    items: dict[str, int]
    categories: dict[str, int]
    brands: dict[str, int]
    words: dict[str, int]
    experience: Floats

    @property
    def sizes(self) -> dict[str, int]:
        """Number of identities by node type."""
        return {
            "item": len(self.items),
            "category": len(self.categories),
            "brand": len(self.brands),
            "word": len(self.words),
        }


def learn_identities(
    graph: InteractionGraph, *, of_nodes: bool = True, of_words: bool = True
) -> Identities:
    """An identity for every item with events, and for the categories, brands and words of these.

    Args:
        graph: The events.
        of_nodes: Whether items, categories and brands have one.
        of_words: Whether words have one.
    """
    events = np.bincount(graph.event_item, minlength=graph.num_items)
    with_events = np.flatnonzero(events)
    words = learn_vocabulary(graph.item_texts[item] for item in with_events) if of_words else {}
    seen = with_events if of_nodes else with_events[:0]
    categories = sorted({row for item in seen for row in graph.item_categories[item]})
    brands = sorted({int(graph.item_brand[item]) for item in seen} - {-1})
    return Identities(
        items={graph.item_ids[item]: row for row, item in enumerate(seen)},
        categories={graph.category_ids[item]: row for row, item in enumerate(categories)},
        brands={graph.brand_ids[item]: row for row, item in enumerate(brands)},
        words=words,
        experience=np.log1p(events[seen]).astype(np.float32),
    )


@dataclass(slots=True)
class ItemTable:
    """Everything the graph encoder reads, for all items of a graph.

    Args:
        text: (items, text_dim) float32.
        category_text: (categories, text_dim) float32.
        brand_text: (brands, text_dim) float32.
        identity: For each node type the identity row of each node, -1 for none.
        experience: (items,) float32, as in `Identities`, 0 for none.
        category_edges: (2, e) int64 sorted by item: category row, item row.
        word_edges: (2, e) int64 sorted by item: identity row of the word, item row.
        brand: (items,) int64, -1 for none.
        popularity: (items,) float32, log of one plus the decayed popularity.
        neighbor_rows: (items, num_neighbors) int64, -1 for none.
        neighbor_weights: (items, num_neighbors) float32.
    """

    text: Tensor
    category_text: Tensor
    brand_text: Tensor
    identity: dict[str, Tensor]
    experience: Tensor
    category_edges: Tensor
    word_edges: Tensor
    brand: Tensor
    popularity: Tensor
    neighbor_rows: Tensor
    neighbor_weights: Tensor
    _category_start: Tensor = field(init=False)
    _word_start: Tensor = field(init=False)

    def __post_init__(self) -> None:
        """Index the edges of categories and words by item."""
        items = torch.arange(len(self.text) + 1, device=self.text.device)
        self._category_start = torch.searchsorted(self.category_edges[1].contiguous(), items)
        self._word_start = torch.searchsorted(self.word_edges[1].contiguous(), items)

    def to(self, device: torch.device) -> ItemTable:
        """The same on another device."""
        moved = {
            name: getattr(self, name)
            for name in self.__slots__
            if name != "identity" and not name.startswith("_")
        }
        return ItemTable(
            **{name: tensor.to(device) for name, tensor in moved.items()},
            identity={name: rows.to(device) for name, rows in self.identity.items()},
        )

    def __len__(self) -> int:
        """Number of items."""
        return len(self.text)

    def subgraph(self, rows: Tensor, state: Tensor) -> HeteroData:
        """What one step reads for the items in `rows`.

        Args:
            rows: (n,) int64, each once.
            state: (items, dim), the frozen state h(t).
        """
        data = HeteroData()
        data["item"].x = self.text[rows]
        data["item"].identity = self.identity["item"][rows]
        data["item"].experience = self.experience[rows]
        counts = self._category_start[rows + 1] - self._category_start[rows]
        edges = expand(self._category_start[rows], counts)
        category, place = torch.unique(self.category_edges[0][edges], return_inverse=True)
        data["category"].x = self.category_text[category]
        data["category"].identity = self.identity["category"][category]
        owner = torch.repeat_interleave(torch.arange(len(rows), device=rows.device), counts)
        data["category", "describes", "item"].edge_index = torch.stack([place, owner])
        counts = self._word_start[rows + 1] - self._word_start[rows]
        edges = expand(self._word_start[rows], counts)
        word, place = torch.unique(self.word_edges[0][edges], return_inverse=True)
        data["word"].identity = word
        owner = torch.repeat_interleave(torch.arange(len(rows), device=rows.device), counts)
        data["word", "in", "item"].edge_index = torch.stack([place, owner])
        branded = torch.nonzero(self.brand[rows] >= 0).squeeze(-1)
        brand, place = torch.unique(self.brand[rows][branded], return_inverse=True)
        data["brand"].x = self.brand_text[brand]
        data["brand"].identity = self.identity["brand"][brand]
        data["brand", "makes", "item"].edge_index = torch.stack([place, branded])
        near = self.neighbor_rows[rows]
        owner, column = torch.nonzero(near >= 0, as_tuple=True)
        neighbor, place = torch.unique(near[owner, column], return_inverse=True)
        data["neighbor"].x = self.text[neighbor]
        data["neighbor"].h = state[neighbor]
        similar = data["neighbor", "similar_to", "item"]
        similar.edge_index = torch.stack([place, owner])
        similar.edge_weight = self.neighbor_weights[rows][owner, column]
        return data


def build_table(
    graph: InteractionGraph,
    identities: Identities,
    texts: tuple[Floats, Floats, Floats],
    popularity: npt.NDArray[np.float64],
    num_neighbors: int,
) -> ItemTable:
    """The table of a graph, without neighbours yet.

    Args:
        graph: Items with their texts, categories and brands.
        identities: Those the model learned.
        texts: Text embeddings (·, text_dim) of the items, categories and brands.
        popularity: (items,) float64, weighted events decayed to now.
        num_neighbors: Most neighbours of an item.
    """
    rows = [
        torch.tensor([known.get(name, -1) for name in names], dtype=torch.int64)
        for names, known in (
            (graph.item_ids, identities.items),
            (graph.category_ids, identities.categories),
            (graph.brand_ids, identities.brands),
        )
    ]
    experience = np.append(identities.experience, np.float32(0))[rows[0].numpy()]
    counts = [len(categories) for categories in graph.item_categories]
    edges = np.stack(
        [
            np.array([row for rows in graph.item_categories for row in rows], dtype=np.int64),
            np.repeat(np.arange(graph.num_items), counts),
        ]
    )
    shape = (graph.num_items, num_neighbors)
    return ItemTable(
        text=torch.from_numpy(texts[0]),
        category_text=torch.from_numpy(texts[1]),
        brand_text=torch.from_numpy(texts[2]),
        identity=dict(zip(("item", "category", "brand"), rows, strict=True)),
        experience=torch.from_numpy(experience),
        category_edges=torch.from_numpy(edges),
        word_edges=link_tensor(word_links(graph.item_texts, identities.words)),
        brand=torch.from_numpy(graph.item_brand),
        popularity=torch.from_numpy(np.log1p(popularity).astype(np.float32)),
        neighbor_rows=torch.full(shape, -1, dtype=torch.int64),
        neighbor_weights=torch.zeros(shape),
    )


def link_tensor(links: list[tuple[int, int]]) -> Tensor:
    """An edge index (2, e) of pairs."""
    return torch.tensor(links, dtype=torch.int64).reshape(-1, 2).T


def expand(starts: Tensor, counts: Tensor) -> Tensor:
    """The ranges starts … starts + counts, one after the other.

    >>> expand(torch.tensor([5, 0]), torch.tensor([2, 1])).tolist()
    [5, 6, 0]
    """
    if not len(starts):
        return starts.new_zeros(0)
    before = torch.cumsum(counts, 0) - counts
    offset = torch.repeat_interleave(starts - before, counts)
    return offset + torch.arange(len(offset), device=offset.device)
