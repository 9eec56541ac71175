"""The managed Neo4j and Redis are what the design says they are."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import stat
from typing import TYPE_CHECKING

import pytest
from neo4j import GraphDatabase, Query
from neo4j.exceptions import AuthError, ClientError, Neo4jError
from redis import Redis

from cli.local_stack.neo4j_server import NEO4J
from cli.local_stack.paths import StackPaths
from cli.local_stack.ports import free_port
from cli.local_stack.process import BEHIND_REQUESTS, is_running, read_process, stop
from cli.local_stack.redis_server import REDIS, redis_url, start_redis

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from neo4j import Driver

    from tests.conftest import Neo4jServer, RedisServer

LOAD_CSV = "LOAD CSV FROM $url AS line RETURN line"


@pytest.fixture(scope="module")
def managed_driver(managed_neo4j: Neo4jServer) -> Iterator[Driver]:
    """A driver of the managed Neo4j, whatever server the other tests use."""
    auth = (managed_neo4j.user, managed_neo4j.password)
    with GraphDatabase.driver(managed_neo4j.uri, auth=auth, telemetry_disabled=True) as driver:
        yield driver


def test_a_read_cannot_load_a_local_file(managed_driver: Driver, tmp_path: Path) -> None:
    """LOAD CSV refuses a file that exists."""
    secret = tmp_path / "secret.csv"
    secret.write_text("secret\n", encoding="utf-8")
    with pytest.raises(ClientError, match="allow_csv_import_from_file_urls"):
        managed_driver.execute_query(LOAD_CSV, url=secret.as_uri())


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost"])
def test_a_read_cannot_call_an_address(managed_driver: Driver, host: str) -> None:
    """LOAD CSV calls no host, not even this one."""
    with pytest.raises(ClientError, match="blocked"):
        managed_driver.execute_query(LOAD_CSV, url=f"http://{host}:9/x.csv")


def test_the_first_password_is_changed(managed_neo4j: Neo4jServer) -> None:
    """Neo4j refuses the password that every new Neo4j has."""
    with (
        GraphDatabase.driver(managed_neo4j.uri, auth=("neo4j", "neo4j")) as driver,
        pytest.raises(AuthError),
    ):
        driver.verify_connectivity()


def test_a_wrong_password_is_refused(managed_neo4j: Neo4jServer) -> None:
    """Neo4j opens with the stack's own password alone, and not without one."""
    for auth in (("neo4j", managed_neo4j.password + "x"), ("neo4j", ""), None):
        with (
            GraphDatabase.driver(managed_neo4j.uri, auth=auth) as driver,
            pytest.raises((AuthError, ClientError)),
        ):
            driver.execute_query("RETURN 1")


def test_no_query_runs_for_long(managed_driver: Driver) -> None:
    """The running server ends a transaction after a minute; one whose time is up is ended."""
    shown = managed_driver.execute_query("SHOW SETTINGS 'db.transaction.timeout' YIELD value")
    assert shown.records[0]["value"] in {"1m", "60s"}
    endless = Query("UNWIND range(1, 1000000000) AS i RETURN sum(sin(i))", timeout=1.0)
    with managed_driver.session() as session, pytest.raises(Neo4jError) as ended:
        session.run(endless).consume()
    assert "TransactionTimedOut" in str(ended.value.code)


def test_secrets_are_readable_by_their_owner_alone(
    managed_neo4j: Neo4jServer, stack_paths: StackPaths
) -> None:
    """The generated configuration has mode 0600 and its folder 0700."""
    del managed_neo4j
    conf = stack_paths.neo4j_home / "conf" / "neo4j.conf"
    assert stat.S_IMODE(conf.stat().st_mode) == 0o600
    assert stat.S_IMODE(conf.parent.stat().st_mode) == 0o700


@pytest.mark.usefixtures("managed_neo4j", "managed_redis")
def test_neo4j_stands_back_where_cores_are_scarce_and_redis_does_not(
    stack_paths: StackPaths,
) -> None:
    """Lists wait for Redis, none for Neo4j."""
    neo4j, redis_server = (read_process(stack_paths, name) for name in (NEO4J, REDIS))
    assert neo4j is not None
    assert redis_server is not None
    assert os.getpriority(os.PRIO_PROCESS, neo4j.pid) >= BEHIND_REQUESTS
    assert os.getpriority(os.PRIO_PROCESS, redis_server.pid) == os.getpriority(os.PRIO_PROCESS, 0)


def test_servers_listen_on_loopback_alone(
    managed_neo4j: Neo4jServer, managed_redis: RedisServer, stack_paths: StackPaths
) -> None:
    """No port of Neo4j (Bolt, HTTP) or Redis can be reached at another address of this machine."""
    urls = managed_neo4j.uri, managed_redis.broker_url
    ports = [int(url.split(":")[2].split("/")[0]) for url in urls]
    conf = (stack_paths.neo4j_home / "conf" / "neo4j.conf").read_text(encoding="utf-8")
    listening = re.findall(r"^server\.\w+\.listen_address=(.*):(\d+)$", conf, re.MULTILINE)
    assert {host for host, _ in listening} == {"127.0.0.1"}
    for port in {*ports, *(int(port) for _, port in listening)}:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
        for address in {"127.0.0.2", own_address()}:
            with pytest.raises(OSError, match="refused"):
                socket.create_connection((address, port), timeout=5).close()


def own_address() -> str:
    """This machine's address towards others; a loopback one where it has no network."""
    with contextlib.suppress(OSError), socket.socket(type=socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing
        return str(probe.getsockname()[0])
    return "127.0.0.2"


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
def test_redis_is_durable(managed_redis: RedisServer, name: str, value: str) -> None:
    """Redis runs with the setting that the promise of a 202 rests on."""
    with Redis.from_url(managed_redis.url, decode_responses=True) as client:
        assert client.config_get(name) == {name: value}


def test_the_socket_is_redis_too_and_for_its_owner_alone(
    managed_redis: RedisServer, stack_paths: StackPaths
) -> None:
    """The log is reached at a Unix socket, which nobody else may use; it is the port's server."""
    assert managed_redis.url.startswith("unix://")
    with Redis.from_url(managed_redis.url) as near, Redis.from_url(managed_redis.broker_url) as far:
        assert near.info("server")["run_id"] == far.info("server")["run_id"]
    assert (stack_paths.redis_home / "redis.sock").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("folder", "scheme"), [("long" * 25, "redis"), ("a b%41'\"#?&", "unix"), ("killed", "unix")]
)
def test_redis_is_reached_wherever_it_is(folder: str, scheme: str, tmp_path: Path) -> None:
    """At its port where no socket can be, and at its socket whatever the path, or who left one."""
    paths, port = StackPaths(tmp_path / folder), free_port()
    paths.make()
    paths.redis_home.mkdir(exist_ok=True)
    if folder == "killed":
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(paths.redis_home / "redis.sock"))
        assert redis_url(paths.redis_home, port).startswith("redis:")  # nobody answers there
    start_redis(paths, port)
    try:
        url = redis_url(paths.redis_home, port)
        assert url.startswith(f"{scheme}:")
        with Redis.from_url(url) as client:
            assert client.ping()
    finally:
        stop(paths, [REDIS], grace_s=5)


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


def test_another_process_with_the_same_pid_is_not_taken_for_ours(
    managed_redis: RedisServer, stack_paths: StackPaths
) -> None:
    """A pid that now belongs to somebody else counts as dead, so nobody kills a stranger."""
    del managed_redis
    process = read_process(stack_paths, REDIS)
    assert process is not None
    assert process.alive
    assert not type(process)(process.name, process.pid, "another birth").alive
