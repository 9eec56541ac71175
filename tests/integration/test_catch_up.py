"""Neo4j was lost and Redis was not: a restored graph hears what happened since the backup."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from interest_graph import redis_client as keys
from interest_graph.backup import write_backup
from interest_graph.catch_up import CatchUp
from interest_graph.errors import StreamFullError
from interest_graph.item import ItemInput
from interest_graph.rebuild import Rebuilt, ServingRebuild
from interest_graph.restore import restore_backup
from interest_graph.user import UserInput
from tests.conftest import DELETE_EVERYTHING
from tests.integration.log_reading import work_off

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import redis
    from neo4j import Driver

    from interest_graph.documents import Documents
    from interest_graph.event_stream import EventStream
    from interest_graph.graph.store import GraphStore
    from interest_graph.settings import Settings
    from tests.integration.conftest import MakeEvent, Query

STATE = (
    """
    MATCH (i:Item)
    RETURN i.item_id AS item, i.known AS known, i.document AS document,
      i.catalog_revision AS revision
    ORDER BY item""",
    """
    MATCH (u:User) RETURN u.user_id AS user, u.known AS known, u.document AS document
    ORDER BY user""",
    "MATCH (u:ErasedUser) RETURN u.user_id AS user, u.revision AS revision ORDER BY user",
    """
    MATCH (u:User)-[e]->(i:Item) WHERE e.event_id IS NOT NULL
    RETURN u.user_id AS user, i.item_id AS item, properties(e) AS fields
    ORDER BY e.event_id""",
)


@pytest.fixture
def lose_graph(neo4j_driver: Driver) -> Callable[[], None]:
    """Loses Neo4j alone."""

    def run() -> None:
        with neo4j_driver.session(database="neo4j") as session:
            session.run(DELETE_EVERYTHING).consume()

    return run


@pytest.fixture
def rebuild(
    graph: GraphStore, log: redis.Redis, events: EventStream, settings: Settings
) -> Callable[..., Rebuilt]:
    """Rebuilds the serving state, or counts what differs."""

    def run(*, write: bool = True) -> Rebuilt:
        return ServingRebuild(graph, log, events, settings, write=write).run()

    return run


@pytest.fixture
def backup(
    items: Documents,
    users: Documents,
    events: EventStream,
    graph: GraphStore,
    log: redis.Redis,
    settings: Settings,
    make_event: MakeEvent,
    tmp_path: Path,
) -> Path:
    """A backup of a small shop."""
    items.put([ItemInput(item_id=f"item-{n}", title=f"Lampe {n}").document for n in range(4)])
    users.put([UserInput(user_id=f"u-{n}", properties={"age": n}).document for n in range(4)])
    sent = [
        make_event(f"e-{n}", f"u-{n % 6}", f"item-{n % 5}", "purchase", 1_700_000_000 + n)
        for n in range(30)
    ]
    events.accept(sent)
    work_off(events, graph, settings)
    write_backup(tmp_path / "backup", graph, log, events, settings)
    return tmp_path / "backup"


def test_nobody_who_was_erased_since_comes_back(
    backup: Path,
    lose_graph: Callable[[], None],
    rebuild: Callable[..., Rebuilt],
    graph: GraphStore,
    log: redis.Redis,
    events: EventStream,
    items: Documents,
    users: Documents,
    settings: Settings,
    query: Query,
) -> None:
    """Nor an item that was deleted; what was hidden or described anew is. Twice is once."""
    users.delete("u-0")  # described, with events
    users.delete("u-5")  # known by events alone
    users.delete("u-1")
    users.put([UserInput(user_id="u-1", properties={"again": True}).document])
    users.put([UserInput(user_id="u-3", properties={"age": 99}).document])
    items.delete("item-1")
    items.put([ItemInput(item_id="item-2", hidden=True).document])
    items.put([ItemInput(item_id="item-9", title="New").document])
    work_off(events, graph, settings)
    before = [query(text) for text in STATE]
    seen = {key: log.smembers(key) for key in log.scan_iter("ig:seen:*")}
    lose_graph()
    for _ in range(2):
        restore_backup(backup, graph, log, settings)
        for _ in range(2):
            assert (rebuild(write=False).newer, events.length()) == (7, 0)
        assert (rebuild().newer, events.length()) == (7, 7)
        assert {key: log.smembers(key) for key in log.scan_iter("ig:seen:*")} == seen
        restore_backup(backup, graph, log, settings)
        assert (rebuild().changed, events.length()) == (0, 7), "they wait already"
        work_off(events, graph, settings)
        assert [query(text) for text in STATE] == before
        assert (rebuild().changed, events.length(), events.dead_letters()) == (0, 0, 0)
        lose_graph()


def test_it_waits_for_room_in_the_log(
    lose_graph: Callable[[], None],
    graph: GraphStore,
    log: redis.Redis,
    events: EventStream,
    items: Documents,
    settings: Settings,
    query: Query,
) -> None:
    """Beyond the log's bound nothing is appended; repeated, it goes on from there."""
    items.put([ItemInput(item_id=f"item-{n}").document for n in range(200)])
    work_off(events, graph, settings)
    lose_graph()
    narrow = settings.model_copy(update={"max_log_entries": 100})
    refused = 0
    while len(query(STATE[0])) < 200:
        try:
            CatchUp(graph, log, events, narrow).run()
        except StreamFullError:
            refused += 1
        assert 0 < events.length() <= 100
        work_off(events, graph, settings)
    assert refused


def test_a_dead_letter_stays_one(
    lose_graph: Callable[[], None],
    graph: GraphStore,
    log: redis.Redis,
    events: EventStream,
    items: Documents,
    settings: Settings,
) -> None:
    """What could never be written is not tried again by every rebuild."""
    items.put([ItemInput(item_id="item-1").document])
    (entry,) = events.entries()
    events.bury(entry, "because")
    assert CatchUp(graph, log, events, settings).run() == 0
    log.delete(keys.DEAD_LETTERS)
    assert CatchUp(graph, log, events, settings).run() == 1
    assert [one.payload for one in events.entries()] == [entry.payload]
