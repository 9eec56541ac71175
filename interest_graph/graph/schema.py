"""Numbered, idempotent migrations: the statements in `cypher/schema`, in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cypher.statement import SLOT, load, paths

from .store import run

if TYPE_CHECKING:
    import neo4j

    from ..settings import Settings
    from .store import GraphStore


def migrate(graph: GraphStore, settings: Settings) -> list[str]:
    """Apply every migration; those in place already change nothing.

    Returns:
        Names of the migrations, in the order applied.
    """
    applied = []
    for path in paths("schema"):
        if SLOT in load(path).text:
            for relationship in settings.relationships:
                graph.run_alone(path, relationship)
        else:
            graph.run_alone(path)
        name = load(path).name
        graph.write(lambda tx, name=name: record_migration(tx, name))  # type: ignore[misc]
        applied.append(name)
    return applied


def record_migration(tx: neo4j.ManagedTransaction, name: str) -> None:
    """Remember that a migration was applied."""
    run(tx, "write/record_migration", name=name)
