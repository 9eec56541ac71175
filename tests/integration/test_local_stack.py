"""The managed Neo4j and Redis are what the design says they are."""

from __future__ import annotations

import os
import socket
import stat
from typing import TYPE_CHECKING

import pytest
from neo4j import GraphDatabase
from neo4j.exceptions import AuthError, ClientError
from redis import Redis

from cli.local_stack.paths import StackPaths
from cli.local_stack.ports import free_port
from cli.local_stack.process import is_running, read_process, stop
from cli.local_stack.redis_server import REDIS, start_redis

if TYPE_CHECKING:
    from pathlib import Path

    from neo4j import Driver

    from tests.conftest import Neo4jServer, RedisServer

LOAD_CSV = "LOAD CSV FROM $url AS line RETURN line"
managed = pytest.mark.skipif(
    any(name.startswith("INTEREST_GRAPH_TEST_") for name in os.environ),
    reason="the servers were started by somebody else",
)


@managed
def test_a_read_cannot_load_a_local_file(neo4j_driver: Driver, tmp_path: Path) -> None:
    """LOAD CSV refuses a file that exists."""
    secret = tmp_path / "secret.csv"
    secret.write_text("secret\n", encoding="utf-8")
    with pytest.raises(ClientError, match="allow_csv_import_from_file_urls"):
        neo4j_driver.execute_query(LOAD_CSV, url=secret.as_uri())


@managed
@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost"])
def test_a_read_cannot_call_an_address(neo4j_driver: Driver, host: str) -> None:
    """LOAD CSV calls no host, not even this one."""
    with pytest.raises(ClientError, match="blocked"):
        neo4j_driver.execute_query(LOAD_CSV, url=f"http://{host}:9/x.csv")


@managed
def test_the_first_password_is_changed(neo4j_server: Neo4jServer) -> None:
    """Neo4j refuses the password that every new Neo4j has."""
    with (
        GraphDatabase.driver(neo4j_server.uri, auth=("neo4j", "neo4j")) as driver,
        pytest.raises(AuthError),
    ):
        driver.verify_connectivity()


@managed
def test_secrets_are_readable_by_their_owner_alone(
    neo4j_server: Neo4jServer, stack_paths: StackPaths
) -> None:
    """The generated configuration has mode 0600 and its folder 0700."""
    del neo4j_server
    conf = stack_paths.neo4j_home / "conf" / "neo4j.conf"
    assert stat.S_IMODE(conf.stat().st_mode) == 0o600
    assert stat.S_IMODE(conf.parent.stat().st_mode) == 0o700


@managed
def test_servers_listen_on_loopback_alone(
    neo4j_server: Neo4jServer, redis_server: RedisServer
) -> None:
    """No port of Neo4j or Redis can be reached at another address of this machine."""
    ports = [int(url.split(":")[2].split("/")[0]) for url in (neo4j_server.uri, redis_server.url)]
    for port in ports:
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.2", port), timeout=2).close()


@managed
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("appendonly", "yes"),
        ("appendfsync", "always"),
        ("no-appendfsync-on-rewrite", "no"),
        ("maxmemory-policy", "noeviction"),
        ("set-max-intset-entries", "4096"),
        ("save", ""),
    ],
)
def test_redis_is_durable(redis_server: RedisServer, name: str, value: str) -> None:
    """Redis runs with the setting that the promise of a 202 rests on."""
    with Redis.from_url(redis_server.url, decode_responses=True) as client:
        assert client.config_get(name) == {name: value}


@managed
def test_what_redis_confirmed_survives_its_death(tmp_path: Path) -> None:
    """A write that was answered is there after SIGKILL and a new start."""
    paths, port = StackPaths(tmp_path), free_port()
    paths.make()
    start_redis(paths, port)
    with Redis(port=port) as client:
        client.set("confirmed", "yes")
    stop(paths, [REDIS], grace_s=0)
    assert not is_running(paths, REDIS)
    start_redis(paths, port)
    try:
        with Redis(port=port, decode_responses=True) as client:
            assert client.get("confirmed") == "yes"
    finally:
        stop(paths, [REDIS], grace_s=5)


@managed
def test_another_process_with_the_same_pid_is_not_taken_for_ours(
    redis_server: RedisServer, stack_paths: StackPaths
) -> None:
    """A pid that now belongs to somebody else counts as dead, so nobody kills a stranger."""
    del redis_server
    process = read_process(stack_paths, REDIS)
    assert process is not None
    assert process.alive
    assert not type(process)(process.name, process.pid, "another birth").alive
