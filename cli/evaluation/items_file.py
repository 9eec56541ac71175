"""Reads `items.jsonl`: one JSON object an item."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from interest_graph.item import item_text

from ..loading.source import read_rows
from .build import ItemFacts
from .errors import refuse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

NUMBERED = "s3rec_attributes"
SAME = 1.05  # rows of a category and of its number may differ by so much


def read_items(path: Path) -> dict[str, ItemFacts]:
    """The items by id, as strings; in the order of the file.

    Fields: `item` or `item_id`; `title`, `description`, `categories` (paths from the top, or one
    path) and `brand` where there are any; others are ignored. Where brands are missing, they are
    taken from `s3rec_attributes`, numbers that stand for categories and brands (the form of the
    S3-Rec repository): see `numbered_brands`.

    Raises:
        InvalidInputError: A line is not such an object.
    """
    items, numbered = {}, {}
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
        numbered[str(identifier)] = row.values.get(NUMBERED) or ()
    brands = numbered_brands(items, numbered)
    return {
        name: replace(item, brand=item.brand or brands.get(name)) for name, item in items.items()
    }


def numbered_brands(
    items: Mapping[str, ItemFacts], numbered: Mapping[str, Iterable[int]]
) -> dict[str, str]:
    """The brand of each item that has one, from numbers of which some stand for categories.

    A number stands for a category when a category holds all items that bear it and hardly any
    other. The first of an item's other numbers is its brand.

    Args:
        items: By id; their categories are read.
        numbered: The numbers of each item, by its id.
    """
    bearers: defaultdict[int, list[str]] = defaultdict(list)
    for name, numbers in numbered.items():
        for number in numbers:
            bearers[number].append(name)
    labels = {name: {x for path in item.categories for x in path} for name, item in items.items()}
    size: defaultdict[str, int] = defaultdict(int)
    for held in labels.values():
        for label in held:
            size[label] += 1
    categories = {
        number
        for number, names in bearers.items()
        if any(
            size[label] <= SAME * len(names)
            for label in set.intersection(*(labels[name] for name in names))
        )
    }
    first = {
        name: next((number for number in numbers if number not in categories), None)
        for name, numbers in numbered.items()
    }
    return {name: f"brand {number}" for name, number in first.items() if number is not None}


def _paths(categories: Any) -> tuple[tuple[str, ...], ...]:
    """Category paths; a single path may stand without a list around it."""
    if not categories:
        return ()
    if isinstance(categories[0], str):
        categories = [categories]
    return tuple(tuple(path) for path in categories)
