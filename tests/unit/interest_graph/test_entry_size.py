"""However their fields are filled, events and documents stay within their bounds in bytes."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from cli.loading.sink import DocumentSink, EventSink
from interest_graph.errors import InvalidInputError
from interest_graph.event import parse_event
from interest_graph.field_types import MAX_ENTRY_BYTES, MAX_PROPERTIES_BYTES
from interest_graph.item import ItemInput, ItemPatch, patched
from interest_graph.settings import Settings
from interest_graph.user import UserInput

WORST = "\x01"
"""The character that takes most bytes in JSON: six."""
LISTED = {"p": ["x" * 16_000] * 3, "q": ""}
LEFT = MAX_PROPERTIES_BYTES - len(orjson.dumps(LISTED))
MOST_PROPERTIES = {**LISTED, "q": "x" * LEFT}
TOO_MANY = {**LISTED, "q": "x" * (LEFT + 1)}
PATHS = [[WORST * 200] * 8] * 8
LARGEST_ITEM = {
    "item_id": "i" * 128,
    "title": WORST * 1000,
    "description": WORST * 20_000,
    "categories": PATHS,
    "brand": WORST * 200,
    "price": 1e11 / 3,
    "available_from": "2024-01-01T00:00:00.123456Z",
    "available_until": "9999-01-01T00:00:00.123456Z",
    "hidden": False,
    "image_url": "https://" + WORST * 2040,
    "properties": MOST_PROPERTIES,
}
LARGEST_USER = {"user_id": "u" * 128, "categories": PATHS, "properties": MOST_PROPERTIES}
LARGEST_EVENT = {
    "event_id": "e" * 64,
    "user_id": "u" * 128,
    "item_id": "i" * 128,
    "event_type": "add_to_cart",
    "occurred_at": "2024-01-01T00:00:00.123456Z",
    "value": -1e17 / 3,
    "session_id": WORST * 200,
    "recommendation_id": WORST * 200,
    "properties": MOST_PROPERTIES,
}


def test_the_properties_are_exactly_at_their_bound() -> None:
    """What is tried here is the largest there can be."""
    assert len(orjson.dumps(MOST_PROPERTIES)) == MAX_PROPERTIES_BYTES


def test_every_field_is_in_the_largest() -> None:
    """A field that is added counts as well."""
    assert set(LARGEST_ITEM) == set(ItemInput.model_fields)
    assert set(LARGEST_USER) == set(UserInput.model_fields)


def test_the_largest_there_can_be_are_within_the_bound() -> None:
    """Documents and events with every field at its bound, as the log keeps them."""
    item, user = ItemInput.model_validate(LARGEST_ITEM), UserInput.model_validate(LARGEST_USER)
    assert len(orjson.dumps(item.document)) <= MAX_ENTRY_BYTES
    assert len(orjson.dumps(user.document)) <= MAX_ENTRY_BYTES / 2
    assert len(parse_event(LARGEST_EVENT, Settings()).to_json()) <= MAX_PROPERTIES_BYTES + 4096


@pytest.mark.parametrize("kind", ["items", "users", "events"])
def test_a_byte_more_is_refused_by_field_and_reason(kind: str) -> None:
    """Properties beyond their bound are refused wherever they come from: here, in a file."""
    rows: dict[str, tuple[Any, dict[str, Any]]] = {
        "items": (DocumentSink(None, ItemInput), LARGEST_ITEM),  # type: ignore[arg-type]
        "users": (DocumentSink(None, UserInput), LARGEST_USER),  # type: ignore[arg-type]
        "events": (EventSink(None, Settings()), LARGEST_EVENT),  # type: ignore[arg-type]
    }
    sink, row = rows[kind]
    with pytest.raises(InvalidInputError) as caught:
        sink.parse({**row, "properties": TOO_MANY})
    ((field, reason, pointer),) = [
        (fault.field, fault.reason, fault.pointer) for fault in caught.value.faults
    ]
    assert (field, pointer) == ("properties", "/properties")
    assert reason == "must have at most 65536 bytes as JSON"


def test_a_patch_cannot_pass_the_bound() -> None:
    """A patch is held to it like a document."""
    document = ItemInput.model_validate(LARGEST_ITEM).document
    with pytest.raises(ValidationError, match="65536 bytes"):
        patched(document, ItemPatch.model_validate({"properties": TOO_MANY}))
