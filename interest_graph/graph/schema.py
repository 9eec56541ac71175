"""Numbered, idempotent migrations: the statements in `cypher/schema`, in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cypher.statement import SLOT, load, paths

from ..errors import SchemaError
from .store import run

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    import neo4j

    from ..settings import Settings
    from .store import GraphStore


THROUGH_DATA = "IN TRANSACTIONS"
"""What a migration says that goes through data."""


def migrate(graph: GraphStore, settings: Settings) -> list[str]:
    """Apply every migration; those in place already change nothing, whoever else applies them.

    Afterwards every index answers.

    Those that go through data are applied once, again only when they did not come to their end.

    Returns:
        Names of the migrations, in the order applied.

    Raises:
        SchemaError: A newer version of this program has migrated the graph.
        GraphUnavailableError: Neo4j does not answer.
    """
    known = {load(path).name: path for path in paths("schema")}
    applied = graph.read(list_migrations)
    _refuse_newer(applied, known)
    for name, path in known.items():
        if name in applied and THROUGH_DATA in load(path).text:
            continue
        for relationship in settings.relationships if SLOT in load(path).text else (None,):
            graph.run_alone(path, relationship)
    graph.run_alone("system/await_indexes")
    # At the end: one of them makes sure that two who migrate at once record each once.
    graph.write(lambda tx: record_migrations(tx, list(known)))
    return list(known)


def _refuse_newer(applied: Iterable[str], known: Collection[str]) -> None:
    """See that this program knows every migration of the graph.

    Raises:
        SchemaError: It does not: what it writes could break what the newer one relies on.
    """
    newer = sorted(set(applied) - set(known))
    if newer:
        msg = (
            f"a newer version of Interest Graph has migrated this graph ({', '.join(newer)}): "
            "run that version, or restore a backup into an empty graph"
        )
        raise SchemaError(msg)


def list_migrations(tx: neo4j.ManagedTransaction) -> list[str]:
    """Names of the migrations that were ever applied."""
    return [row["name"] for row in run(tx, "read/list_migrations")]


def record_migrations(tx: neo4j.ManagedTransaction, names: Sequence[str]) -> None:
    """Remember that migrations were applied."""
    run(tx, "write/record_migrations", names=names)
