"""An ingest worker dies between what it did to an entry and what that means for a history."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import pytest

from interest_graph import redis_client as keys
from interest_graph.dead_letters import DeadLetters
from interest_graph.doubts import Doubts
from interest_graph.rebuild import ServingRebuild
from interest_graph.serving_state import ServingState
from tests.faults.ingest_workers import IngestWorkers
from tests.integration.log_reading import read_log, work_off

if TYPE_CHECKING:
    from pathlib import Path

    import redis

    from interest_graph.event_stream import EventStream
    from interest_graph.graph.store import GraphStore
    from interest_graph.settings import Settings
    from tests.integration.conftest import MakeEvent

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

PATIENCE_S = 120.0


def test_another_worker_puts_right_what_a_killed_one_left(
    events: EventStream,
    graph: GraphStore,
    log: redis.Redis,
    settings: Settings,
    make_event: MakeEvent,
    tmp_path: Path,
) -> None:
    """One history holds what is a dead letter, one misses what was replayed: not for long."""
    short = settings.model_copy(update={"lease_s": 1.0})
    events.accept([make_event("e-1", "u-1", "item-01"), make_event("e-2", "u-2", "item-02")])
    replayed = next(entry for entry in read_log(events) if b"e-2" in entry.payload)
    events.bury(replayed, "because")
    work_off(events, graph, settings)
    ServingRebuild(graph, log, events, settings).users(["u-2"])
    log.delete(keys.event_key("e-1"))
    log.hset(keys.user_key("u-1"), mapping={"h": b"", "n": 0})  # too long ago for the history too
    events.accept([make_event("e-1", "u-1", "item-09")])
    letters = DeadLetters(log, settings)
    letters.replay([letter.letter_id for letter in letters.all()])

    def histories() -> list[list[str]]:
        read = ServingState(log, settings).read
        return [[one.item_id for one in read(user).user.history] for user in ("u-1", "u-2")]

    with IngestWorkers(short, log, tmp_path, 1, "tests.faults.dying_ingest") as workers:
        assert workers.wait_for_end(0) == -signal.SIGKILL, workers.printed()
    assert (events.length(), events.dead_letters()) == (0, 1)
    assert histories() == [["item-09"], []]
    doubts = Doubts(log)
    assert doubts.count() == 2
    with IngestWorkers(short, log, tmp_path, 1, "workers.ingest") as workers:
        deadline = time.monotonic() + PATIENCE_S
        while doubts.count():
            assert time.monotonic() < deadline, workers.printed()
            time.sleep(0.1)
    assert histories() == [["item-01"], ["item-02"]]
    assert ServingRebuild(graph, log, events, settings, write=False).run().changed == 0
