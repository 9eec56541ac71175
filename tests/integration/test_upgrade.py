"""A graph of the first version is brought up to date, once, and a newer one is refused."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any

import neo4j.time
import pytest

from cypher.statement import load, paths
from interest_graph.entry import Entry
from interest_graph.errors import SchemaError
from interest_graph.graph.schema import migrate
from interest_graph.ingest import write_entries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from interest_graph.event import Event
    from interest_graph.graph.store import GraphStore
    from interest_graph.settings import Settings
    from tests.integration.conftest import MakeEvent, Query

FIRST = Path(__file__).with_name("first_version.cypher")
NAMES = [load(path).name for path in paths("schema")]
NOON = 1_767_268_800  # 2026-01-01T12:00:00Z
SCHEMA = """SHOW INDEXES YIELD name, type, labelsOrTypes, properties, owningConstraint
    WHERE type <> 'LOOKUP' RETURN * ORDER BY name"""
NODES = """MATCH (n) WHERE NOT n:SchemaMigration
    RETURN labels(n) AS labels, properties(n) AS properties ORDER BY labels, properties.updated_at,
      coalesce(n.user_id, n.item_id)"""
EDGES = """MATCH (a)-[r]->(b) RETURN type(r) AS type, properties(r) AS properties,
      coalesce(a.user_id, a.item_id) AS a, coalesce(b.item_id, b.category_id, b.brand_id) AS b
    ORDER BY type, a, b"""
MIGRATIONS = "MATCH (m:SchemaMigration) RETURN m.name AS name, m.applied_at AS at ORDER BY name"


@pytest.fixture
def bare(graph: GraphStore, settings: Settings, query: Query) -> Iterator[Query]:
    """A database in which nothing was ever migrated; afterwards it is as other tests expect it."""
    for row in query("SHOW CONSTRAINTS YIELD name"):
        query(f"DROP CONSTRAINT `{row['name']}`")
    for row in query("SHOW INDEXES YIELD name, type WHERE type <> 'LOOKUP'"):
        query(f"DROP INDEX `{row['name']}`")
    yield query
    query("MATCH (n) DETACH DELETE n")
    migrate(graph, settings)


@pytest.fixture
def first_version(bare: Query) -> Query:
    """The graph of the first version."""
    for statement in FIRST.read_text(encoding="utf-8").split(";\n"):
        if statement.strip():
            bare(statement)
    return bare


def what_is_there(query: Query) -> tuple[Any, ...]:
    """Schema, nodes, edges, and when what was migrated."""
    return tuple(query(text) for text in (SCHEMA, NODES, EDGES, MIGRATIONS))


def at_once(work: Callable[[], object]) -> None:
    """Do the same twice at the same time."""
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(work), pool.submit(work)]:
            done.result()


def test_the_first_version_gets_the_schema_of_today_and_keeps_its_facts(
    graph: GraphStore, settings: Settings, first_version: Query
) -> None:
    """Every constraint and index of a new graph, every node and edge of the old one."""
    _, nodes, edges, before = what_is_there(first_version)
    assert len(before) < len(NAMES)
    assert migrate(graph, settings) == NAMES
    schema, nodes_after, edges_after, after = what_is_there(first_version)
    assert nodes_after == [with_popularity_at(node) for node in nodes]
    assert edges_after == [with_history(edge) for edge in edges]
    assert [row["name"] for row in after] == NAMES
    assert [row for row in after if row in before] == before
    first_version("MATCH (n) DETACH DELETE n")
    for row in first_version("SHOW CONSTRAINTS YIELD name"):
        first_version(f"DROP CONSTRAINT `{row['name']}`")
    for name in ("stale_users", "stale_items", "item_embedding"):
        first_version(f"DROP INDEX {name}")
    migrate(graph, settings)
    assert first_version(SCHEMA) == schema


def with_popularity_at(node: dict[str, Any]) -> dict[str, Any]:
    """A node as it is after the migration: popularity of before counts from 2020."""
    properties = node["properties"]
    if "popularity" not in properties:
        return node
    since = neo4j.time.DateTime(2020, 1, 1, tzinfo=UTC)
    return node | {"properties": properties | {"popularity_at": since}}


def with_history(edge: dict[str, Any]) -> dict[str, Any]:
    """An edge as it is after the migration: events name the user whose history they are in."""
    properties = edge["properties"]
    if "event_id" not in properties or "flagged" in properties:
        return edge
    return edge | {"properties": properties | {"history_of": edge["a"]}}


def test_migrating_the_first_version_again_or_twice_at_once_changes_nothing(
    graph: GraphStore, settings: Settings, first_version: Query
) -> None:
    """Two processes that start together, and one that starts later."""
    at_once(lambda: migrate(graph, settings))
    done = what_is_there(first_version)
    at_once(lambda: migrate(graph, settings))
    migrate(graph, settings)
    assert what_is_there(first_version) == done
    assert [row["name"] for row in done[-1]] == NAMES


def test_an_empty_database_is_migrated_by_two_processes_at_once(
    graph: GraphStore, settings: Settings, bare: Query
) -> None:
    """Each migration is recorded once."""
    at_once(lambda: migrate(graph, settings))
    assert [row["name"] for row in bare(MIGRATIONS)] == NAMES


def test_the_service_goes_on_with_a_graph_of_the_first_version(
    graph: GraphStore, settings: Settings, first_version: Query, make_event: MakeEvent
) -> None:
    """What was a fact then is a duplicate now, and its users get new facts and can be deleted."""
    migrate(graph, settings)
    old = make_event("e-2", "u-1", "i-1", "purchase", at=NOON)
    assert old.body_hash == "b44b82fcb532b7c1"
    assert ingested(graph, settings, [old, make_event("e-4", "u-2", "i-1")]) == (1, 1)
    gone = Entry("3-0", "delete_user", b"u-1", 2)
    graph.write(lambda tx: write_entries(tx, [gone], settings))
    rows = first_version("MATCH (:User)-[e]->(:Item) RETURN e.event_id AS id ORDER BY id")
    assert [row["id"] for row in rows] == ["e-3", "e-4"]


def ingested(graph: GraphStore, settings: Settings, events: list[Event]) -> tuple[int, int]:
    """How many events became facts, and how many were facts already."""
    entries = [Entry(f"{n}-0", "event", one.to_json()) for n, one in enumerate(events, start=1)]
    done = graph.write(lambda tx: write_entries(tx, entries, settings))
    return done.events, done.duplicates


def test_a_graph_of_a_newer_version_is_refused(
    graph: GraphStore, settings: Settings, first_version: Query
) -> None:
    """By the name of the migration that this version does not know, before anything is changed."""
    first_version("CREATE (:SchemaMigration {name: '999_later'})")
    before = what_is_there(first_version)
    with pytest.raises(SchemaError, match=r"newer version .*999_later"):
        migrate(graph, settings)
    assert what_is_there(first_version) == before
