"""Reads `items.jsonl`: one JSON object an item."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from interest_graph.item import item_text

from ..loading.source import read_rows
from .build import ItemFacts
from .errors import refuse

if TYPE_CHECKING:
    from pathlib import Path


def read_items(path: Path) -> dict[str, ItemFacts]:
    """The items by id, as strings; in the order of the file.

    Fields: `item` or `item_id`; `title`, `description`, `categories` (paths from the top, or one
    path) and `brand` where there are any; others are ignored.

    Raises:
        InvalidInputError: A line is not such an object.
    """
    items = {}
    for row in read_rows(path):
        if row.values is None:
            refuse(f"{path}, line {row.line}: {row.fault}")
        identifier = row.values.get("item_id", row.values.get("item"))
        if identifier is None:
            refuse(f"{path}, line {row.line}: has neither `item` nor `item_id`")
        items[str(identifier)] = ItemFacts(
            str(identifier),
            item_text(row.values.get("title"), row.values.get("description")),
            _paths(row.values.get("categories")),
            row.values.get("brand"),
        )
    return items


def _paths(categories: Any) -> tuple[tuple[str, ...], ...]:
    """Category paths; a single path may stand without a list around it."""
    if not categories:
        return ()
    if isinstance(categories[0], str):
        categories = [categories]
    return tuple(tuple(path) for path in categories)
