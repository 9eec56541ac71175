"""Brings a local stack up and down: servers first, then the processes that use them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from typing import TYPE_CHECKING

from interest_graph.settings import load_settings

from .endpoints import settle_endpoints
from .errors import LocalStackError
from .neo4j_server import NEO4J, start_neo4j
from .ports import answers, port_choice
from .process import POLL_S, is_running, last_lines, start, started, stop
from .programs import API, INGEST, REFRESH, TRAINING, ingest_names, programs
from .redis_server import REDIS, redis_url, start_redis
from .report import Report, silent
from .settings_file import PREFIX, write_settings_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from interest_graph.settings import Settings

    from .endpoints import Endpoints
    from .neo4j_configuration import Neo4jMemory
    from .paths import StackPaths

STARTING = "Starting the API and the workers"
STOPPING = "Stopping"
API_TIMEOUT_S = 90.0
USUAL_START_S = 8
EXTERNAL_REDIS = ("LOG_URL", "SERVING_URL", "BROKER_URL")


def own_neo4j() -> bool:
    """Whether the environment names a Neo4j, so that none is managed."""
    return f"{PREFIX}NEO4J_URI" in os.environ


def own_redis() -> bool:
    """Whether the environment names a Redis for every role, so that none is managed.

    Raises:
        LocalStackError: It names one for some roles only.
    """
    named = [f"{PREFIX}{name}" for name in EXTERNAL_REDIS if f"{PREFIX}{name}" in os.environ]
    if named and len(named) < len(EXTERNAL_REDIS):
        missing = {f"{PREFIX}{name}" for name in EXTERNAL_REDIS} - set(named)
        msg = f"{', '.join(named)} is set, but not {', '.join(sorted(missing))}"
        raise LocalStackError(msg, "set all three (they may be equal), or none")
    return bool(named)


def bring_up(
    paths: StackPaths, report: Report = silent, memory: Neo4jMemory | None = None
) -> Settings:
    """Start everything that does not run yet: servers, schema, workers, API.

    Raises:
        LocalStackError: Something cannot be had or did not come up; the remedy says what to do.
    """
    paths.make()
    with _one_at_a_time(paths), port_choice():
        settings = _start_servers(paths, report, memory)
        _apply_schema(settings)
        _start_processes(paths, settings, report)
    return settings


def _start_servers(paths: StackPaths, report: Report, memory: Neo4jMemory | None) -> Settings:
    """Start the managed servers that do not run yet and write the settings that lead to them."""
    endpoints = settle_endpoints(paths, _ports_in_use(paths))
    if not own_redis():
        start_redis(paths, endpoints.redis_port, report)
    if not own_neo4j():
        start_neo4j(paths, endpoints, memory, report)
    write_settings_file(paths, _settings_of(paths, endpoints))
    return load_settings(paths.data_dir)


def _apply_schema(settings: Settings) -> None:
    """Make sure that constraints and indexes exist before anything is written."""
    from interest_graph.graph.schema import migrate
    from interest_graph.graph.store import GraphStore

    with contextlib.closing(GraphStore(settings)) as graph:
        migrate(graph, settings)


def _start_processes(paths: StackPaths, settings: Settings, report: Report) -> None:
    """Start the workers and the API that do not run yet, and wait until the API answers."""
    wanted = programs(paths, settings)
    if not any(is_running(paths, program.name) for program in wanted):
        # Values of processes that are gone would be added to those of the new ones.
        for left in paths.metrics.glob("*.db"):
            left.unlink(missing_ok=True)
    for program in wanted:
        if not is_running(paths, program.name):
            start(program, paths)
    began = time.monotonic()
    while not answers(settings.api_port):
        waited = time.monotonic() - began
        report(STARTING, min(int(waited * 10), USUAL_START_S * 10 - 1), USUAL_START_S * 10)
        _check_alive(paths, settings, waited)
        time.sleep(POLL_S)
    report(STARTING, USUAL_START_S * 10, USUAL_START_S * 10)


def bring_down(paths: StackPaths, report: Report = silent) -> list[str]:
    """Stop everything in order.

    Returns:
        The names of processes that did not end by themselves and were killed.
    """
    killed: list[str] = []
    if not paths.run.exists():
        return killed
    with _one_at_a_time(paths):
        order = _stop_order(paths)
        for done, (names, grace_s) in enumerate(order):
            report(STOPPING, done, len(order))
            killed += stop(paths, names, grace_s)
    report(STOPPING, len(order), len(order))
    return killed


def _stop_order(paths: StackPaths) -> list[tuple[tuple[str, ...], float]]:
    """What to stop, with the seconds it has to end by itself.

    Nothing new is accepted, then what is under way is finished, then the servers go. All ingest
    workers that were started, however many the settings say by now.
    """
    ingest = [name for name in started(paths) if name.startswith(INGEST)]
    workers = (*ingest, REFRESH, TRAINING)
    return [((API,), 15.0), (workers, 40.0), ((REDIS,), 30.0), ((NEO4J,), 90.0)]


def _check_alive(paths: StackPaths, settings: Settings, waited: float) -> None:
    """Say which process ended, and why, instead of waiting for it."""
    for name in (API, *ingest_names(settings)):
        if not is_running(paths, name):
            msg = f"{name} ended while starting:\n{last_lines(paths, name)}"
            raise LocalStackError(msg, f"read {paths.log_of(name)}")
    if waited > API_TIMEOUT_S:
        msg = f"the API did not answer at port {settings.api_port} in {API_TIMEOUT_S:.0f} s"
        raise LocalStackError(msg, f"read {paths.log_of(API)}")


def _settings_of(paths: StackPaths, endpoints: Endpoints) -> dict[str, object]:
    """Settings for this stack; what the environment names is kept for later commands."""
    log = redis_url(paths.redis_home, endpoints.redis_port)
    values: dict[str, object] = {
        "neo4j_uri": endpoints.neo4j_uri,
        "neo4j_user": "neo4j",
        "neo4j_password": endpoints.neo4j_password,
        "log_url": log,
        "serving_url": log,
        "broker_url": endpoints.broker_url,
        "models_dir": paths.models,
        "metrics_dir": paths.metrics,
        "api_host": "127.0.0.1",
        "api_port": endpoints.api_port,
    }
    kept = ("ingest_workers", "log_partitions")
    for name in (*values, *kept):
        if named := os.environ.get(f"{PREFIX}{name.upper()}"):
            values[name] = named
    if own_neo4j():
        values["neo4j_password"] = os.environ.get(f"{PREFIX}NEO4J_PASSWORD", "")
    return values


def _ports_in_use(paths: StackPaths) -> set[str]:
    """Ports that belong to processes of this stack which run already."""
    users = {"bolt_port": NEO4J, "browser_port": NEO4J, "redis_port": REDIS, "api_port": API}
    return {port for port, name in users.items() if is_running(paths, name)}


@contextlib.contextmanager
def _one_at_a_time(paths: StackPaths) -> Iterator[None]:
    """Let one command at a time start or stop servers of this stack."""
    paths.run.mkdir(parents=True, exist_ok=True)
    with (paths.run / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
