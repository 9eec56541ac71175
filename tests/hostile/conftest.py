"""A small shop on servers that hostile tests may fill: a Redis of its own, the session's Neo4j."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cli.local_stack.paths import StackPaths
from cli.local_stack.ports import answers, free_port
from cli.local_stack.process import read_process, start, stop
from cli.local_stack.programs import API, HEADER_TIMEOUT_MS, programs
from cli.local_stack.redis_server import REDIS, start_redis
from cli.local_stack.settings_file import write_settings_file
from interest_graph.api_key import SCOPES, ApiKeyStore
from interest_graph.graph.schema import migrate
from interest_graph.services import Services, build_services
from interest_graph.settings import Settings
from tests.conftest import DELETE_EVERYTHING
from tests.hostile.raw_client import RawAnswer, head, send
from tests.integration.shop import Shop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from neo4j import Driver

    from tests.conftest import Neo4jServer


@dataclass(frozen=True, slots=True)
class HostileShop:
    """A shop with a model, a catalogue and a key of each scope, which tests share and abuse.

    Args:
        services: Its core.
        paths: Where its processes keep their logs.
        keys: A token of each scope.
    """

    services: Services
    paths: StackPaths
    keys: dict[str, str]

    @property
    def settings(self) -> Settings:
        """What every process of it is started with."""
        return self.services.settings


@pytest.fixture(scope="module")
def hostile_paths(tmp_path_factory: pytest.TempPathFactory) -> StackPaths:
    """Directory of the module's servers."""
    paths = StackPaths(tmp_path_factory.mktemp("hostile"))
    paths.make()
    return paths


@pytest.fixture(scope="module")
def hostile_shop(
    neo4j_server: Neo4jServer, neo4j_driver: Driver, hostile_paths: StackPaths
) -> Iterator[HostileShop]:
    """The shop, on an empty Redis that only this module uses, and an empty graph."""
    with neo4j_driver.session(database="neo4j") as session:
        session.run(DELETE_EVERYTHING).consume()
    port = free_port()
    start_redis(hostile_paths, port)
    settings = Settings(
        neo4j_uri=neo4j_server.uri,
        neo4j_user=neo4j_server.user,
        neo4j_password=neo4j_server.password,  # type: ignore[arg-type] # pydantic wraps it
        neo4j_database=neo4j_server.database,
        log_url=f"redis://127.0.0.1:{port}/0",
        serving_url=f"redis://127.0.0.1:{port}/0",
        broker_url=f"redis://127.0.0.1:{port}/1",
        models_dir=hostile_paths.models,
        api_port=free_port(),
        api_workers=2,
        device="cpu",
    )
    services = build_services(settings)
    migrate(services.graph, settings)
    shop = Shop(settings, services.log)
    shop.publish()
    shop.stock()
    shop.users.put([{"user_id": "u-1", "categories": [["Home"]]}])
    keys = ApiKeyStore(services.log)
    yield HostileShop(services, hostile_paths, {scope: keys.create([scope]) for scope in SCOPES})
    services.close()
    stop(hostile_paths, [REDIS], grace_s=5)


@dataclass(frozen=True, slots=True)
class ApiProcesses:
    """Real API processes, as a stack starts them.

    Args:
        shop: What they serve.
        port: Where they answer.
        workers: Their process ids.
    """

    shop: HostileShop
    port: int
    workers: tuple[int, ...]

    def send(self, raw: bytes) -> RawAnswer:
        """Send bytes on a connection of their own."""
        return send(self.port, raw)

    def memory_mb(self) -> list[float]:
        """What each process holds now."""
        return [_status_mb(pid, "VmRSS") for pid in self.workers]

    def peak_mb(self) -> list[float]:
        """The most that each process ever held."""
        return [_status_mb(pid, "VmHWM") for pid in self.workers]

    def log(self) -> str:
        """What they logged."""
        return self.shop.paths.log_of(API).read_text(encoding="utf-8")

    def assert_alive(self) -> None:
        """None of them has died, nor been replaced."""
        assert _children(self.shop.paths) == self.workers


@pytest.fixture(scope="module")
def api_processes(hostile_shop: HostileShop) -> Iterator[ApiProcesses]:
    """Two API processes that wait two seconds for a header or a body, and not twenty."""
    paths, settings = hostile_shop.paths, hostile_shop.settings
    written = settings.model_dump(mode="json", exclude={"event_types", "seen_event_types"})
    password = settings.neo4j_password.get_secret_value()
    written |= {"neo4j_password": password, "metrics_dir": paths.metrics, "body_timeout_s": 2}
    write_settings_file(paths, written)
    program = next(one for one in programs(paths, settings) if one.name == API)
    command = tuple("2000" if part == HEADER_TIMEOUT_MS else part for part in program.command)
    assert command != program.command
    start(replace(program, command=command), paths)
    port = settings.api_port
    deadline = time.monotonic() + 120
    while not answers(port) or len(_children(paths)) < settings.api_workers:
        assert time.monotonic() < deadline, paths.log_of(API).read_text(encoding="utf-8")
        time.sleep(0.1)
    made = ApiProcesses(hostile_shop, port, _children(paths))
    for _ in range(50):  # each has loaded what it needs
        made.send(head("GET", "/v1/users/u-1/recommendations", hostile_shop.keys["read"]))
    yield made
    stop(paths, [API], grace_s=15)


def _children(paths: StackPaths) -> tuple[int, ...]:
    """The processes that granian started and that answer requests."""
    process = read_process(paths, API)
    assert process is not None
    found = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii")
    children = sorted(int(pid) for pid in found.split())
    return tuple(pid for pid in children if b"resource_tracker" not in _command_line(pid))


def _command_line(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def _status_mb(pid: int, field: str) -> float:
    """A figure of a process's memory in MiB."""
    text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    line = next(line for line in text.splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1]) / 1024
