"""Items as the shop sends them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from interest_graph.field_types import category_id, faults_of
from interest_graph.item import ItemInput, ItemPatch, category_levels, content_hash, patched


def refused(**fields: Any) -> set[str]:
    """JSON pointers of the faults of an item."""
    with pytest.raises(ValidationError) as caught:
        ItemInput.model_validate({"item_id": "i-1"} | fields)
    return {fault.pointer for fault in faults_of(caught.value, "/items/3")}


@pytest.mark.parametrize(
    ("field", "value", "pointer"),
    [
        ("item_id", "x" * 40_000, "/item_id"),
        ("item_id", "", "/item_id"),
        ("title", "x" * 1001, "/title"),
        ("title", "nul\x00", "/title"),
        ("title", "\ud800", "/title"),
        ("title", 5, "/title"),
        ("description", "x" * 20_001, "/description"),
        ("brand", "", "/brand"),
        ("brand", "x" * 201, "/brand"),
        ("categories", [["Home"]] * 9, "/categories"),
        ("categories", [[]], "/categories/0"),
        ("categories", [["Home"] * 9], "/categories/0"),
        ("categories", [["Home", ""]], "/categories/0/1"),
        ("categories", [["Home", "x" * 201]], "/categories/0/1"),
        ("categories", [["nul\x00"]], "/categories/0/0"),
        ("categories", ["Home"], "/categories/0"),
        ("price", -1, "/price"),
        ("price", float("nan"), "/price"),
        ("price", float("inf"), "/price"),
        ("price", True, "/price"),
        ("available_from", "2024-01-01", "/available_from"),
        ("available_from", "1989-01-01T00:00:00Z", "/available_from"),
        ("available_until", "9999-12-31T23:59:59-14:00", "/available_until"),
        ("available_until", "1700000000", "/available_until"),
        ("available_until", 1_700_000_000, "/available_until"),
        ("image_url", "javascript:alert(1)", "/image_url"),
        ("image_url", "https://" + "x" * 2048, "/image_url"),
        ("image_url", "https://shop.example/a\u0085b", "/image_url"),
        ("image_url", "https://shop.example/a.jpg\n", "/image_url"),
        ("properties", {"nested": {}}, "/properties"),
        ("properties", {f"key{n}": n for n in range(33)}, "/properties"),
        ("colour", "red", "/colour"),
    ],
)
def test_what_is_out_of_bounds_is_named(field: str, value: object, pointer: str) -> None:
    """A value out of bounds is refused, and the fault points at it in the request's body."""
    assert refused(**{field: value}) == {f"/items/3{pointer}"}


def test_a_window_that_ends_before_it_begins_is_refused() -> None:
    """An item is available for some time or always, never for less than nothing."""
    times = {"available_from": "2024-02-01T00:00:00Z", "available_until": "2024-02-01T00:00:00Z"}
    assert refused(**times) == {"/items/3"}


def test_a_window_may_begin_in_the_future() -> None:
    """Availability is not bounded by the clock as the time of an event is."""
    item = ItemInput.model_validate({"item_id": "i", "available_from": "2090-01-01T00:00:00Z"})
    assert item.document["available_from"] == "2090-01-01T00:00:00Z"


def test_a_patch_changes_what_it_names_and_null_clears() -> None:
    """What a patch leaves out stays, null takes away, hidden falls back to false."""
    document = ItemInput.model_validate(
        {"item_id": "i", "title": "Lamp", "price": 3, "brand": "Lux", "hidden": True}
    ).document
    patch = ItemPatch.model_validate({"price": 4, "brand": None, "hidden": None})
    expected = {"item_id": "i", "title": "Lamp", "price": 4.0, "hidden": False}
    assert patched(document, patch) == expected


def test_a_patch_cannot_break_the_window() -> None:
    """The result of a patch is checked as a whole."""
    document = ItemInput.model_validate(
        {"item_id": "i", "available_from": "2024-02-01T00:00:00Z"}
    ).document
    patch = ItemPatch.model_validate({"available_until": "2024-01-01T00:00:00Z"})
    with pytest.raises(ValidationError):
        patched(document, patch)


@given(st.lists(st.text(min_size=1), min_size=1, max_size=8))
def test_the_levels_of_a_path_hang_together(path: list[str]) -> None:
    """Each level's parent is the level above, the last is the category itself, none repeats."""
    levels = list(category_levels(path))
    ids = [level["category_id"] for level in levels]
    assert [level["parent_id"] for level in levels] == [None, *ids[:-1]]
    assert ids[-1] == category_id(path)
    assert len(set(ids)) == len(path)
    assert [level["name"] for level in levels] == path


@given(st.text(), st.text())
def test_texts_are_told_apart_by_their_hash(one: str, other: str) -> None:
    """Two texts share a content hash only when they are the same text."""
    assert (content_hash(one) == content_hash(other)) == (one == other)


@pytest.mark.parametrize("hidden", [0.0, 1, "yes"])
def test_a_flag_is_a_boolean_and_nothing_like_one(hidden: object) -> None:
    """What the schema does not allow is not taken for it."""
    with pytest.raises(ValidationError, match="hidden"):
        ItemInput.model_validate({"item_id": "i", "hidden": hidden})
