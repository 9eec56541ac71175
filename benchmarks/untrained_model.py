"""Publishes a model for made events whose weights are random: refreshing costs the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from interest_graph.field_types import category_id
from interest_graph.interaction_graph import InteractionGraph
from models.checkpoint import publish
from models.graph_encoder import GraphEncoderConfig
from models.interest_encoder import InterestEncoderConfig
from models.item_graph import FEATURES, ItemEdges
from models.item_table import build_table, learn_identities
from models.recommender import Recommender, RecommenderConfig, set_neighbors
from models.text_encoder import PACKAGED, TextEncoder

from .graph_import import item_id, title

if TYPE_CHECKING:
    from pathlib import Path

    from interest_graph.settings import Settings

    from .made_events import MadeEvents

EDGES = 20


def publish_untrained(
    events: MadeEvents, models_dir: Path, settings: Settings, edges_of_item: int = EDGES
) -> Path:
    """Publish such a model; its item edges lead to popular items most.

    Args:
        events: The events.
        models_dir: Where published models stand.
        settings: Declares the event types.
        edges_of_item: How many leave an item, at most.

    Returns:
        The model's directory.
    """
    torch.manual_seed(0)
    graph = _items_alone(events, settings)
    texts = TextEncoder(PACKAGED).encode([*graph.item_texts, *graph.category_texts])
    of_items, of_categories = texts[: events.items], texts[events.items :]
    identities = learn_identities(graph)
    none = np.zeros((0, texts.shape[1]), np.float32)
    popularity = np.bincount(events.item, minlength=events.items).astype(np.float64)
    table = build_table(
        graph, identities, (of_items, of_categories, none), popularity, edges_of_item
    )
    shape = RecommenderConfig(
        GraphEncoderConfig(text_dim=texts.shape[1]),
        InterestEncoderConfig(
            event_weights=graph.event_weights,
            max_events=settings.interest_events,
            again_events=settings.again_events,
        ),
    )
    edges = _edges(popularity, edges_of_item)
    model = Recommender(shape, identities.sizes, len(edges.source)).eval()
    model.graph_encoder.fit_texts(torch.from_numpy(np.unique(of_items, axis=0)))
    weights = model.edge_weights(torch.from_numpy(edges.features))
    set_neighbors(table, edges, weights)
    return publish(
        models_dir,
        model,
        item_ids=graph.item_ids,
        table=table,
        edges=edges,
        edge_weights=weights,
        embeddings=model.sweep(table),
        identities=identities,
        config={"text_model": PACKAGED, "event_types": list(graph.event_types)},
        metrics={},
    )


def _items_alone(events: MadeEvents, settings: Settings) -> InteractionGraph:
    """The items, each with one event of one user, as far as a model needs to know them."""
    items = events.items
    groups = int(events.group_of_item.max()) + 1
    names = [f"Kind {group}" for group in range(groups)]
    return InteractionGraph(
        item_ids=[item_id(row) for row in range(items)],
        item_texts=[title(row, group) for row, group in enumerate(events.group_of_item.tolist())],
        item_categories=[(group,) for group in events.group_of_item.tolist()],
        category_ids=[category_id([name]) for name in names],
        category_texts=names,
        brand_ids=[],
        item_brand=np.full(items, -1, dtype=np.int64),
        user_ids=["user"],
        event_user=np.zeros(items, dtype=np.int64),
        event_item=np.arange(items, dtype=np.int64),
        event_type=np.zeros(items, dtype=np.int64),
        event_time=np.arange(items, dtype=np.float64),
        event_types=tuple(settings.event_type_names),
        event_weights=tuple(one.weight for one in settings.event_types.values()),
    )


def _edges(popularity: np.ndarray[tuple[int], np.dtype[np.float64]], of_item: int) -> ItemEdges:
    """Edges from every item to others, the popular ones most."""
    rng, items = np.random.default_rng(0), len(popularity)
    source = np.repeat(np.arange(items), of_item)
    target = rng.choice(items, size=len(source), p=(popularity + 1) / (popularity + 1).sum())
    pairs = np.unique(source * items + target)
    source, target = pairs // items, pairs % items
    source, target = source[source != target], target[source != target]
    features = np.zeros((len(source), len(FEATURES)), np.float32)
    features[:, 0] = rng.random(len(source))
    order = np.argsort(np.argsort([item_id(row) for row in range(items)]))
    return ItemEdges(source, target, order[target], features, ())
