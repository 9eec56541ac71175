"""`interest-graph flag list` and `clear` on real servers."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from cli.main import app
from interest_graph.cleaning import Flag
from interest_graph.event_stream import EventStream
from interest_graph.history import unpack
from interest_graph.ingest import ingest
from interest_graph.rebuild import ServingRebuild
from interest_graph.redis_client import seen_key, user_key
from tests.integration.log_reading import read_log
from tests.integration.named_servers import name_servers

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis

    from interest_graph.graph.store import GraphStore
    from interest_graph.settings import Settings
    from tests.integration.conftest import MakeEvent, Query

    Run = Callable[..., Any]

NODES = """
MATCH (n:User|Item)
RETURN coalesce(n.user_id, n.item_id) AS id, coalesce(n.event_count, 0) AS events,
  round(coalesce(n.popularity, 0.0), 6) AS popularity,
  n.facts_revision AS facts, n.stale_since IS NULL AS fresh
ORDER BY id"""
DROP = "MATCH (n:User|Item) DETACH DELETE n"


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command, with `--json`."""
    name_servers(settings, monkeypatch)

    def command(*words: str, **options: Any) -> Any:
        done = CliRunner().invoke(app, ["flag", *words, "--json"], **options)
        return json.loads(done.stdout) if done.exit_code == 0 else done.exit_code

    return command


@pytest.fixture
def fill(
    log: redis.Redis,
    events: EventStream,
    settings: Settings,
    graph: GraphStore,
    make_event: MakeEvent,
) -> Callable[..., None]:
    """Accepts the same events under settings of its own, and brings them into the graph."""
    now = time.time()

    def accept(**fields: Any) -> None:
        stream = EventStream(log, settings.model_copy(update=fields))
        stream.accept(
            [
                make_event(f"e-{n}", "u-1", f"item-{n}", "purchase", at=now + n, value=1)
                for n in range(4)
            ]
        )
        for n, user in enumerate(["u-2", "u-2", "u-3"]):
            event = make_event(f"f-{n}", user, "item-0", "purchase", at=now, value=-1)
            stream.accept([event])
        ingest(read_log(events), graph, events, settings)

    return accept


BURST = {"burst_events": 1, "burst_window_s": 10**9}


def test_flags_are_listed_by_user_and_reason(fill: Callable[..., None], run: Run) -> None:
    """The most first, with how many there are of each reason."""
    fill(**BURST)
    found = run("list")
    assert found["reasons"] == {"burst": 3, "value": 3}
    assert [(one["user_id"], one["reason"], one["events"]) for one in found["users"]] == [
        ("u-1", "burst", 3),
        ("u-2", "value", 2),
        ("u-3", "value", 1),
    ]
    assert [
        one["user_id"] for one in run("list", "--reason", "value", "--limit", "1")["users"]
    ] == ["u-2"]


def test_what_is_cleared_is_as_if_it_had_never_been_flagged(
    fill: Callable[..., None],
    run: Run,
    log: redis.Redis,
    graph: GraphStore,
    events: EventStream,
    settings: Settings,
    query: Query,
) -> None:
    """Popularity, revisions, staleness, histories and seen items; a second time nothing is left."""
    fill(**BURST)
    assert run("clear", "u-1", "--yes") == {"cleared": 3, "kept_changing": 0}
    assert run("clear", "u-1", "--yes")["cleared"] == 0
    cleared = query(NODES)
    packed = log.hget(user_key("u-1"), "h")
    assert isinstance(packed, bytes)
    assert [event.event_id for event in unpack(packed)] == ["e-0", "e-1", "e-2", "e-3"]
    assert log.scard(seen_key("u-1")) == 4
    assert not log.exists(seen_key("u-2"))
    assert ServingRebuild(graph, log, events, settings, write=False).run().changed == 0
    assert run("list")["reasons"] == {"value": 3}

    query(DROP)
    log.flushdb()
    fill(burst_events=0)
    assert query(NODES) == cleared


def test_flags_are_cleared_by_reason(fill: Callable[..., None], run: Run, query: Query) -> None:
    """Of everybody, and of no other reason; nothing is cleared that nobody names or confirms."""
    fill(**BURST)
    assert run("clear") == run("clear", "--reason", "rain") == 2
    assert run("clear", "--reason", "value", input="n\n") == 1
    assert run("list")["reasons"] == {"burst": 3, "value": 3}
    assert run("clear", "--reason", Flag.VALUE, "--yes")["cleared"] == 3
    (item,) = [row for row in query(NODES) if row["id"] == "item-0"]
    assert item["events"] == 4
    assert run("list")["reasons"] == {"burst": 3}
