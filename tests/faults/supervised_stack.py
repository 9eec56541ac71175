"""A running stack behind faulty proxies, whose processes are started again when they die."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Self

import psutil

from cli.local_stack.endpoints import settle_endpoints
from cli.local_stack.neo4j_configuration import Neo4jMemory
from cli.local_stack.neo4j_server import NEO4J, start_neo4j
from cli.local_stack.process import is_running, read_process, start, stop
from cli.local_stack.programs import API, INGEST, REFRESH, programs
from cli.local_stack.redis_server import REDIS, start_redis
from cli.local_stack.stack import bring_up
from tests.faults.faults import SECOND_INGEST
from tests.faults.planted import BUGS
from tests.faults.proxy import FaultyProxy

if TYPE_CHECKING:
    from collections.abc import Callable

    from cli.local_stack.process import Program
    from tests.running_service import RunningService

SECOND_REFRESH = f"{REFRESH}-2"
OURS = (INGEST, SECOND_INGEST, REFRESH, SECOND_REFRESH, API)
LEASE_S = 5.0  # shorter than workers are frozen for
POLL_S = 0.3
API_PROCESSES = 2


class SupervisedStack:
    """The stack of a running service, with a supervisor; afterwards all is as it was.

    The API reaches Redis, and the workers reach Redis and Neo4j, by a proxy each.

    Args:
        service: Whose stack it is.
        bug: One of `tests.faults.planted`, to see that it is found.
    """

    def __init__(self, service: RunningService, bug: str | None = None) -> None:
        self.service, self._bug = service, bug
        self._paths = service.paths
        used = {"bolt_port", "browser_port", "redis_port", "api_port"}
        self._endpoints = settle_endpoints(service.paths, used)
        self.proxies = {
            "API-Redis": FaultyProxy("API-Redis", self._endpoints.redis_port),
            "worker-Redis": FaultyProxy("worker-Redis", self._endpoints.redis_port),
            "worker-Neo4j": FaultyProxy("worker-Neo4j", self._endpoints.bolt_port),
        }
        self._stopping = threading.Event()
        self._supervisors: list[threading.Thread] = []
        self.restarts: list[tuple[float, str]] = []
        self.errors: list[str] = []
        self._killed_at: dict[str, float] = {}

    def __enter__(self) -> Self:
        """Put the proxies in between and supervise."""
        self._open = contextlib.ExitStack()
        for proxy in self.proxies.values():
            self._open.enter_context(proxy)
        stop(self._paths, OURS, grace_s=20)
        known = {program.name: program for program in self._programs()}
        for name in OURS:
            start(known[name], self._paths)
        starters: dict[str, Callable[[], object]] = {
            name: lambda program=program: start(program, self._paths)  # type: ignore[misc]
            for name, program in known.items()
            if name in OURS
        }
        starters[REDIS] = lambda: start_redis(self._paths, self._endpoints.redis_port)
        memory = Neo4jMemory()
        starters[NEO4J] = lambda: start_neo4j(self._paths, self._endpoints, memory)
        for name, starter in starters.items():
            thread = threading.Thread(target=self._supervise, args=(name, starter), daemon=True)
            thread.start()
            self._supervisors.append(thread)
        return self

    def __exit__(self, *_: object) -> None:
        """Start the processes again without proxies, under nobody's eye."""
        self._stopping.set()
        for thread in self._supervisors:
            thread.join(120)
        for proxy in self.proxies.values():
            proxy.heal()
        stop(self._paths, OURS, grace_s=20)
        self._open.close()
        bring_up(self._paths)

    def pid(self, name: str, *, child: bool = False) -> int | None:
        """A process, or the newest of its children; None when there is none now."""
        process = read_process(self._paths, name)
        if process is None or not process.alive:
            return None
        if not child:
            return process.pid
        with contextlib.suppress(psutil.Error):
            children = psutil.Process(process.pid).children(recursive=True)
            working = [one.pid for one in children if "resource_tracker" not in str(one.cmdline())]
            return max(working, default=None)
        return None

    def kill(self, name: str, *, child: bool = False) -> bool:
        """SIGKILL a process, or the newest of its children; whether there was one."""
        if (pid := self.pid(name, child=child)) is None:
            return False
        self._killed_at[name] = time.monotonic()
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True

    def all_run(self) -> bool:
        """Whether every process is there."""
        return all(is_running(self._paths, name) for name in (*OURS, REDIS, NEO4J))

    def _programs(self) -> list[Program]:
        """The service's processes, led through the proxies."""
        links = {name: f"127.0.0.1:{proxy.port}" for name, proxy in self.proxies.items()}

        def redis(link: str) -> dict[str, str]:
            return {
                "INTEREST_GRAPH_LOG_URL": f"redis://{links[link]}/0",
                "INTEREST_GRAPH_SERVING_URL": f"redis://{links[link]}/0",
                "INTEREST_GRAPH_BROKER_URL": f"redis://{links[link]}/1",
            }

        workers = redis("worker-Redis") | {
            "INTEREST_GRAPH_NEO4J_URI": f"bolt://{links['worker-Neo4j']}",
            "INTEREST_GRAPH_LEASE_S": str(LEASE_S),
        }
        extra = {API: redis("API-Redis"), **dict.fromkeys(OURS[:-1], workers)}
        settings = self.service.settings.model_copy(
            update={"api_workers": API_PROCESSES, "ingest_workers": 2}
        )
        found = programs(self._paths, settings)
        second = next(replace(one, name=SECOND_REFRESH) for one in found if one.name == REFRESH)
        named = (*second.command[:-1], f"{SECOND_REFRESH}@%h")
        return [
            self._with_bug(
                replace(program, environment={**program.environment, **extra[program.name]})
            )
            for program in (*found, replace(second, command=named))
            if program.name in OURS
        ]

    def _with_bug(self, program: Program) -> Program:
        """The program, started through what plants the bug if it is to have it."""
        if self._bug is None or BUGS[self._bug][0] != program.name.removesuffix("-2"):
            return program
        python, module, *arguments = program.command
        planted = (python, module, "tests.faults.planted", self._bug, *arguments)
        return replace(program, command=planted)

    def _supervise(self, name: str, starter: Callable[[], object]) -> None:
        """Start a process whenever it is not there."""
        while not self._stopping.wait(POLL_S):
            if is_running(self._paths, name):
                continue
            self.restarts.append((time.time(), name))
            began = time.monotonic()
            try:
                starter()
            except Exception as error:  # noqa: BLE001 the test reports it; the next round tries again
                if self._killed_at.get(name, 0.0) < began:  # not struck again while it started
                    self.errors.append(f"{name}: {error}")
