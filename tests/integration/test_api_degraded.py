"""The API while Redis or Neo4j is away: degraded, not down."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest
from redis import Redis

from api.app import create_app
from cli.local_stack.paths import StackPaths
from cli.local_stack.ports import free_port
from cli.local_stack.process import read_process, stop
from cli.local_stack.redis_server import REDIS, start_redis
from interest_graph.api_key import ApiKeyStore
from interest_graph.graph.store import GraphStore
from interest_graph.services import build_services
from interest_graph.serving_state import ServingState
from interest_graph.settings import Settings
from tests.integration.test_api_lists import VERSION, publish

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flask.testing import FlaskClient

EVENT = {"user_id": "u", "item_id": "item-3", "event_type": "view"}
LIST = "/v1/users/u/recommendations"


@pytest.fixture
def paths(tmp_path: Path) -> Iterator[StackPaths]:
    made = StackPaths(tmp_path / "stack")
    made.make()
    yield made
    stop(made, [REDIS], grace_s=5)


@pytest.fixture
def port(paths: StackPaths) -> int:
    """Port of a Redis of the test's own, which it may kill."""
    chosen = free_port()
    start_redis(paths, chosen)
    return chosen


@pytest.fixture
def client(port: int, tmp_path: Path) -> Iterator[FlaskClient]:
    url = f"redis://127.0.0.1:{port}/0"
    settings = Settings(
        neo4j_uri=f"bolt://127.0.0.1:{free_port()}",
        log_url=url,
        serving_url=url,
        models_dir=tmp_path / "models",
        redis_timeout_s=0.2,
    )
    services = build_services(settings)
    ids = publish(settings.models_dir / VERSION)
    services.serving.roll_out(VERSION)
    services.items.put([{"item_id": item_id} for item_id in ids])
    made = create_app(services).test_client()
    key = ApiKeyStore(services.log).create(["admin"])
    made.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key}"
    yield made
    services.close()


def test_neo4j_away_is_told_at_once(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the graph interests are a 503 before any transaction is tried; the rest goes on."""

    def never(*_: object) -> None:
        pytest.fail("tried a transaction, which retries for seconds")

    monkeypatch.setattr(GraphStore, "read", never)
    answer = client.get("/v1/users/u/interests")
    assert (answer.status_code, answer.json["code"]) == (503, "graph_unavailable")
    assert client.post("/v1/events", json=EVENT).status_code == 202
    assert client.get(LIST).json["degraded"] == []


def test_redis_away_degrades_lists_and_refuses_events(
    client: FlaskClient, paths: StackPaths, port: int
) -> None:
    """Lists go on from memory, marked; events and writes are 503; all is well when it is back."""
    assert client.post("/v1/events", json=EVENT).status_code == 202
    assert client.get(LIST).json["degraded"] == []
    stop(paths, [REDIS], grace_s=0)
    degraded = client.get(LIST)
    assert degraded.status_code == 200
    assert degraded.json["degraded"] == ["serving_state"]
    assert degraded.json["items"]
    refused = client.post("/v1/events", json=EVENT)
    assert (refused.status_code, refused.json["code"]) == (503, "log_unavailable")
    assert "Retry-After" in refused.headers
    assert client.post("/v1/items", json={"item_id": "new"}).status_code == 503
    ready = client.get("/v1/health/ready?for=events")
    assert [fault["field"] for fault in ready.json["errors"]] == ["log"]
    assert client.get("/v1/health/live").status_code == 200
    assert client.get("/metrics").status_code == 200
    start_redis(paths, port)
    assert client.post("/v1/events", json=EVENT).status_code == 202
    assert client.get(LIST).json["degraded"] == []


def test_a_frozen_redis_is_left_alone_for_a_while(
    client: FlaskClient, paths: StackPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After one request has waited for it the next ones do not, and soon lists are whole again."""
    process = read_process(paths, REDIS)
    assert process
    assert client.get(LIST).json["degraded"] == []
    os.kill(process.pid, signal.SIGSTOP)
    try:
        assert client.get(LIST).json["degraded"] == ["serving_state"]
        with monkeypatch.context() as patched:
            patched.setattr(ServingState, "read", lambda *_: pytest.fail("waits again"))
            assert client.get(LIST).json["degraded"] == ["serving_state"]
    finally:
        os.kill(process.pid, signal.SIGCONT)
    deadline = time.monotonic() + 10
    while client.get(LIST).json["degraded"] and time.monotonic() < deadline:
        time.sleep(0.05)
    assert client.get(LIST).json["degraded"] == []


def test_a_redis_that_takes_no_writes_refuses_events(client: FlaskClient, port: int) -> None:
    """One that misses its replicas, or cannot save, is no fault of ours: 503, nothing accepted."""
    with Redis(port=port) as server:
        server.config_set("min-replicas-to-write", 1)
        for path, body in (("/v1/events", EVENT), ("/v1/items", {"item_id": "new"})):
            refused = client.post(path, json=body)
            assert (refused.status_code, refused.json["code"]) == (503, "log_unavailable")
            assert "Retry-After" in refused.headers
        assert client.get(LIST).json["degraded"] == []
        server.config_set("min-replicas-to-write", 0)
    assert client.get("/v1/items/new").status_code == 404
    assert client.post("/v1/events", json=EVENT).json["accepted"] == 1
