"""Refreshes stale users: the interest from the newest events, and its edges in the graph."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .graph import learned, reads
from .interest import Interest, interest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import neo4j

    from .graph.store import GraphStore, Row
    from .history import HistoryEvent
    from .interest_encoder import InterestEncoder
    from .published_model import ModelShelf
    from .serving_state import ServingState
    from .settings import Settings

Categories = dict[str, list[tuple[str, float]]]


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a refresh did.

    Args:
        written: Users written.
        stale_since: When each had become stale, seconds since 1970.
    """

    written: int = 0
    stale_since: tuple[float, ...] = ()


def refresh_users(
    user_ids: Sequence[str],
    graph: GraphStore,
    serving: ServingState,
    shelf: ModelShelf,
    settings: Settings,
    as_of: int | None = None,
) -> Refreshed:
    """Refresh those of the users that are stale.

    Args:
        user_ids: Users that may be stale.
        graph: The graph.
        serving: Names the published model.
        shelf: Holds the published model.
        settings: Event types, and bounds on edges.
        as_of: The moment in seconds since 1970; by default now, floored to the minute.

    Returns:
        How many users were written, and since when they had been stale.

    Raises:
        TransientError: Neo4j or Redis is away; the users stay stale.
    """
    before, _ = serving.head()
    if before is None:
        return Refreshed()
    moment = int(time.time()) // 60 * 60 if as_of is None else as_of
    reader = shelf.current(before).encoder
    stale, histories = graph.read(lambda tx: _read(tx, user_ids, reader, settings))
    if not stale:
        return Refreshed()
    manifest, _ = serving.head()  # after the events, so that their items can be in it
    if manifest is None or manifest.model_version != before.model_version:
        return Refreshed()  # another model reads other events: whoever is stale stays so
    model = shelf.current(manifest)
    readable = {
        user_id: history
        for user_id, history in histories.items()
        # An event whose item is not encoded yet counts soon: until then its user stays stale.
        if all(event.item_id in model.matrix.row_of for event in history)
    }
    felt = {
        user_id: interest(model.encoder, model.matrix, history, moment)
        for user_id, history in readable.items()
    }
    version = model.model_version
    written = graph.write(lambda tx: _write(tx, stale, felt, version, settings))
    marks = [stale[user_id]["stale_since_ms"] for user_id in felt]
    return Refreshed(written, tuple(mark / 1000 for mark in marks if mark is not None))


def _read(
    tx: neo4j.ManagedTransaction,
    user_ids: Sequence[str],
    encoder: InterestEncoder,
    settings: Settings,
) -> tuple[dict[str, Row], dict[str, tuple[HistoryEvent, ...]]]:
    """Rows of the users that are stale, and of their histories what the encoder attends to.

    Revisions come first: each statement sees what was committed before it, and a fact that arrives
    in between leaves its user stale.
    """
    stale = {
        user_id: row
        for user_id, row in reads.fetch_user_revisions(tx, user_ids).items()
        if row["facts_revision"] > row["refreshed_revision"]
    }
    if not stale:
        return {}, {}
    newest = settings.history_events
    if encoder.event_types >= len(settings.relationships):  # else others hide those it attends to
        newest = min(newest, encoder.max_events)
    codes = {name: code for code, name in enumerate(settings.relationships)}
    found = reads.fetch_user_events(tx, list(stale), newest, codes)
    return stale, {user_id: found.get(user_id, ()) for user_id in stale}


def _write(
    tx: neo4j.ManagedTransaction,
    stale: Mapping[str, Row],
    felt: Mapping[str, Interest],
    model_version: str,
    settings: Settings,
) -> int:
    """Write what users feel, by item and by the categories of these; how many were written."""
    item_ids = {
        event.item_id
        for one in felt.values()
        for event, alpha in zip(one.events, one.alpha, strict=True)
        if alpha
    }
    categories = reads.fetch_item_categories(tx, sorted(item_ids))
    rows = [
        user_row(user_id, stale[user_id]["facts_revision"], one, categories, settings)
        for user_id, one in sorted(felt.items())
    ]
    return learned.write_user_interests(tx, rows, model_version)


def user_row(
    user_id: str, read_revision: int, felt: Interest, categories: Categories, settings: Settings
) -> Row:
    """What is written of a user: the embedding, and attention summed by item and by category."""
    items: defaultdict[str, float] = defaultdict(float)
    interests: defaultdict[str, float] = defaultdict(float)
    for event, alpha in zip(felt.events, felt.alpha, strict=True):
        if not alpha:
            continue
        items[event.item_id] += float(alpha)
        shares = categories.get(event.item_id, [])
        total = sum(weight for _, weight in shares) or 1.0
        for category_id, weight in shares:
            interests[category_id] += float(alpha) * weight / total
    return {
        "user_id": user_id,
        "read_revision": read_revision,
        "embedding": felt.embedding.astype(np.float64).tolist() if felt.events else None,
        "items": _strongest(items, settings.interest_items),
        "categories": _strongest(interests, settings.interest_categories),
    }


def _strongest(weights: Mapping[str, float], count: int) -> dict[str, float]:
    """The heaviest entries, heaviest first, ties by id."""
    ranked = sorted(weights.items(), key=lambda entry: (-entry[1], entry[0]))
    return dict(ranked[:count])
