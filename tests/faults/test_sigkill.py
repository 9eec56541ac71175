"""SIGKILL in the middle of a load: nothing lost, nothing doubled, the backlog drains."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cli.local_stack.process import read_process, start, stop
from cli.local_stack.programs import INGEST, REFRESH, programs
from interest_graph.graph import reads
from interest_graph.graph.store import GraphStore
from interest_graph.history import unpack
from interest_graph.redis_client import MANIFEST, ROLL_OUT, user_key
from tests.faults.second_model import copy_model

if TYPE_CHECKING:
    from tests.running_service import RunningService

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(900)]

EVENTS = 20_000
BATCH = 100
USERS = 200
KILLS = (0.2, 0.4, 0.6, 0.8)
DIES_IN_ROLL_OUT = """
import os, signal, sys
from pathlib import Path
from interest_graph.roll_out import roll_out
from interest_graph.services import build_services
from interest_graph.settings import load_settings
from models.item_encoder import ItemEncoder

directory, settings = Path(sys.argv[1]), load_settings(Path(sys.argv[2]))
services, encoder = build_services(settings), ItemEncoder.load(directory)
die = lambda done, total: done == total and os.kill(os.getpid(), signal.SIGKILL)
roll_out(directory, {}, encoder, services.graph, services.serving, settings, die)
"""
"""Everything but the last write, which is the manifest's."""


def made_events(prefix: str) -> list[dict[str, Any]]:
    """Events of some users with items of skewed popularity, seeded."""
    chance = random.Random(5)
    types = ("view", "click", "add_to_cart", "purchase")
    return [
        {
            "event_id": f"{prefix}-{number}",
            "user_id": f"{prefix}-user-{chance.randrange(USERS)}",
            "item_id": f"{prefix}-item-{int(chance.paretovariate(0.8)) % 500}",
            "event_type": chance.choice(types),
        }
        for number in range(EVENTS)
    ]


def kill(service: RunningService, name: str) -> None:
    """SIGKILL a process with everything it started, and start it again."""
    process = read_process(service.paths, name)
    assert process is not None, name
    assert process.alive, name
    stop(service.paths, [name], grace_s=0)
    program = next(p for p in programs(service.paths, service.settings) if p.name == name)
    start(program, service.paths)


def test_killing_workers_loses_and_doubles_nothing(running_service: RunningService) -> None:
    """20,000 events, ingest and update workers killed twice each: every 202 is one fact."""
    service = running_service
    prefix = f"kill-{uuid.uuid4().hex[:6]}"
    events = made_events(prefix)
    sent = 0
    due = list(KILLS)
    victims = [INGEST, REFRESH, INGEST, REFRESH]
    killers: list[threading.Thread] = []
    for begin in range(0, EVENTS, BATCH):
        batch = events[begin : begin + BATCH]
        sent += service.post("/v1/events", batch)["accepted"]
        if due and sent >= due[0] * EVENTS:
            due.pop(0)
            killer = threading.Thread(target=kill, args=(service, victims.pop(0)))
            killer.start()
            killers.append(killer)
        time.sleep(0.005)
    for killer in killers:
        killer.join()
    assert not due
    assert sent == EVENTS
    service.wait_until_quiet()
    check_facts(service, prefix, events)
    check_histories(service, prefix)


def test_workers_finish_the_roll_out_of_a_process_that_was_killed(
    running_service: RunningService,
) -> None:
    """The graph names the new model, the manifest the old one: soon it names the new one too."""
    service = running_service
    old = published(service)
    directory = copy_model(service.settings.models_dir / old)
    died = subprocess.run(  # noqa: S603 our own arguments
        [sys.executable, "-c", DIES_IN_ROLL_OUT, str(directory), str(service.paths.data_dir)],
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )
    assert died.returncode == -signal.SIGKILL
    assert published(service) == old
    assert service.redis.ttl(ROLL_OUT) > 0
    service.redis.delete(ROLL_OUT)  # what its time would do
    service.wait(lambda: published(service) == directory.name, "the roll-out to be finished")
    service.wait_until_quiet()


def published(service: RunningService) -> str:
    """The model that answers come from."""
    return str(service.redis.hget(MANIFEST, "model_version").decode())


def check_facts(service: RunningService, prefix: str, events: list[dict[str, Any]]) -> None:
    """The facts are the events sent, each once; every count and revision says the same."""
    rows = service.graph(
        """MATCH (u:User)-[e]->(i:Item) WHERE e.event_id STARTS WITH $prefix
        RETURN e.event_id AS event_id, u.user_id AS user_id, i.item_id AS item_id""",
        prefix=prefix,
    )
    found = sorted((row["event_id"], row["user_id"], row["item_id"]) for row in rows)
    wanted = sorted((e["event_id"], e["user_id"], e["item_id"]) for e in events)
    assert found == wanted
    counted = service.graph(
        """MATCH (i:Item) WHERE i.item_id STARTS WITH $prefix
        RETURN sum(i.event_count) AS events,
          sum(i.facts_revision) >= sum(i.event_count) AS marked""",
        prefix=prefix,
    )[0]
    assert counted == {"events": EVENTS, "marked": True}
    behind = service.graph(
        """MATCH (n:User|Item) WHERE n.facts_revision <> n.refreshed_revision
        RETURN count(n) AS nodes"""
    )
    assert behind == [{"nodes": 0}]
    assert service.redis.xlen("ig:dead") == 0


def check_histories(service: RunningService, prefix: str) -> None:
    """Every user's history in Redis equals the one in the graph."""
    settings = service.settings
    users = [f"{prefix}-user-{number}" for number in range(USERS)]
    codes = {name: code for code, name in enumerate(settings.relationships)}
    graph = GraphStore(settings)
    in_graph = graph.read(
        lambda tx: reads.fetch_user_events(tx, users, settings.history_events, codes)
    )
    graph.close()
    for user in users:
        assert unpack(service.redis.hget(user_key(user), "h") or b"") == in_graph[user], user
