"""Ingest workers as processes of their own, to be killed and frozen."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Self

from interest_graph import redis_client as keys

if TYPE_CHECKING:
    from pathlib import Path

    import redis

    from interest_graph.settings import Settings

PASSED = (
    *("neo4j_uri", "neo4j_user", "neo4j_database", "log_url", "serving_url", "broker_url"),
    *("models_dir", "lease_s", "log_partitions", "ingest_batch"),
)


class IngestWorkers:
    """Some ingest workers of the same settings.

    Args:
        settings: Theirs.
        log: The log's Redis, where they say that they live.
        folder: For what they print.
        count: How many.
        module: What they run.
    """

    def __init__(
        self, settings: Settings, log: redis.Redis, folder: Path, count: int, module: str
    ) -> None:
        self._log, self._folder, self._module = log, folder, module
        self._environment = {
            **os.environ,
            **{f"INTEREST_GRAPH_{n.upper()}": str(getattr(settings, n)) for n in PASSED},
            "INTEREST_GRAPH_NEO4J_PASSWORD": settings.neo4j_password.get_secret_value(),
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.getcwd(),  # noqa: PTH109 where the tests are run
        }
        self._processes: list[subprocess.Popen[bytes]] = []
        self._count = count
        self.started = 0

    def __enter__(self) -> Self:
        """Start them."""
        for place in range(self._count):
            self._processes.append(self._start(place))
        return self

    def __exit__(self, *_: object) -> None:
        """End them, frozen ones too."""
        for process in self._processes:
            process.kill()
            process.wait(30)

    def pids(self) -> list[int]:
        """Who runs now."""
        return [process.pid for process in self._processes]

    def wait_until_all_work(self, patience_s: float = 120.0) -> None:
        """Wait until each of them shares in the partitions."""
        deadline = time.monotonic() + patience_s
        while not set(self.pids()) <= self.seen():
            assert time.monotonic() < deadline, self.printed()
            time.sleep(0.1)

    def seen(self) -> set[int]:
        """Who said lately to be alive, by pid."""
        names = self._log.zrange(keys.INGEST_WORKERS, 0, -1)
        return {int(name.decode().rsplit("-", 2)[1]) for name in names}  # type: ignore[union-attr]

    def kill(self, place: int) -> None:
        """SIGKILL one of them and start another in its place."""
        self._processes[place].kill()
        self._processes[place].wait(30)
        self._processes[place] = self._start(place)

    def stop(self, place: int) -> None:
        """Let one of them end by itself and start another in its place."""
        self._processes[place].terminate()
        assert self._processes[place].wait(60) == 0, self.printed()
        self._processes[place] = self._start(place)

    def wait_for_end(self, place: int, patience_s: float = 120.0) -> int:
        """Wait until one of them has ended by itself; its exit status."""
        return self._processes[place].wait(patience_s)

    def freeze(self, place: int, seconds: float) -> None:
        """SIGSTOP one of them for a while."""
        os.kill(self._processes[place].pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(self._processes[place].pid, signal.SIGCONT)

    def printed(self) -> str:
        """What they printed."""
        return "\n".join(file.read_text()[-3000:] for file in sorted(self._folder.glob("*.log")))

    def _start(self, place: int) -> subprocess.Popen[bytes]:
        """A new process."""
        self.started += 1
        with (self._folder / f"ingest-{place}.log").open("ab") as log:
            return subprocess.Popen(  # noqa: S603 our own module
                [sys.executable, "-m", self._module],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
            )
