"""Every Cypher statement on a real Neo4j: it plans, and returns the columns of its header."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cypher.statement import load, load_for, load_for_all, paths
from interest_graph.graph.schema import migrate

if TYPE_CHECKING:
    from typing import Any

    from neo4j import Driver

    from interest_graph.graph.store import GraphStore
    from interest_graph.settings import Settings

FOLDERS = ("read", "write", "schema", "analyst")
EVERY = [path for folder in FOLDERS for path in paths(folder)]


@pytest.mark.parametrize("path", EVERY)
def test_a_statement_plans_and_returns_its_columns(
    migrated: None, neo4j_driver: Driver, path: str
) -> None:
    """Neo4j can plan the statement, and its columns are those of the header."""
    statement = load(path)
    several = "// each event type" in statement.text
    text = load_for_all(path, ("VIEWED", "RATED")) if several else load_for(path, "VIEWED")
    parameters = dict.fromkeys(statement.parameters)
    with neo4j_driver.session(database="neo4j") as session:
        result = session.run(f"EXPLAIN {text}", parameters)
        columns = tuple(result.keys())
        result.consume()
    assert columns == statement.columns


def test_migrating_again_changes_nothing(graph: GraphStore, settings: Settings, query: Any) -> None:
    """A second migration leaves the same constraints and indexes and records nothing twice."""
    shown = "SHOW INDEXES YIELD name, type, state RETURN name, type, state ORDER BY name"
    first = migrate(graph, settings)
    before = query(shown)
    assert migrate(graph, settings) == first
    assert query(shown) == before
    assert query("MATCH (m:SchemaMigration) RETURN count(m) AS n")[0]["n"] == len(first)
    constrained = {
        name
        for row in query("SHOW CONSTRAINTS YIELD labelsOrTypes RETURN labelsOrTypes")
        for name in row["labelsOrTypes"]
    }
    assert set(settings.relationships) <= constrained
