"""Reads the facts of the graph into the arrays that training learns from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .graph import reads
from .interaction_graph import InteractionGraph, sorted_events
from .item import content_hash, item_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from .graph.store import GraphStore, Row
    from .settings import Settings


@dataclass(frozen=True, slots=True)
class TrainingData:
    """The facts, and the text embeddings that the graph already holds.

    Args:
        graph: Items, categories, brands, users and events.
        text_cache: Text embedding by content hash.
        item_revisions: Facts revision of each item when it was read.
    """

    graph: InteractionGraph
    text_cache: dict[str, npt.NDArray[np.float32]]
    item_revisions: dict[str, int]


def read_training_data(
    graph: GraphStore, settings: Settings, progress: Callable[[str], None] = lambda _: None
) -> TrainingData:
    """Read everything; one statement for items, one for categories, one for events.

    Args:
        graph: The graph.
        settings: Declares the event types.
        progress: Told what is being read.
    """
    progress("items")
    items = graph.read(reads.fetch_training_items)
    categories = graph.read(reads.fetch_categories)
    progress("events")
    codes = {name: code for code, name in enumerate(settings.relationships)}
    histories = graph.read(lambda tx: reads.fetch_training_events(tx, codes))
    revisions = {item["item_id"]: int(item["facts_revision"]) for item in items}
    item_row = {item["item_id"]: row for row, item in enumerate(items)}
    category_row = {category["category_id"]: row for row, category in enumerate(categories)}
    brands = sorted({item["brand"] for item in items if item["brand"] is not None})
    brand_row = {name: row for row, name in enumerate(brands)}
    users = sorted(histories)
    columns = [
        (
            row,
            item_row[event.item_id],
            event.event_type,
            event.occurred_at_ms / 1000,
            event.event_id,
        )
        for row, user_id in enumerate(users)
        for event in histories[user_id]
    ]
    user, item, event_type, time, event_id = zip(*columns, strict=True) if columns else ((),) * 5
    order = sorted_events(
        np.array(user, dtype=np.int64), np.array(time, dtype=np.float64), list(event_id)
    )
    interactions = InteractionGraph(
        item_ids=[one["item_id"] for one in items],
        item_texts=[item_text(one["title"], one["description"]) for one in items],
        item_categories=[
            tuple(sorted(category_row[c] for c in one["categories"])) for one in items
        ],
        category_ids=[category["category_id"] for category in categories],
        category_texts=[category["path"] for category in categories],
        brand_ids=brands,
        item_brand=np.array([brand_row.get(one["brand"], -1) for one in items], dtype=np.int64),
        user_ids=users,
        event_user=np.array(user, dtype=np.int64)[order],
        event_item=np.array(item, dtype=np.int64)[order],
        event_type=np.array(event_type, dtype=np.int64)[order],
        event_time=np.array(time, dtype=np.float64)[order],
        event_types=settings.event_type_names,
        event_weights=tuple(declared.weight for declared in settings.event_types.values()),
    )
    return TrainingData(interactions, text_cache(items, settings.text_model), revisions)


def text_cache(items: list[Row], text_version: str) -> dict[str, npt.NDArray[np.float32]]:
    """Text embeddings of one text encoder that the graph holds, by content hash."""
    return {
        row["content_hash"]: np.frombuffer(row["text_embedding"], dtype="<f4").astype(np.float32)
        for row in items
        if row["text_embedding"] is not None
        and row["content_hash"]
        == content_hash(item_text(row["title"], row["description"]), text_version)
    }
