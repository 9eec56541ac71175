"""Every query in `cypher/analyst` answers its question on a small real graph."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from cypher.statement import Statement, load, paths
from interest_graph.event import Event
from interest_graph.field_types import category_id
from interest_graph.graph import facts, learned
from interest_graph.graph.schema import migrate
from interest_graph.graph.store import GraphStore
from interest_graph.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    import neo4j
    from neo4j import Driver

DAY_MS = 86_400_000
MODEL, OLD_MODEL = "20260101T000000Z-00000001", "20250101T000000Z-00000000"
YOGURT, CEREAL = ["Grocery", "Yogurt"], ["Grocery", "Cereal"]
CODES = {"view": ("VIEWED", 0), "purchase": ("PURCHASED", 3)}

PARAMETERS: dict[str, dict[str, Any]] = {
    "bought_by_fans_of_category": {"category": "Grocery > Yogurt", "num_users": 10, "k": 10},
    "busiest_users": {"days": 30, "live_s": 300, "burst_events": 0, "k": 10},
    "category_neighborhood": {"category": "Grocery > Yogurt", "k": 10},
    "events_by_type_and_day": {"days": 30},
    "flagged_events": {"days": 30, "k": 10},
    "follow_event": {"user_id": "anna", "event_id": "anna.yogurt.2"},
    "interests_of_user": {"user_id": "anna"},
    "items_without_interest": {"k": 10},
    "journey_of_user": {"user_id": "anna", "num_events": 10},
    "learned_edges_by_model": {},
    "loyal_users_of_brand": {"brand": "acme", "days": 30, "k": 10},
    "model_versions_in_use": {},
    "paths_between_users": {"user_id": "anna", "other_user_id": "bob", "num_events": 9, "k": 10},
    "rising_items": {"days": 7, "half_life_days": 30.0, "num_items": 10, "k": 10},
    "similar_items": {"item_id": "yogurt", "k": 10},
    "stale_backlog": {"limit": 10},
    "wanted_but_not_shown": {"k": 10},
    "why_this_item": {"user_id": "anna", "item_id": "muesli", "num_events": 10},
}


@pytest.fixture(scope="module")
def graph(neo4j_server: Any, neo4j_driver: Driver) -> Iterator[GraphStore]:
    """Two users, six items, events of the last days, and what two models learned."""
    settings = Settings(neo4j_uri=neo4j_server.uri, neo4j_password=neo4j_server.password)
    with closing(GraphStore(settings)) as store:
        neo4j_driver.execute_query("MATCH (node) DETACH DELETE node")
        migrate(store, settings)
        store.write(_write_facts)
        store.write(_write_learned)
        yield store


def _write_facts(tx: neo4j.ManagedTransaction) -> None:
    """Items and events, written as ingest writes them; one item is a stub."""
    items = [
        {"item_id": "yogurt", "title": "Yogurt", "categories": [YOGURT], "brand": "Acme"},
        {"item_id": "skyr", "title": "Skyr", "categories": [YOGURT]},
        {"item_id": "muesli", "title": "Muesli", "categories": [CEREAL], "brand": "Acme"},
        {"item_id": "secret", "title": "Secret", "hidden": True},
        {"item_id": "dust", "title": "Nobody's"},
    ]
    facts.write_items(tx, [(item, 1) for item in items])
    events = [
        _event("anna", "yogurt", "purchase", 9),
        _event("anna", "yogurt", "purchase", 2),
        _event("anna", "muesli", "purchase", 1),
        _event("anna", "dust", "purchase", 5, flagged="value"),
        _event("bob", "muesli", "purchase", 3),
        _event("bob", "skyr", "view", 2),
        _event("bob", "secret", "view", 1),
        _event("bob", "stub", "view", 1),
    ]
    facts.touch_users(tx, [{"user_id": user, "events": 3} for user in ("anna", "bob")])
    for event in events:
        counted = 0 if event.flagged else 1
        at_ms = None if event.flagged else event.occurred_at_ms
        row = {"item_id": event.item_id, "events": counted, "popularity": float(counted)}
        facts.touch_items(tx, [row | {"popularity_at_ms": at_ms}], 30.0)
        facts.record_events(tx, CODES[event.event_type][0], [event])


def _event(
    user_id: str, item_id: str, event_type: str, days_ago: int, flagged: str | None = None
) -> Event:
    """An event some days ago."""
    at = int(time.time() * 1000) - days_ago * DAY_MS
    name = f"{user_id}.{item_id}.{days_ago}"
    code = CODES[event_type][1]
    hash_ = "0" * 16
    return Event(
        name, user_id, item_id, event_type, code, at, at, hash_, value=1.0, flagged=flagged
    )


def _write_learned(tx: neo4j.ManagedTransaction) -> None:
    """Embeddings and edges of the model in service; one item is still the older model's."""
    for version in (OLD_MODEL, MODEL):
        learned.register_model(tx, version, {"ndcg_at_10": 0.1})
        learned.put_model_in_service(tx, version)
        names = ["dust"] if version == OLD_MODEL else ["yogurt", "skyr", "muesli"]
        learned.write_item_embeddings(tx, [_item(name, i) for i, name in enumerate(names)], version)
    learned.replace_similar_items(
        tx,
        [
            {
                "item_id": "yogurt",
                "described_as": "x",
                "similar": [{"item_id": "muesli", "weight": 0.4, "evidence": 1.0}],
            }
        ],
        MODEL,
    )
    related = {"category_id": category_id(CEREAL), "weight": 0.7}
    learned.replace_related_categories(
        tx, [{"category_id": category_id(YOGURT), "related": [related]}], MODEL
    )
    learned.write_user_interests(
        tx,
        [
            {
                "user_id": "anna",
                "read_revision": 2,
                "embedding": [0.1, 0.2, 0.3],
                "items": {"yogurt": 0.8},
                "categories": {category_id(YOGURT): 0.8},
            }
        ],
        MODEL,
    )


def _item(item_id: str, place: int) -> dict[str, Any]:
    """A refreshed item that fewer revisions went into than it has."""
    return {
        "item_id": item_id,
        "read_revision": 1,
        "embedding": [1.0, 0.1 * place, 0.2],
        "text_embedding": b"\0" * 8,
        "content_hash": "x",
        "categories": [],
    }


def answer(graph: GraphStore, name: str, **changed: Any) -> tuple[list[str], list[dict[str, Any]]]:
    """Columns and rows of a query, read in a transaction that cannot write."""
    text = load(f"analyst/{name}").text

    def work(tx: neo4j.ManagedTransaction) -> tuple[list[str], list[dict[str, Any]]]:
        result = tx.run(text, {**PARAMETERS[name], **changed})  # type: ignore[arg-type]
        return list(result.keys()), result.data()

    return graph.read(work)


def statements() -> list[Statement]:
    """Every query for analysts."""
    return [load(path) for path in paths("analyst")]


def test_there_are_at_least_twelve_queries_and_each_is_tested() -> None:
    """Every query has parameters here, and no parameters are left without a query."""
    assert {statement.name for statement in statements()} == set(PARAMETERS)
    assert len(PARAMETERS) >= 12


@pytest.mark.parametrize("statement", statements(), ids=lambda statement: statement.name)
def test_the_header_tells_the_truth(statement: Statement) -> None:
    """A query has a title, names exactly the parameters it uses, and bounds what it returns."""
    assert statement.text.startswith("// Title: ")
    assert statement.parameters == statement.used_parameters == set(PARAMETERS[statement.name])
    assert "LIMIT" in statement.text
    assert statement.purpose.endswith(".")
    assert not statement.parameters or "// Example: :param " in statement.text


@pytest.mark.parametrize("name", sorted(PARAMETERS))
def test_the_query_answers(graph: GraphStore, name: str) -> None:
    """A query returns the columns its header names, in order, and something to look at."""
    columns, rows = answer(graph, name)
    assert tuple(columns) == load(f"analyst/{name}").columns
    assert rows


def test_fans_of_a_category_are_shown_what_lies_outside_it(graph: GraphStore) -> None:
    """Purchases inside the category do not count; a category above it has the same fans."""
    _, rows = answer(graph, "bought_by_fans_of_category")
    assert [(row["item_id"], row["fans"]) for row in rows] == [("muesli", 1)]
    assert answer(graph, "bought_by_fans_of_category", category="Grocery")[1] == []


def test_similar_items_do_not_mix_model_versions(graph: GraphStore) -> None:
    """An item that still carries an older model's embedding is not compared."""
    _, rows = answer(graph, "similar_items")
    assert [row["item_id"] for row in rows] == ["skyr", "muesli"]
    assert {row["model_version"] for row in rows} == {MODEL}
    assert [row["similar_weight"] for row in rows] == [None, 0.4]


def test_rising_items_are_compared_with_the_days_before(graph: GraphStore) -> None:
    """Growth is the difference of two equal spans; popularity is worth at most its events."""
    _, rows = answer(graph, "rising_items")
    found = {row["item_id"]: row for row in rows}
    assert (found["muesli"]["events_before"], found["muesli"]["events_now"]) == (0, 2)
    assert "yogurt" not in found  # one event in each span
    assert 1.8 < found["muesli"]["popularity_now"] < 2.0


def test_what_cannot_be_shown_says_why(graph: GraphStore) -> None:
    """A hidden item and a stub are told apart, and visible items are not listed."""
    _, rows = answer(graph, "wanted_but_not_shown")
    assert {row["item_id"]: row["reason"] for row in rows} == {"secret": "hidden", "stub": "stub"}


def test_two_users_meet_at_an_item_or_at_similar_ones(graph: GraphStore) -> None:
    """The item both bought comes first, then the one that leads to it."""
    _, rows = answer(graph, "paths_between_users")
    assert [(row["item_id"], row["relationship"], row["other_item_id"]) for row in rows] == [
        ("muesli", "the same item", "muesli"),
        ("yogurt", "SIMILAR_TO", "muesli"),
    ]


def test_a_journey_is_newest_first_with_the_hours_between(graph: GraphStore) -> None:
    """The first event has none before it; what is flagged is shown with its reason."""
    _, rows = answer(graph, "journey_of_user")
    assert [row["item_id"] for row in rows] == ["muesli", "yogurt", "dust", "yogurt"]
    assert [row["flagged"] for row in rows] == [None, None, "value", None]
    assert rows[0]["hours_since_previous"] == pytest.approx(24, abs=0.1)
    assert rows[-1]["hours_since_previous"] is None


def test_flagged_events_are_seen_with_reason_day_and_user(graph: GraphStore) -> None:
    """And counted beside the others of their day; what asks for interest leaves them out."""
    _, (row,) = answer(graph, "flagged_events")
    assert (row["reason"], row["user_id"], row["events"]) == ("value", "anna", 1)
    assert row["example"] == "anna.dust.5"
    _, days = answer(graph, "events_by_type_and_day")
    assert sorted(row["flagged"] for row in days) == [0] * (len(days) - 1) + [1]
    _, rows = answer(graph, "loyal_users_of_brand")
    assert {row["user_id"]: row["all_purchases"] for row in rows}["anna"] == 3


def test_the_busiest_users_say_what_a_bound_would_flag(graph: GraphStore) -> None:
    """Every event beyond it in a minute of its own; loads of old events do not count."""
    _, rows = answer(graph, "busiest_users")
    anna = next(row for row in rows if row["user_id"] == "anna")
    assert (anna["events"], anna["beyond"], anna["most_in_a_minute"]) == (4, 4, 1)
    assert (anna["most_in_a_day"], anna["flagged"]) == (1, 1)
    assert {row["beyond"] for row in answer(graph, "busiest_users", burst_events=1)[1]} == {0, 1}


def test_learned_edges_name_the_model_in_service(graph: GraphStore) -> None:
    """Every learned edge of this graph is of the model in service, and facts are left out."""
    _, rows = answer(graph, "learned_edges_by_model")
    assert {row["relationship"] for row in rows} == {"INTERESTED_IN", "RELATED_TO", "SIMILAR_TO"}
    assert all(row["in_service"] for row in rows)
