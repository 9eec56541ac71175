"""A whole local stack of real processes for the tests that need one, shared by a session."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
from neo4j import Driver, GraphDatabase
from redis import Redis

from cli.complete_journey import CompleteJourney, read_complete_journey
from cli.local_stack.paths import StackPaths
from interest_graph.event_stream import EventStream
from interest_graph.settings import Settings, load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HOUSEHOLDS = 60
PURCHASES = 6_000
BATCH = 500
PATIENCE_S = 120.0


def command(data_dir: Path, *arguments: str) -> str:
    """Run `interest-graph` as an operator does; returns what it prints."""
    done = subprocess.run(  # noqa: S603 our own arguments
        [sys.executable, "-m", "cli", *arguments, "--data-dir", str(data_dir)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )
    assert done.returncode == 0, f"{arguments}: {done.stderr}\n{done.stdout}"
    return done.stdout


@dataclass
class RunningService:
    """A running stack with a key for everything."""

    settings: Settings
    paths: StackPaths
    url: str
    session: requests.Session
    driver: Driver
    redis: Redis

    def get(self, path: str, **parameters: Any) -> Any:
        """The JSON of a GET that succeeds."""
        answer = self.session.get(self.url + path, params=parameters, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: Any) -> Any:
        """The JSON of a POST that succeeds."""
        answer = self.session.post(self.url + path, json=body, timeout=30)
        assert answer.status_code in {200, 202}, answer.text
        return answer.json()

    def graph(self, query: str, **parameters: Any) -> list[dict[str, Any]]:
        """Rows of a query that looks into the graph from outside."""
        records = self.driver.execute_query(query, parameters, database_="neo4j").records
        return [record.data() for record in records]

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until something holds."""
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, f"waited {PATIENCE_S:.0f} s for {what}"
            time.sleep(0.1)

    def wait_until_quiet(self) -> None:
        """Wait until the log is empty and nothing is stale."""
        self.wait(lambda: self.log_length() == 0, "the log to be empty")
        self.wait(lambda: self.stale() == 0, "every stale node to be refreshed")

    def log_length(self) -> int:
        """Entries that are not in the graph yet."""
        return EventStream(self.redis, self.settings).length()

    def stale(self) -> int:
        """Users and items that wait for a refresh."""
        query = "MATCH (n) WHERE n.stale_since IS NOT NULL RETURN count(n) AS stale"
        return int(self.graph(query)[0]["stale"])


def small_journey() -> CompleteJourney:
    """A few thousand purchases of some dozen households of The Complete Journey."""
    journey = read_complete_journey()
    users = journey.purchases["user_id"].unique().sort().head(HOUSEHOLDS)
    purchases = journey.purchases.filter(journey.purchases["user_id"].is_in(users.implode()))
    purchases = purchases.tail(PURCHASES)
    items = journey.items.filter(journey.items["item_id"].is_in(purchases["item_id"].implode()))
    return CompleteJourney(items, purchases)


@pytest.fixture(scope="session")
def running_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A stack with real data, loaded through the REST API, and a model trained on it."""
    with run_service(tmp_path_factory.mktemp("stack")) as service:
        yield service


@contextlib.contextmanager
def run_service(data_dir: Path) -> Iterator[RunningService]:
    """Such a stack in a directory, as long as it is needed."""
    try:
        command(data_dir, "up", "--detach")
        scopes = ("events:write", "catalog:write", "read")
        arguments = [part for scope in scopes for part in ("--scope", scope)]
        key = json.loads(command(data_dir, "key", "create", *arguments, "--json"))["key"]
        settings = load_settings(data_dir)
        session = requests.Session()
        session.headers["Authorization"] = f"Bearer {key}"
        auth = (settings.neo4j_user, settings.neo4j_password.get_secret_value())
        driver = GraphDatabase.driver(settings.neo4j_uri, auth=auth)
        redis = Redis.from_url(settings.log_url)
        url = json.loads(command(data_dir, "status", "--json"))["api_url"]
        service = RunningService(settings, StackPaths(data_dir), url, session, driver, redis)
        load(service, small_journey())
        command(data_dir, "train", "--force", "--json")
        service.wait_until_quiet()
        yield service
        driver.close()
        redis.close()
        session.close()
    finally:
        with contextlib.suppress(AssertionError):
            command(data_dir, "down")


def load(service: RunningService, journey: CompleteJourney) -> None:
    """Send items and events as a shop would."""
    items = list(journey.item_bodies())
    for start in range(0, len(items), BATCH):
        service.post("/v1/items", items[start : start + BATCH])
    events = list(journey.event_bodies())
    for start in range(0, len(events), BATCH):
        answer = service.post("/v1/events", events[start : start + BATCH])
        assert answer["accepted"] == len(events[start : start + BATCH]), answer
    service.wait(lambda: service.log_length() == 0, "the log to be empty")
