"""Builds the facts that are evaluated on from what data sets say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from interest_graph.field_types import category_id
from interest_graph.interaction_graph import InteractionGraph
from interest_graph.item import category_levels

if TYPE_CHECKING:
    from collections.abc import Sequence

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ItemFacts:
    """What is known of an item.

    Args:
        item_id: Its id.
        text: What it says; "" for nothing.
        categories: Paths from the top.
        brand: Who makes it.
    """

    item_id: str
    text: str = ""
    categories: tuple[tuple[str, ...], ...] = ()
    brand: str | None = None


@dataclass(frozen=True, slots=True)
class EventColumns:
    """Events in the order in which they happened, as far as that is known.

    Args:
        user: (events,) int64, row of the user.
        item: (events,) int64, row of the item.
        time: (events,) float64, seconds since 1970. Equal times keep their order here.
        event_type: (events,) int64, code of the type; None when there is one type.
    """

    user: Ints
    item: Ints
    time: npt.NDArray[np.float64]
    event_type: Ints | None = None


def build_graph(
    items: Sequence[ItemFacts],
    user_ids: Sequence[str],
    events: EventColumns,
    event_types: dict[str, float],
) -> InteractionGraph:
    """The facts as arrays, the way the service keeps them.

    Every prefix of a category path is a category; an item is directly in the last one.

    Args:
        items: By row.
        user_ids: By row.
        events: Rows of users and items.
        event_types: Weight by name, in code order.
    """
    categories, item_categories = _categories(items)
    brands = sorted({item.brand for item in items if item.brand})
    brand_row = {name: row for row, name in enumerate(brands)}
    order = np.lexsort((np.arange(len(events.user)), events.time, events.user))
    codes = np.zeros(len(order), np.int64) if events.event_type is None else events.event_type
    return InteractionGraph(
        item_ids=[item.item_id for item in items],
        item_texts=[item.text for item in items],
        item_categories=item_categories,
        category_ids=list(categories),
        category_texts=list(categories.values()),
        brand_ids=brands,
        item_brand=np.array([brand_row.get(item.brand or "", -1) for item in items], np.int64),
        user_ids=list(user_ids),
        event_user=events.user[order],
        event_item=events.item[order],
        event_type=codes[order],
        event_time=events.time[order],
        event_types=tuple(event_types),
        event_weights=tuple(event_types.values()),
    )


def _categories(items: Sequence[ItemFacts]) -> tuple[dict[str, str], list[tuple[int, ...]]]:
    """Text of every category by id, and for each item the rows of those it is directly in."""
    texts: dict[str, str] = {}
    direct = []
    for item in items:
        paths = [path for path in item.categories if path]
        for path in paths:
            for level in category_levels(list(path)):
                texts.setdefault(str(level["category_id"]), str(level["path"]))
        direct.append({category_id(path) for path in paths})
    row = {identifier: place for place, identifier in enumerate(texts)}
    return texts, [tuple(sorted(row[leaf] for leaf in leaves)) for leaves in direct]


def has_repeats(graph: InteractionGraph) -> bool:
    """Whether any user has more than one event with an item."""
    pairs = graph.event_user * graph.num_items + graph.event_item
    return len(np.unique(pairs)) < len(pairs)
