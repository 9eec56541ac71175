"""Several API processes of one service, each on a port of its own, so that a client can choose."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import urllib3

from cli.local_stack.ports import LOOPBACK, answers, free_port
from cli.local_stack.process import start, stop
from cli.local_stack.programs import API, api_command, programs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tests.running_service import RunningService

TIMEOUT_S = 60.0


@contextlib.contextmanager
def api_processes(
    service: RunningService, count: int, settings_of_theirs: Mapping[str, str] | None = None
) -> Iterator[list[str]]:
    """Start API processes next to the service's own; their URLs, in the order they were started.

    Args:
        service: The service.
        count: How many.
        settings_of_theirs: Variables that differ from the service's own.
    """
    ours = next(one for one in programs(service.paths, service.settings) if one.name == API)
    names = [f"{API}-{number}" for number in range(count)]
    ports: list[int] = []
    try:
        for name in names:
            ports.append(free_port())
            settings = service.settings.model_copy(update={"api_port": ports[-1], "api_workers": 1})
            command = (sys.executable, "-m", *api_command(settings))
            environment = {**ours.environment, **(settings_of_theirs or {})}
            theirs = replace(ours, name=name, command=command, environment=environment)
            start(theirs, service.paths)
            service.wait(lambda: answers(ports[-1]), f"{name} to answer")
        yield [f"http://{LOOPBACK}:{port}" for port in ports]
    finally:
        stop(service.paths, names, grace_s=20)


class Client:
    """One client with a kept connection to each process.

    Args:
        urls: Of the processes.
        authorization: The header that opens them.
    """

    def __init__(self, urls: list[str], authorization: str) -> None:
        self._urls = urls
        self._pool = urllib3.PoolManager(
            headers={"Authorization": authorization}, timeout=TIMEOUT_S, retries=False
        )

    def ask(self, process: int, method: str, path: str, body: Any = None) -> Any:
        """The JSON of an answer of one of the processes, which must succeed."""
        url = self._urls[process % len(self._urls)] + path
        answer = self._pool.request(method, url, **({} if body is None else {"json": body}))
        assert answer.status in {200, 202}, (
            f"{method} {path}: {answer.status} {answer.data[:300]!r}"
        )
        return answer.json()


def at_once(works: Sequence[Callable[[], object]]) -> None:
    """Do several things in threads of their own; the first error of any is raised at the end."""
    with ThreadPoolExecutor(len(works)) as pool:
        for done in [pool.submit(work) for work in works]:
            done.result()


class Tally:
    """Numbers by name that several threads add to."""

    def __init__(self) -> None:
        self._lock, self._numbers = threading.Lock(), Counter[str]()

    def add(self, name: str, count: int = 1) -> int:
        """Add to a number; returns what it was before."""
        with self._lock:
            self._numbers[name] += count
            return self._numbers[name] - count

    def __getitem__(self, name: str) -> int:
        return self._numbers[name]

    def __str__(self) -> str:
        return ", ".join(f"{count} {name}" for name, count in self._numbers.items())
