"""Database hits of the statements that run meanwhile, by statement and operator."""

from __future__ import annotations

from collections import Counter, defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from cypher.statement import load, paths
from interest_graph.graph.lean_driver import neo4j

if TYPE_CHECKING:
    from collections.abc import Iterator

PURPOSES = {load(path).purpose: load(path).name for path in (*paths("read"), *paths("write"))}
OTHER = "other"


def name_of(query: str) -> str:
    """Name of the statement that a query was made of; `OTHER` for one of a benchmark's own."""
    return next((name for purpose, name in PURPOSES.items() if _begins(query, purpose)), OTHER)


def _begins(query: str, purpose: str) -> bool:
    """Whether a query has this header, whose further lines are comments of their own."""
    first = query.partition("\n")[0]
    return first.startswith("// Purpose: ") and purpose.startswith(first[len("// Purpose: ") :])


@contextmanager
def profiled() -> Iterator[dict[str, Counter[str]]]:
    """By statement the hits of each of its operators; a benchmark's own queries are left out."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    run = neo4j.ManagedTransaction.run

    def with_profile(tx: Any, query: str, *args: Any, **more: Any) -> Any:
        if (name := name_of(query)) == OTHER:
            return run(tx, query, *args, **more)
        result = run(tx, "PROFILE " + query, *args, **more)
        rows = list(result)
        _add_hits(result.consume().profile, found[name])
        return rows

    with patch.object(neo4j.ManagedTransaction, "run", with_profile):
        yield found


def _add_hits(plan: Any, found: Counter[str]) -> None:
    """Hits of a plan and all below it."""
    found[plan["operatorType"].partition("@")[0]] += int(plan.get("dbHits", 0))
    for child in plan.get("children", ()):
        _add_hits(child, found)


def by_operator(hits: Counter[str], nodes: int) -> str:
    """The operators that hit the database, and how often a node, most hits first.

    >>> by_operator(Counter({"Expand(All)": 128, "Filter": 80, "Limit": 0}), 64)
    'Expand(All) 2, Filter 1.2'
    """
    found = [(name, round(count / nodes, 1)) for name, count in hits.most_common() if count]
    return ", ".join(f"{name} {each:g}" for name, each in found)
