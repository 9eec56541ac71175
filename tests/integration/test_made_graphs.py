"""Graphs of the growth benchmark: made and imported once for a size and a seed, and kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks import growth
from benchmarks.growth import graph_of

if TYPE_CHECKING:
    from pathlib import Path

    from interest_graph.services import Services

EVENTS = 2_000

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def test_a_made_graph_is_imported_once_and_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growth, "cache_dir", lambda: tmp_path)
    said: list[str] = []
    with graph_of(EVENTS, said.append) as (services, events):
        assert facts(services) == EVENTS
        encoded = embeddings(services)
        assert encoded == events.items
    assert "importing them" in said
    said.clear()
    with graph_of(EVENTS, said.append) as (services, _):
        assert facts(services) == EVENTS
        assert embeddings(services) == encoded
        assert services.serving.head()[0] is not None
    assert said == ["2,000 events: making them"]


def facts(services: Services) -> int:
    """Events in the graph."""
    types = "|".join(services.settings.relationships)
    return count(services, f"MATCH ()-[one:{types}]->() RETURN count(one) AS found")


def embeddings(services: Services) -> int:
    """Items that the model in service has encoded."""
    return count(
        services, "MATCH (one:Item) WHERE one.embedding IS NOT NULL RETURN count(one) AS found"
    )


def count(services: Services, query: str) -> int:
    """A single number from the graph."""
    return int(services.graph.read(lambda tx: tx.run(query).single(strict=True)["found"]))
