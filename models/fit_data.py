"""What a fit reads, made from a graph."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from .item_graph import ItemEdges, alike, build_edges, text_directions
from .item_table import Identities, ItemTable, build_table, learn_identities
from .likeness import lenders
from .past_popularity import PastPopularity, past_popularity
from .recommender import RecommenderConfig

if TYPE_CHECKING:
    from interest_graph.interaction_graph import InteractionGraph

    from .sparse_rows import Matrix
    from .text_encoder import TextEncoder
    from .training_config import TrainingConfig

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Texts:
    """Text embeddings by row, zeros for no text.

    Args:
        items: (items, text_dim).
        categories: (categories, text_dim).
        brands: (brands, text_dim).
    """

    items: Floats
    categories: Floats
    brands: Floats


@dataclass(frozen=True, slots=True)
class FitData:
    """What a fit reads.

    Args:
        graph: The events.
        table: The items.
        edges: The item graph.
        identities: What has a learned identity.
        fold_of_user: (users,) int64, the fold of each user.
        past: Popularity as it stood when the events happened.
        text_encoder: The encoder to tune, or None to keep texts as they are.
        distinct_texts: (·, text_dim) embeddings from which the text's directions are taken.
    """

    graph: InteractionGraph
    table: ItemTable
    edges: ItemEdges
    identities: Identities
    fold_of_user: Ints
    past: PastPopularity
    text_encoder: TextEncoder | None
    distinct_texts: torch.Tensor


def make_fit_data(
    graph: InteractionGraph,
    texts: Texts,
    config: TrainingConfig,
    now: float,
    device: torch.device,
    text_encoder: TextEncoder | None = None,
    lent: Matrix | None = None,
) -> FitData:
    """Everything a fit reads of a graph as it stood at `now`.

    Args:
        graph: The events.
        texts: Of its items, categories and brands.
        config: How; its `evidence` too.
        now: The moment as of which popularity is counted, in seconds since 1970.
        device: Where tensors go.
        text_encoder: The encoder to tune, or None to keep texts as they are.
        lent: As of `models.likeness.lenders`, where that is known.
    """
    directions = text_directions(texts.items, config.dim)
    folds = fold_users(graph, config.folds, config.seed)
    if lent is None and config.evidence.borrowed:
        lent = lenders(graph, directions, words=config.words)
    edges = build_edges(
        graph,
        directions,
        alike(directions, config.similar_items),
        config.evidence,
        edges_per_item=config.similar_items,
        text_edges=config.text_edges,
        fold_of_user=folds,
        lent=lent,
    )
    identities = learn_identities(graph, of_nodes=config.identities, of_words=config.words)
    popularity = graph.popularity(now, config.popularity_half_life_days)
    embeddings = (texts.items.copy(), texts.categories, texts.brands)
    table = build_table(graph, identities, embeddings, popularity, config.num_neighbors)
    said = texts.items[np.abs(texts.items).sum(1) > 0]
    distinct = torch.from_numpy(np.unique(said, axis=0))
    past = past_popularity(graph, config.popularity_half_life_days).to(device)
    return FitData(graph, table.to(device), edges, identities, folds, past, text_encoder, distinct)


def model_shape(
    config: TrainingConfig, graph: InteractionGraph, text_dim: int
) -> RecommenderConfig:
    """The model's shape for these texts and event types."""
    shape = config.fit.model
    return RecommenderConfig(
        replace(shape.graph_encoder, dim=config.dim, text_dim=text_dim),
        replace(
            shape.interest_encoder,
            dim=config.dim,
            event_weights=graph.event_weights,
            max_events=config.max_events,
            again_events=config.again_events,
        ),
    )


def fold_users(graph: InteractionGraph, folds: int, seed: int) -> Ints:
    """A fold for each user, at random and of even size."""
    order = np.random.default_rng(seed).permutation(len(graph.user_ids))
    return (order % min(folds, max(len(order), 1))).astype(np.int64)
