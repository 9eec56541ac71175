"""Fixtures that give tests a real Neo4j and a real Redis, one of each for a session.

They are started with the modules of the local stack, on free ports, with a random password, in a
temporary directory. To use servers that run already, set INTEREST_GRAPH_TEST_NEO4J_URI,
INTEREST_GRAPH_TEST_NEO4J_PASSWORD and INTEREST_GRAPH_TEST_REDIS_URL; everything in them is deleted.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from cli.local_stack.endpoints import choose_endpoints
from cli.local_stack.neo4j_configuration import Neo4jMemory
from cli.local_stack.neo4j_server import NEO4J, start_neo4j
from cli.local_stack.paths import StackPaths
from cli.local_stack.process import stop
from cli.local_stack.redis_server import REDIS, redis_url, start_redis
from interest_graph.settings import Settings
from tests.promises import is_promised
from tests.running_service import running_service  # noqa: F401 a fixture

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from neo4j import Driver

DELETE_EVERYTHING = "MATCH (n) CALL (n) { DETACH DELETE n } IN TRANSACTIONS OF 10000 ROWS"


@dataclass(frozen=True, slots=True)
class Neo4jServer:
    """Where the tests' Neo4j answers."""

    uri: str
    password: str
    user: str = "neo4j"
    database: str = "neo4j"


@dataclass(frozen=True, slots=True)
class RedisServer:
    """Where the tests' Redis answers: database 0 for the log and the state, 1 for the broker."""

    url: str
    broker_url: str


def pytest_configure(config: pytest.Config) -> None:
    """Keep a developer's own settings out of the tests."""
    del config
    for name in [name for name in os.environ if name.startswith("INTEREST_GRAPH_")]:
        if not name.startswith("INTEREST_GRAPH_TEST_"):
            del os.environ[name]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that a promise rests on must not be skipped."""
    report = yield
    if report.skipped and is_promised(report.nodeid):
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid} shows a promise and was skipped: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def stack_paths(tmp_path_factory: pytest.TempPathFactory) -> StackPaths:
    """Directory of the session's servers."""
    paths = StackPaths(tmp_path_factory.mktemp("servers"))
    paths.make()
    return paths


@pytest.fixture(scope="session")
def neo4j_server(request: pytest.FixtureRequest) -> Neo4jServer:
    """A real Neo4j for the whole session: somebody's own, or a managed one."""
    if uri := os.environ.get("INTEREST_GRAPH_TEST_NEO4J_URI"):
        return Neo4jServer(uri, os.environ.get("INTEREST_GRAPH_TEST_NEO4J_PASSWORD", ""))
    server: Neo4jServer = request.getfixturevalue("managed_neo4j")
    return server


@pytest.fixture(scope="session")
def managed_neo4j(stack_paths: StackPaths) -> Iterator[Neo4jServer]:
    """A Neo4j started as the managed stack starts it."""
    endpoints = choose_endpoints(preferred=False)
    start_neo4j(stack_paths, endpoints, Neo4jMemory(heap_mb=768, page_cache_mb=128))
    yield Neo4jServer(endpoints.neo4j_uri, endpoints.neo4j_password)
    # Its data go with the temporary directory, so it need not write them out first.
    stop(stack_paths, [NEO4J], grace_s=0)


@pytest.fixture(scope="session")
def redis_server(request: pytest.FixtureRequest) -> RedisServer:
    """A real Redis for the whole session: somebody's own, or a managed one."""
    if url := os.environ.get("INTEREST_GRAPH_TEST_REDIS_URL"):
        return RedisServer(f"{url}/0", f"{url}/1")
    server: RedisServer = request.getfixturevalue("managed_redis")
    return server


@pytest.fixture(scope="session")
def managed_redis(stack_paths: StackPaths) -> Iterator[RedisServer]:
    """A Redis started as the managed stack starts it, as durable as the one in production."""
    endpoints = choose_endpoints(preferred=False)
    start_redis(stack_paths, endpoints.redis_port)
    log = redis_url(stack_paths.redis_home, endpoints.redis_port)
    yield RedisServer(log, endpoints.broker_url)
    stop(stack_paths, [REDIS], grace_s=5)


@pytest.fixture(scope="session")
def neo4j_driver(neo4j_server: Neo4jServer) -> Iterator[Driver]:
    """A driver of the tests' own, to look into the graph from outside the code under test."""
    from neo4j import GraphDatabase

    auth = (neo4j_server.user, neo4j_server.password)
    with GraphDatabase.driver(neo4j_server.uri, auth=auth, telemetry_disabled=True) as driver:
        yield driver


@pytest.fixture
def empty_graph(neo4j_driver: Driver) -> None:
    """The graph without a node; constraints and indexes stay."""
    with neo4j_driver.session(database="neo4j") as session:
        session.run(DELETE_EVERYTHING).consume()


@pytest.fixture
def empty_redis(redis_server: RedisServer) -> None:
    """Redis without a key, in both databases."""
    from redis import Redis

    with Redis.from_url(redis_server.url) as client:
        client.flushall()


@pytest.fixture
def settings(
    neo4j_server: Neo4jServer,
    redis_server: RedisServer,
    empty_graph: None,
    empty_redis: None,
    tmp_path: Path,
) -> Settings:
    """Settings for the session's servers, which are empty when the test starts."""
    del empty_graph, empty_redis
    return Settings(
        neo4j_uri=neo4j_server.uri,
        neo4j_user=neo4j_server.user,
        neo4j_password=neo4j_server.password,
        neo4j_database=neo4j_server.database,
        log_url=redis_server.url,
        serving_url=redis_server.url,
        broker_url=redis_server.broker_url,
        models_dir=tmp_path / "models",
        device="cpu",
    )
