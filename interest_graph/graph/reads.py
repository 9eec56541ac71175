"""Reading the graph: stale nodes, bounded neighbourhoods, and everything for training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..history import HistoryEvent
from .store import Row, run, run_for_all

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import neo4j


def check_connection(tx: neo4j.ManagedTransaction) -> None:
    """See that Neo4j answers."""
    run(tx, "read/check_connection")


def count_graph(tx: neo4j.ManagedTransaction) -> Row:
    """How many users, items and categories there are."""
    return run(tx, "read/count_graph")[0]


def count_stale(tx: neo4j.ManagedTransaction) -> Row:
    """Stale users and items, and the age of the oldest in seconds."""
    return run(tx, "read/count_stale")[0]


def list_stale_users(tx: neo4j.ManagedTransaction, limit: int) -> list[str]:
    """Ids of stale users, longest stale first."""
    return [row["user_id"] for row in run(tx, "read/list_stale_users", limit=limit)]


def list_stale_items(tx: neo4j.ManagedTransaction, limit: int) -> list[str]:
    """Ids of stale items, longest stale first."""
    return [row["item_id"] for row in run(tx, "read/list_stale_items", limit=limit)]


def fetch_user_revisions(tx: neo4j.ManagedTransaction, user_ids: Sequence[str]) -> dict[str, Row]:
    """Row with facts_revision, refreshed_revision and stale_since_ms by user."""
    rows = run(tx, "read/fetch_user_revisions", user_ids=list(user_ids))
    return {row["user_id"]: row for row in rows}


def fetch_user_events(
    tx: neo4j.ManagedTransaction,
    user_ids: Sequence[str],
    num_events: int,
    event_codes: Mapping[str, int],
) -> dict[str, tuple[HistoryEvent, ...]]:
    """The newest `num_events` of each user, oldest first; `event_codes` by relationship type."""
    rows = run_for_all(
        tx,
        "read/fetch_user_events",
        list(event_codes),
        user_ids=list(user_ids),
        num_events=num_events,
    )
    return {row["user_id"]: history_of(row["events"], event_codes) for row in rows}


def history_of(
    events: Sequence[Sequence[Any]], event_codes: Mapping[str, int]
) -> tuple[HistoryEvent, ...]:
    """Rows [occurred_at_ms, event_id, item_id, relationship] as a history, oldest first."""
    return tuple(
        sorted(
            HistoryEvent(at, event_id, item_id, event_codes[relationship])
            for at, event_id, item_id, relationship in events
            if relationship in event_codes
        )
    )


def fetch_user_interests(tx: neo4j.ManagedTransaction, user_id: str) -> list[Row]:
    """Learned interests of a user, strongest first."""
    return run(tx, "read/fetch_user_interests", user_id=user_id)


def fetch_item_revisions(tx: neo4j.ManagedTransaction, item_ids: Sequence[str]) -> dict[str, Row]:
    """Row with facts_revision, refreshed_revision, by_events and embedding by item."""
    rows = run(tx, "read/fetch_item_revisions", item_ids=list(item_ids))
    return {row["item_id"]: row for row in rows}


def fetch_item_subgraph(
    tx: neo4j.ManagedTransaction, item_ids: Sequence[str], num_neighbors: int
) -> list[Row]:
    """Items with categories, brand and their `num_neighbors` strongest neighbours."""
    return run(tx, "read/fetch_item_subgraph", item_ids=list(item_ids), num_neighbors=num_neighbors)


def fetch_item_categories(
    tx: neo4j.ManagedTransaction, item_ids: Sequence[str]
) -> dict[str, list[tuple[str, float]]]:
    """(category_id, weight) of each item."""
    rows = run(tx, "read/fetch_item_categories", item_ids=list(item_ids))
    return {row["item_id"]: [(c, w) for c, w in row["categories"]] for row in rows}


def find_nearest_items(
    tx: neo4j.ManagedTransaction, embedding: Sequence[float], k: int, model_version: str
) -> list[tuple[str, float]]:
    """(item_id, similarity) of the items nearest to an embedding."""
    rows = run(
        tx,
        "read/find_nearest_items",
        embedding=list(embedding),
        k=k,
        model_version=model_version,
    )
    return [(row["item_id"], row["similarity"]) for row in rows]


def fetch_edge_features(
    tx: neo4j.ManagedTransaction, pairs: Sequence[tuple[str, str]]
) -> list[Row]:
    """What the weights of SIMILAR_TO relationships are computed from."""
    return run(tx, "read/fetch_edge_features", pairs=[list(pair) for pair in pairs])


def fetch_categories(tx: neo4j.ManagedTransaction) -> list[Row]:
    """Every category with its path."""
    return run(tx, "read/fetch_categories")


def fetch_model_in_service(tx: neo4j.ManagedTransaction) -> str | None:
    """The model in service, if any."""
    rows = run(tx, "read/fetch_model_in_service")
    return rows[0]["model_version"] if rows else None


def list_user_ids(tx: neo4j.ManagedTransaction, after: str, limit: int) -> list[str]:
    """At most `limit` users after an id, in order of id."""
    return [row["user_id"] for row in run(tx, "read/list_user_ids", after=after, limit=limit)]


def list_erased_user_ids(tx: neo4j.ManagedTransaction, after: str, limit: int) -> list[str]:
    """At most `limit` erased users after an id, in order of id."""
    rows = run(tx, "read/list_erased_user_ids", after=after, limit=limit)
    return [row["user_id"] for row in rows]


def list_item_ids(tx: neo4j.ManagedTransaction, after: str, limit: int) -> list[str]:
    """At most `limit` items after an id that the catalogue knows or knew, in order of id."""
    return [row["item_id"] for row in run(tx, "read/list_item_ids", after=after, limit=limit)]


def fetch_users(tx: neo4j.ManagedTransaction, user_ids: Sequence[str]) -> dict[str, Row]:
    """Rows with known, document (JSON or None), revision and erased, by user."""
    rows = run(tx, "read/fetch_users", user_ids=list(user_ids))
    return {row["user_id"]: row for row in rows}


def fetch_items(tx: neo4j.ManagedTransaction, item_ids: Sequence[str]) -> dict[str, Row]:
    """Rows with known, document (JSON or None) and revision, by item."""
    rows = run(tx, "read/fetch_items", item_ids=list(item_ids))
    return {row["item_id"]: row for row in rows}


def fetch_seen_items(
    tx: neo4j.ManagedTransaction,
    user_ids: Sequence[str],
    relationships: Sequence[str],
    limit: int,
) -> dict[str, list[tuple[str, str]]]:
    """(item_id, relationship) of what each user has seen, newest first."""
    rows = run(
        tx,
        "read/fetch_seen_items",
        user_ids=list(user_ids),
        relationships=list(relationships),
        limit=limit,
    )
    return {row["user_id"]: [(item, kind) for item, kind in row["seen"]] for row in rows}


def fetch_recent_events(
    tx: neo4j.ManagedTransaction, user_ids: Sequence[str], since_ms: int
) -> list[Row]:
    """event_id, body_hash and recorded_at_ms of what was accepted since a moment."""
    return run(tx, "read/fetch_recent_events", user_ids=list(user_ids), since_ms=since_ms)


def count_flags(tx: neo4j.ManagedTransaction, user_ids: Sequence[str]) -> list[Row]:
    """How many events of users are flagged, by user and reason."""
    return run(tx, "read/count_flags", user_ids=list(user_ids))


def fetch_facts(tx: neo4j.ManagedTransaction, user_ids: Sequence[str]) -> list[Row]:
    """Every event of users as it was recorded, by user and time."""
    return run(tx, "read/fetch_facts", user_ids=list(user_ids))


def fetch_catalog_revisions(tx: neo4j.ManagedTransaction) -> Row:
    """The highest revisions of `items` and `users` in the graph."""
    return run(tx, "read/fetch_catalog_revisions")[0]


def fetch_training_items(tx: neo4j.ManagedTransaction) -> list[Row]:
    """Every item with what training needs of it."""
    return run(tx, "read/fetch_training_items")


def fetch_training_events(
    tx: neo4j.ManagedTransaction, event_codes: Mapping[str, int]
) -> dict[str, tuple[HistoryEvent, ...]]:
    """Every user's unflagged events, oldest first."""
    rows = run(tx, "read/fetch_training_events")
    return {row["user_id"]: history_of(row["events"], event_codes) for row in rows}
