"""Rows of the graph as the arrays an encoder reads: subgraphs, texts, features of edges."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from .graph.facts import half_life_ms
from .item import content_hash, item_text
from .subgraph import EdgeFeatures, ItemEncoding, ItemSubgraph

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .graph.store import Row
    from .settings import Settings

Floats = npt.NDArray[np.float32]


class ItemEncoder(Protocol):
    """What a refresh needs of a model; `models.item_encoder.ItemEncoder` is the real one."""

    model_version: str
    dim: int
    text_dim: int
    text_version: str
    num_neighbors: int

    def encode_texts(self, texts: Sequence[str]) -> Floats:
        """(n, text_dim) embeddings of texts."""

    def encode_items(self, subgraph: ItemSubgraph) -> ItemEncoding:
        """One step of the seed formula for the subgraph's seed items."""

    def bias(self, popularity: npt.NDArray[np.float64]) -> Floats:
        """(n,) bias of items so popular."""

    def edge_weights(self, edges: EdgeFeatures) -> Floats:
        """(m,) weights of SIMILAR_TO relationships."""


class CategoryEncoder(ItemEncoder, Protocol):
    """An item encoder that also places categories."""

    def category_embeddings(self, ids: Sequence[str], texts: Sequence[str]) -> Floats:
        """(c, dim) embeddings of categories."""


def text_embeddings(rows: Sequence[Row], encoder: ItemEncoder) -> Floats:
    """(n, text_dim) of the items; a text is encoded once per content hash, "" is zeros."""
    result = np.zeros((len(rows), encoder.text_dim), dtype=np.float32)
    missing: dict[str, list[int]] = {}
    for position, row in enumerate(rows):
        text = item_text(row["title"], row["description"])
        if not text:
            continue
        stored = row["text_embedding"]
        if stored is not None and row["content_hash"] == content_hash(text, encoder.text_version):
            result[position] = np.frombuffer(stored, dtype="<f4")
        else:
            missing.setdefault(text, []).append(position)
    if missing:
        encoded = encoder.encode_texts(list(missing))
        for vector, positions in zip(encoded, missing.values(), strict=True):
            result[positions] = vector
    return result


def item_subgraph(
    rows: Sequence[Row], texts: Floats, encoder: ItemEncoder, settings: Settings, now: float
) -> ItemSubgraph:
    """The rows of `fetch_item_subgraph` as the arrays an encoder reads."""
    position_of: dict[str, int] = {}
    embeddings: list[Any] = []
    neighbor_texts: list[Any] = []
    index: list[tuple[int, int]] = []
    weights: list[float] = []
    for position, row in enumerate(rows):
        others = [n for n in row["neighbors"] if n["item_id"] != row["item_id"]]
        for neighbor in others[: encoder.num_neighbors]:
            identifier = neighbor["item_id"]
            if identifier not in position_of:
                position_of[identifier] = len(position_of)
                embeddings.append(neighbor["embedding"])
                neighbor_texts.append(text_vector(neighbor["text_embedding"], encoder.text_dim))
            index.append((position, position_of[identifier]))
            weights.append(neighbor["weight"])
    count = len(position_of)
    return ItemSubgraph(
        item_ids=[row["item_id"] for row in rows],
        texts=[item_text(row["title"], row["description"]) for row in rows],
        text_embeddings=texts,
        categories=[[(c, path) for c, path in row["categories"]] for row in rows],
        brands=[row["brand"] for row in rows],
        popularity=popularity_now(rows, settings, now),
        neighbor_index=np.array(index, dtype=np.int64).reshape(-1, 2).T,
        neighbor_ids=list(position_of),
        neighbor_embeddings=np.array(embeddings, dtype=np.float32).reshape(count, encoder.dim),
        neighbor_text_embeddings=np.array(neighbor_texts, dtype=np.float32).reshape(
            count, encoder.text_dim
        ),
        edge_weight=np.array(weights, dtype=np.float32),
    )


def popularity_now(rows: Sequence[Row], settings: Settings, now: float) -> npt.NDArray[np.float64]:
    """(n,) popularity as of a moment, of what the graph stores: see `facts.what_is_left`."""
    stored = np.array([row["popularity"] for row in rows], np.float64)
    at_ms = np.array([row["popularity_at_ms"] or 0 for row in rows], np.float64)
    return stored * np.exp2((at_ms - now * 1000) / half_life_ms(settings.popularity_half_life_days))


def described_as(row: Row, model_version: str) -> str:
    """Hash of what decides an item's SIMILAR_TO candidates: text, categories, brand, model."""
    text = item_text(row["title"], row["description"])
    parts = [model_version, text, str(row["brand"]), *(c for c, _ in row["categories"])]
    return hashlib.blake2b("\x1f".join(parts).encode(), digest_size=16).hexdigest()


def edge_features(rows: Sequence[Row], text_dim: int) -> EdgeFeatures:
    """The rows of `fetch_edge_features` as arrays."""
    sources = np.array([text_vector(row["source_text"], text_dim) for row in rows])
    targets = np.array([text_vector(row["target_text"], text_dim) for row in rows])
    lengths = np.linalg.norm(sources, axis=1) * np.linalg.norm(targets, axis=1)
    cosine = np.divide(
        (sources * targets).sum(1), lengths, out=np.zeros_like(lengths), where=lengths > 0
    )

    def column(name: str) -> Floats:
        return np.array([float(row[name]) for row in rows], dtype=np.float32)

    return EdgeFeatures(
        source_ids=[row["source_id"] for row in rows],
        target_ids=[row["target_id"] for row in rows],
        evidence=column("evidence"),
        reverse_evidence=column("reverse_evidence"),
        text_cosine=cosine.astype(np.float32),
        same_category=column("same_category"),
        same_brand=column("same_brand"),
    )


def text_vector(stored: bytes | None, text_dim: int) -> Floats:
    """A stored text embedding; zeros when there is none."""
    if stored is None:
        return np.zeros(text_dim, dtype=np.float32)
    return np.frombuffer(stored, dtype="<f4").astype(np.float32)
