"""Writing facts: events, items, users. Facts are written once and never changed by a model."""

from __future__ import annotations

import hashlib
import math
from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson

from ..item import category_levels
from .store import Row, run, run_for, run_for_all

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import neo4j

    from ..event import Event

_DAY_MS = 86_400_000
_TEXT_FIELDS = ("title", "description", "price", "image_url")
_TIME_FIELDS = ("available_from", "available_until")


def what_is_left(age_ms: float, half_life_days: float) -> float:
    """The share of an event's weight that still counts in its item's popularity.

    Popularity is kept as of the item's newest event, `popularity_at`: Σ weight·2^(−age/half-life),
    ages as of then. The order in which events arrive does not matter: whichever of two moments is
    the older one, what belongs to it is brought to the newer.

    >>> what_is_left(30 * 86_400_000, 30.0)
    0.5
    """
    return float(2.0 ** (-age_ms / half_life_ms(half_life_days)))


def half_life_ms(half_life_days: float) -> float:
    """Days as milliseconds."""
    return half_life_days * _DAY_MS


def find_events(
    tx: neo4j.ManagedTransaction, relationships: Sequence[str], event_ids: Sequence[str]
) -> dict[str, str]:
    """Body hash by id of those events that the graph holds under any of the relationship types."""
    rows = run_for_all(tx, "read/find_events", relationships, event_ids=list(event_ids))
    return {row["event_id"]: row["body_hash"] for row in rows}


def touch_users(tx: neo4j.ManagedTransaction, users: Sequence[Row]) -> tuple[int, dict[str, float]]:
    """Create stubs and mark users stale.

    Returns:
        How many it touched, and of those who were ever deleted since when their events count, in
        milliseconds since 1970: infinity unless they were created again.
    """
    row = run(tx, "write/touch_users", users=list(users))[0]
    since = {
        user_id: math.inf if erased else since_ms for user_id, erased, since_ms in row["with_past"]
    }
    return int(row["touched"]), since


def touch_items(tx: neo4j.ManagedTransaction, items: Sequence[Row], half_life_days: float) -> int:
    """Create stubs, add popularity and mark items stale; returns how many it touched."""
    half_life = half_life_ms(half_life_days)
    rows = run(tx, "write/touch_items", items=list(items), half_life_ms=half_life)
    return int(rows[0]["touched"])


def record_events(tx: neo4j.ManagedTransaction, relationship: str, events: Iterable[Event]) -> int:
    """Write events of one type; returns how many were written."""
    rows = [_event_row(event) for event in events]
    return int(run_for(tx, "write/record_events", relationship, events=rows)[0]["recorded"])


def clear_flags(
    tx: neo4j.ManagedTransaction,
    user_ids: Sequence[str],
    relationships: Sequence[str],
    reasons: Sequence[str],
) -> list[Row]:
    """Take back flags; returns the events that had them. What they add is the caller's to add."""
    return run(
        tx,
        "write/clear_flags",
        user_ids=list(user_ids),
        relationships=list(relationships),
        reasons=list(reasons),
    )


def write_items(tx: neo4j.ManagedTransaction, items: Iterable[tuple[dict[str, Any], int]]) -> int:
    """Write item documents with their catalogue revisions; returns how many it saw."""
    rows = [
        {
            "item_id": document["item_id"],
            "revision": revision,
            "fields": _item_fields(document),
            "categories": _category_paths(document),
            "brand": _brand(document.get("brand")),
            "document": _as_sent(document),
        }
        for document, revision in items
    ]
    return int(run(tx, "write/write_items", items=rows)[0]["seen"])


def write_users(
    tx: neo4j.ManagedTransaction,
    users: Iterable[tuple[dict[str, Any], int]],
    since_ms: Mapping[str, int] | None = None,
) -> int:
    """Write user documents with their revisions; returns how many it saw.

    Args:
        tx: The transaction.
        users: Documents and revisions.
        since_ms: By user_id when who was deleted was created again, in milliseconds since 1970.
    """
    again = since_ms or {}
    rows = [
        {
            "user_id": document["user_id"],
            "revision": revision,
            "fields": _property_fields(document),
            "categories": _category_paths(document),
            "document": _as_sent(document),
            "since_ms": again.get(document["user_id"]) or None,
        }
        for document, revision in users
    ]
    return int(run(tx, "write/write_users", users=rows)[0]["seen"])


def delete_item(tx: neo4j.ManagedTransaction, item_id: str, revision: int) -> int:
    """Make an item a stub again; 0 when a newer document is there."""
    return int(run(tx, "write/delete_item", item_id=item_id, revision=revision)[0]["deleted"])


def delete_user(tx: neo4j.ManagedTransaction, user_id: str, revision: int) -> int:
    """Erase a user and leave a tombstone; 0 when a newer document is there."""
    return int(run(tx, "write/delete_user", user_id=user_id, revision=revision)[0]["deleted"])


def _as_sent(document: dict[str, Any]) -> str:
    """The document byte for byte as the serving state keeps it, so that it can be rebuilt."""
    return orjson.dumps(document).decode()


def _event_row(event: Event) -> Row:
    """Parameters of one event."""
    fields: dict[str, Any] = {
        "value": event.value,
        "session_id": event.session_id,
        "recommendation_id": event.recommendation_id,
        "flagged": event.flagged,
    }
    fields = {name: value for name, value in fields.items() if value is not None}
    return {
        "event_id": event.event_id,
        "user_id": event.user_id,
        "item_id": event.item_id,
        "occurred_at_ms": event.occurred_at_ms,
        "recorded_at_ms": event.recorded_at_ms,
        "body_hash": event.body_hash,
        "fields": fields | _property_fields({"properties": event.properties}),
    }


def _item_fields(document: dict[str, Any]) -> dict[str, Any]:
    """Node properties of an item; null clears what an earlier document set."""
    fields: dict[str, Any] = {name: document.get(name) for name in _TEXT_FIELDS}
    for name in _TIME_FIELDS:
        value = document.get(name)
        fields[name] = datetime.fromisoformat(value) if value else None
    fields["hidden"] = bool(document.get("hidden"))
    return fields | _property_fields(document)


def _property_fields(document: dict[str, Any]) -> dict[str, Any]:
    """The caller's own properties, under a prefix that keeps them apart from ours."""
    properties = document.get("properties") or {}
    return {f"property_{name}": value for name, value in properties.items()}


def _category_paths(document: dict[str, Any]) -> list[list[dict[str, str | None]]]:
    """Every level of every category path of a document."""
    return [list(category_levels(path)) for path in document.get("categories") or []]


def _brand(name: str | None) -> dict[str, str] | None:
    """A brand with its id: a hash of its name."""
    if name is None:
        return None
    identifier = hashlib.blake2b(name.casefold().encode(), digest_size=8).hexdigest()
    return {"brand_id": identifier, "name": name}
