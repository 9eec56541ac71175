"""The revision protocol in every order of its steps, in memory and on a real Neo4j."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING, Any

import pytest

from interest_graph import refresh_users as refreshing
from interest_graph.entry import Entry
from interest_graph.event import parse_event
from interest_graph.graph.schema import migrate
from interest_graph.graph.store import GraphStore
from interest_graph.ingest import write_entries
from tests.faults import interleavings
from tests.faults.interleavings import FACTS, MODEL, USER, WORKER_STEPS, WORKERS, MemoryGraph

if TYPE_CHECKING:
    from collections.abc import Iterator

    from interest_graph.settings import Settings

STEPS = (*([WORKER_STEPS] * WORKERS), FACTS)
RANDOM_ORDERS = int(os.environ.get("INTEREST_GRAPH_TEST_FAULT_ORDERS", "100"))


@pytest.fixture(autouse=True)
def _counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Interests say how many events they are of."""
    monkeypatch.setattr(refreshing, "interest", interleavings.counted_interest)


@pytest.mark.slow
def test_every_order_in_memory() -> None:
    """11,550 orders of two refreshes and three facts; half of them, since the workers are alike."""
    count = 0
    for order in interleavings.orders(STEPS):
        if order.index(0) > order.index(1):
            continue
        graph = MemoryGraph()
        interleavings.play(graph, order, graph.add_fact, graph.state)
        count += 1
    assert count == 11_550 / 2


class Careless(MemoryGraph):
    """A graph that believes a refresh whatever it had read: what a time stamp would do."""

    def _write(self, parameters: dict[str, Any]) -> list[dict[str, Any]]:
        (row,) = parameters["users"]
        self.embedding, self.refreshed_revision, self.stale = (
            row["embedding"],
            self.facts_revision,
            False,
        )
        return [{"written": 1}]


def test_a_careless_protocol_is_found() -> None:
    """The checks can fail: some order shows it."""
    chance, found = random.Random(0), 0
    for _ in range(50):
        order = [program for program, count in enumerate(STEPS) for _ in range(count)]
        chance.shuffle(order)
        graph = Careless()
        try:
            interleavings.play(graph, order, graph.add_fact, graph.state)
        except AssertionError:
            found += 1
    assert found


@pytest.fixture
def graph(settings: Settings) -> Iterator[GraphStore]:
    """A real graph with its schema and a model in service."""
    store = GraphStore(settings)
    migrate(store, settings)
    store.write(
        lambda tx: tx.run(
            "CREATE (:Model {model_version: $v, in_service: true})", v=MODEL
        ).consume()
    )
    yield store
    store.close()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_random_orders_on_neo4j(graph: GraphStore, settings: Settings) -> None:
    """Seeded orders by real transactions, each on a user without events."""
    chance = random.Random(3)
    for number in range(RANDOM_ORDERS):
        order = [program for program, count in enumerate(STEPS) for _ in range(count)]
        chance.shuffle(order)

        def add_fact(name: str, number: int = number) -> None:
            body = {"event_id": f"{number}-{name}", "user_id": USER, "item_id": "item"}
            event = parse_event({**body, "event_type": "view"}, settings)
            entry = Entry("0-1", "event", event.to_json())
            graph.write(lambda tx: write_entries(tx, [entry], settings))

        def state() -> dict[str, Any]:
            rows = graph.read(
                lambda tx: tx.run(
                    "MATCH (u:User {user_id: $user}) RETURN u.facts_revision AS facts, "
                    "u.refreshed_revision AS refreshed, u.stale_since IS NOT NULL AS stale, "
                    "u.embedding AS embedding",
                    user=USER,
                ).data()
            )
            nobody = {"facts": 0, "refreshed": 0, "stale": False, "embedding": None}
            return rows[0] if rows else nobody

        interleavings.play(graph, order, add_fact, state, settings)
        graph.write(
            lambda tx: tx.run(
                "MATCH (u:User {user_id: $user}) DETACH DELETE u", user=USER
            ).consume()
        )
