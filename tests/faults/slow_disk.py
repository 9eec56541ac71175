"""A Redis on a slow disk, that is killed under load: which acknowledged events come back."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import redis

from cli.local_stack.paths import StackPaths
from cli.local_stack.ports import free_port
from cli.local_stack.process import Program, read_process, start, stop
from cli.local_stack.redis_server import REDIS, configuration, find_redis
from interest_graph.errors import StreamUnavailableError
from interest_graph.event import Event, parse_event
from interest_graph.event_stream import EventStream
from interest_graph.redis_client import check_durability, connect
from interest_graph.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

SOURCE = Path(__file__).with_suffix(".c")
SENDERS, BATCH = 4, 10
PATIENCE_S = 30.0

T = TypeVar("T")


def compile_slow_disk(directory: Path) -> Path:
    """The library that makes fdatasync slow; needs a C compiler."""
    library = directory / "slow_disk.so"
    command = ["cc", "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl"]
    subprocess.run(command, check=True)  # noqa: S603 our own arguments
    return library


@dataclass(frozen=True)
class Death:
    """What a death of Redis under load cost.

    Args:
        acknowledged: Events that were accepted.
        lost: Of these, how many Redis did not have when it was back.
    """

    acknowledged: int
    lost: int


class SlowRedis:
    """A Redis of its own on a slow disk.

    Args:
        directory: Where its data are.
        library: What makes its disk slow.
        delay_ms: How much longer each fdatasync takes.
        durability: `always` or `everysec`.
    """

    def __init__(self, directory: Path, library: Path, delay_ms: int, durability: str) -> None:
        self._paths = StackPaths(directory)
        self._paths.make()
        port = free_port()
        self._settings = Settings.model_validate(
            {"log_url": f"redis://127.0.0.1:{port}/0", "durability": durability}
        )
        home = self._paths.redis_home
        home.mkdir(parents=True, exist_ok=True)
        text = configuration(home, port)
        wished = text.replace("appendfsync always", f"appendfsync {durability}")
        (home / "redis.conf").write_text(wished, encoding="utf-8")
        slow = {"LD_PRELOAD": str(library), "SLOW_DISK_MS": str(delay_ms)}
        self._program = Program(REDIS, (str(find_redis()), str(home / "redis.conf")), slow)

    def die(self, after_s: float, *, power_cut: bool, name: str) -> Death:
        """Start, accept events for a while, die under load, start again, and see what is left."""
        self._start()
        accepted = self._load(after_s, name)
        if power_cut:
            self._forget_what_is_not_on_disk()
        self._start()
        kept = self._patiently(_event_ids_in)
        stop(self._paths, [REDIS], grace_s=0)  # nobody writes any more
        return Death(len(accepted), len(accepted - kept))

    def _start(self) -> None:
        start(self._program, self._paths)
        self._patiently(check_durability)

    def _patiently(self, ask: Callable[[redis.Redis, Settings], T]) -> T:
        """What the server answers, once it does: it may start, or wait for its disk."""
        deadline = time.monotonic() + PATIENCE_S
        with closing(connect(self._settings.log_url, self._settings)) as client:
            while True:
                try:
                    return ask(client, self._settings)
                except StreamUnavailableError:
                    assert time.monotonic() < deadline
                    time.sleep(0.05)

    def _load(self, seconds: float, name: str) -> set[str]:
        """Accept events until Redis is killed; returns those under an answer."""
        accepted: set[str] = set()
        threads = [
            threading.Thread(target=self._accept, args=(f"{name}-{number}", accepted))
            for number in range(SENDERS)
        ]
        for thread in threads:
            thread.start()
        time.sleep(seconds)
        process = read_process(self._paths, REDIS)
        assert process is not None
        os.kill(process.pid, signal.SIGKILL)
        for thread in threads:
            thread.join()
        stop(self._paths, [REDIS], grace_s=0)
        return accepted

    def _accept(self, sender: str, accepted: set[str]) -> None:
        with closing(connect(self._settings.log_url, self._settings)) as client:
            stream, number = EventStream(client, self._settings), 0
            while True:
                events = [self._event(f"{sender}-{number + n}") for n in range(BATCH)]
                number += BATCH
                try:
                    answer = stream.accept(events)
                except (StreamUnavailableError, redis.RedisError):
                    return
                accepted.update(answer.event_ids)

    def _event(self, name: str) -> Event:
        fields = {"event_id": name, "user_id": name[:8], "item_id": "i", "event_type": "view"}
        return parse_event(fields, self._settings)

    def _forget_what_is_not_on_disk(self) -> None:
        """Cut the log's file to what fdatasync had made safe."""
        for file in self._paths.redis_home.rglob("*.incr.aof"):
            note = file.with_name(f"{file.name}.safe")
            os.truncate(file, int(note.read_text(encoding="utf-8")) if note.exists() else 0)


def _event_ids_in(client: redis.Redis, settings: Settings) -> set[str]:
    entries = EventStream(client, settings).entries()
    return {Event.from_json(entry.payload).event_id for entry in entries}
