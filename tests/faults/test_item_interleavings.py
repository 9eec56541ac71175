"""Refreshes of an item in random orders with events, documents, moved and deleted neighbours."""

from __future__ import annotations

import os
import random
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from cypher.statement import Statement, load
from interest_graph.graph import store
from tests.faults.item_interleavings import play

if TYPE_CHECKING:
    from interest_graph.graph.store import GraphStore
    from interest_graph.settings import Settings

ORDERS = int(os.environ.get("INTEREST_GRAPH_TEST_FAULT_ORDERS", "100"))
SEED = 5
LEANING = """SET leaning.facts_revision = leaning.facts_revision + 1,
  leaning.refreshed_revision = leaning.refreshed_revision + 1
"""
BUGS = {
    "what came since the read is counted as events": (
        "write/count_events",
        "AND item.encoded_revision = item.facts_revision - item.event_count",
        "",
    ),
    "what came since the read is taken for read": (
        "write/write_item_embeddings",
        "row.as_read AND item.facts_revision = row.read_revision",
        "true",
    ),
    "whoever writes last is believed": (
        "write/write_item_embeddings",
        "WHERE item.refreshed_revision < row.read_revision",
        "WHERE true",
    ),
    "a deleted neighbour is overlooked while the item is encoded": (
        "write/delete_item",
        LEANING,
        "SET leaning.encoded_revision = null\n",
    ),
}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_random_orders_of_an_item_s_refreshes(graph: GraphStore, settings: Settings) -> None:
    """Afterwards the item is fresh, and encoded as it would be from nothing."""
    chance = random.Random(SEED)
    for _ in range(ORDERS):
        play(graph, settings, chance)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found(
    graph: GraphStore, settings: Settings, monkeypatch: pytest.MonkeyPatch, bug: str
) -> None:
    """The checks can fail: some order shows it."""
    path, right, wrong = BUGS[bug]

    def planted(asked: str) -> Statement:
        statement = load(asked)
        if asked != path:
            return statement
        assert right in statement.text
        return replace(statement, text=statement.text.replace(right, wrong))

    monkeypatch.setattr(store, "load", planted)
    chance = random.Random(SEED)

    def play_all() -> None:
        for _ in range(ORDERS):
            play(graph, settings, chance)

    with pytest.raises(AssertionError):
        play_all()
