"""Three ingest workers, killed and frozen: what concerns one id is written in its order."""

from __future__ import annotations

import random
import threading
import time
from typing import TYPE_CHECKING

import pytest

from interest_graph.doubts import Doubts
from interest_graph.entry import place_of
from interest_graph.rebuild import ServingRebuild
from tests.faults.checks import check_documents
from tests.faults.ingest_workers import IngestWorkers
from tests.integration.log_reading import read_log, work_off

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import redis

    from interest_graph.documents import Documents
    from interest_graph.event_stream import EventStream
    from interest_graph.graph.store import GraphStore
    from interest_graph.settings import Settings
    from tests.integration.conftest import MakeEvent, Query

pytestmark = [pytest.mark.slow, pytest.mark.timeout(560)]

WORKERS, LEASE_S, FREEZE_S = 3, 1.0, 2.5
ITEMS, USERS, ROUNDS = 10, 12, 250
PATIENCE_S = 120.0


@pytest.fixture
def recorded(query: Query) -> Iterator[None]:
    """One list for each id."""
    query("CREATE CONSTRAINT recorded IF NOT EXISTS FOR (r:Recorded) REQUIRE r.id IS UNIQUE")
    yield
    query("DROP CONSTRAINT recorded")


class Load:
    """A shop that never rests: everything it sends is about the same few items and users."""

    def __init__(
        self, items: Documents, users: Documents, events: EventStream, make_event: MakeEvent
    ) -> None:
        self._items, self._users, self._events, self._make = items, users, events, make_event
        self.rounds = 0

    def run(self, going: threading.Event) -> None:
        """Send while others work, and all rounds in any case."""
        chance = random.Random(4)
        while self.rounds < ROUNDS or going.is_set():
            self._round(chance, self.rounds)
            self.rounds += 1
            time.sleep(0.02)

    def _round(self, chance: random.Random, number: int) -> None:
        """Every item described anew; a user created or deleted; events in between."""
        self._items.put([{"item_id": f"i-{n}", "title": f"{number} {n}"} for n in range(ITEMS)])
        user = f"u-{chance.randrange(USERS)}"
        self._users.put([{"user_id": user, "properties": {"round": number}}])
        self._send(user, number)
        if number % 3 == 0:
            self._users.delete(user)
            self._users.put([{"user_id": user, "properties": {"again": number}}])
            self._send(user, number + 1_000_000)
        if number % 7 == 0:
            self._items.delete(f"i-{chance.randrange(ITEMS)}")

    def _send(self, user: str, number: int) -> None:
        """Events of a user with hot items, later than any deletion so far."""
        soon = time.time() + 60
        self._events.accept(
            [self._make(f"e-{number}-{n}", user, f"i-{n}", at=soon) for n in range(4)]
        )


def test_every_id_keeps_its_order(
    items: Documents,
    users: Documents,
    events: EventStream,
    graph: GraphStore,
    log: redis.Redis,
    settings: Settings,
    make_event: MakeEvent,
    query: Query,
    recorded: None,
    tmp_path: Path,
) -> None:
    """Each entry is written for the first time after all that were accepted before it for its id.

    At the end the graph says of every item and user what Redis says, in which all is one step.
    """
    del recorded
    short = settings.model_copy(update={"lease_s": LEASE_S, "ingest_batch": 50})
    load, going, chance = (
        Load(items, users, events, make_event),
        threading.Event(),
        random.Random(2),
    )
    going.set()
    sender = threading.Thread(target=load.run, args=(going,))
    module = "tests.faults.recording_ingest"
    with IngestWorkers(short, log, tmp_path, WORKERS, module) as workers:
        workers.wait_until_all_work()
        sender.start()
        try:
            for fault in ("freeze", "kill", "freeze", "stop", "freeze"):
                place = chance.randrange(WORKERS)
                time.sleep(chance.uniform(0.2, 1.0))
                if fault == "freeze":
                    workers.freeze(place, FREEZE_S)
                else:
                    getattr(workers, fault)(place)
                workers.wait_until_all_work()
        finally:
            going.clear()
            sender.join(300)
        wait_until_empty(events, Doubts(log), workers)
    check_order(query)
    assert ServingRebuild(graph, log, events, settings, write=False).run().changed == 0
    check_documents(log, query)
    assert events.dead_letters() == 0
    (moves,) = query("MATCH (p:Partition) RETURN sum(p.fence) AS fences")
    assert moves["fences"] > 2 * settings.log_partitions, "partitions did not change hands"


def test_a_document_that_was_lost_is_found(
    items: Documents,
    users: Documents,
    events: EventStream,
    graph: GraphStore,
    log: redis.Redis,
    settings: Settings,
    query: Query,
) -> None:
    """The check at the end can fail: of an item, of a user, and of one the graph never had."""
    for lost in ({"item_id": "i"}, {"user_id": "u"}, {"item_id": "new"}):
        items.put([{"item_id": "i"}])
        users.put([{"user_id": "u"}])
        work_off(events, graph, settings)
        check_documents(log, query)
        (items if "item_id" in lost else users).put([{**lost, "properties": {"again": 1}}])
        waiting = read_log(events)
        events.acknowledge(waiting)
        with pytest.raises(AssertionError, match="documents differ: 1"):
            check_documents(log, query)
        log.flushdb()
        query("MATCH (n) DETACH DELETE n")


def wait_until_empty(events: EventStream, doubts: Doubts, workers: IngestWorkers) -> None:
    """Wait until all that was accepted is in the graph, and nobody is in doubt."""
    deadline = time.monotonic() + PATIENCE_S
    while events.length() or doubts.count():
        assert time.monotonic() < deadline, (events.lengths(), workers.printed())
        time.sleep(0.2)


def check_order(query: Query) -> None:
    """The first writes of the entries of each id are in the order in which they were accepted."""
    rows = query("MATCH (r:Recorded) RETURN r.id AS id, r.entries AS entries")
    assert len(rows) == ITEMS + USERS
    assert sum(len(set(row["entries"])) for row in rows) > ROUNDS * ITEMS
    for row in rows:
        first = [place_of(entry) for entry in dict.fromkeys(row["entries"])]
        assert first == sorted(first), row["id"]
