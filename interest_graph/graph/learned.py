"""Writing what models learn: embeddings and weights, replaced and never mixed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .store import Row, run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import neo4j

    from .store import GraphStore

PAGE = 5000
CONSIDERED = 1000
"""Of the items that lean on one: an item that everything leans on costs no more."""


def _nothing() -> None:
    """Nobody waits for pages."""


def write_user_interests(
    tx: neo4j.ManagedTransaction, users: Sequence[Row], model_version: str
) -> int:
    """Write refreshed users; returns how many were written (the rest had something newer)."""
    rows = run(tx, "write/write_user_interests", users=list(users), model_version=model_version)
    return int(rows[0]["written"])


def write_item_embeddings(
    tx: neo4j.ManagedTransaction, items: Sequence[Row], model_version: str
) -> list[str]:
    """Write refreshed items; returns the ids written (the rest had something newer)."""
    rows = run(tx, "write/write_item_embeddings", items=list(items), model_version=model_version)
    return [row["item_id"] for row in rows]


def count_events(
    tx: neo4j.ManagedTransaction, item_ids: Sequence[str], model_version: str
) -> list[Row]:
    """Refresh the items that events alone made stale; `item_id` and popularity of each."""
    return run(tx, "write/count_events", item_ids=list(item_ids), model_version=model_version)


def lock_items(tx: neo4j.ManagedTransaction, item_ids: Sequence[str]) -> None:
    """Let nobody write items before `tx` has ended."""
    run(tx, "write/lock_items", item_ids=list(item_ids))


def replace_similar_items(
    tx: neo4j.ManagedTransaction, items: Sequence[Row], model_version: str
) -> int:
    """Replace SIMILAR_TO of items; returns how many items."""
    rows = run(tx, "write/replace_similar_items", items=list(items), model_version=model_version)
    return int(rows[0]["replaced"])


def replace_related_categories(
    tx: neo4j.ManagedTransaction, categories: Sequence[Row], model_version: str
) -> int:
    """Replace RELATED_TO of categories; returns how many categories."""
    rows = run(
        tx,
        "write/replace_related_categories",
        categories=list(categories),
        model_version=model_version,
    )
    return int(rows[0]["replaced"])


def mark_neighbors_stale(tx: neo4j.ManagedTransaction, item_ids: Sequence[str], limit: int) -> int:
    """Mark the items that lean most on these, at most `limit` for each, of `CONSIDERED`."""
    rows = run(
        tx,
        "write/mark_neighbors_stale",
        item_ids=list(item_ids),
        limit=limit,
        considered=CONSIDERED,
    )
    return int(rows[0]["marked"])


def mark_items_again(tx: neo4j.ManagedTransaction, item_ids: Sequence[str]) -> int:
    """Mark items stale whose SIMILAR_TO were just chosen; returns how many."""
    return int(run(tx, "write/mark_items_again", item_ids=list(item_ids))[0]["marked"])


def mark_all_users_stale(graph: GraphStore, after_each: Callable[[], object] = _nothing) -> None:
    """Mark every user stale, a page to a transaction; `after_each` is called after each of them."""
    _mark_pages(graph, mark_users_stale, after_each)


def mark_all_items_stale(graph: GraphStore, after_each: Callable[[], object] = _nothing) -> None:
    """Mark every item stale, a page to a transaction; `after_each` is called after each of them."""
    _mark_pages(graph, mark_items_stale, after_each)


def mark_users_stale(tx: neo4j.ManagedTransaction, after: str, limit: int) -> str | None:
    """Mark a page of users; returns the last id of it, None when there is none."""
    return _last(run(tx, "write/mark_users_stale", after=after, limit=limit))


def mark_items_stale(tx: neo4j.ManagedTransaction, after: str, limit: int) -> str | None:
    """Mark a page of items; returns the last id of it, None when there is none."""
    return _last(run(tx, "write/mark_items_stale", after=after, limit=limit))


def _mark_pages(
    graph: GraphStore,
    mark: Callable[[neo4j.ManagedTransaction, str, int], str | None],
    after_each: Callable[[], object],
) -> None:
    """Mark page after page, until there is none."""
    last: str | None = ""
    while last is not None:
        last = graph.write(lambda tx, after=last: mark(tx, after, PAGE))  # type: ignore[misc]
        after_each()


def _last(rows: list[Row]) -> str | None:
    """The last id of a page."""
    last: str | None = rows[0]["last"]
    return last


def register_model(
    tx: neo4j.ManagedTransaction, model_version: str, metrics: dict[str, float]
) -> None:
    """Remember a trained model and its metrics."""
    run(tx, "write/register_model", model_version=model_version, metrics=metrics)


def put_model_in_service(tx: neo4j.ManagedTransaction, model_version: str) -> bool:
    """Make a registered model the one in service; false when it is not registered."""
    rows = run(tx, "write/put_model_in_service", model_version=model_version)
    return bool(rows[0]["in_service"])
