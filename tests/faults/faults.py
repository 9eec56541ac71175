"""What can go wrong, by name: each fault begins, lasts, and is healed."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import redis

from cli.local_stack.neo4j_server import NEO4J
from cli.local_stack.programs import API, INGEST, REFRESH
from cli.local_stack.redis_server import REDIS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.faults.supervised_stack import SupervisedStack

FREEZE_S = 10.0
SECOND_INGEST = f"{INGEST}-2"
AT_ONCE = 8
LINK_S = 5.0
DELAY_S = 0.5
MEMORY_S = 3.0
BACK_S = 0.2
BETWEEN_S = (5.0, 10.0)
VICTIMS = {
    "an API process": (API, True),
    "an ingest worker": (INGEST, False),
    "the other ingest worker": (SECOND_INGEST, False),
    "a Celery child": (REFRESH, True),
    "the Celery parent": (REFRESH, False),
    "Redis": (REDIS, False),
    "Neo4j": (NEO4J, False),
}


def struck_by(name: str) -> str:
    """The process, link or command that a fault strikes; two faults of one thing never overlap."""
    words = next((words for words in VICTIMS if f" of {words}" in name), name.partition(":")[0])
    return VICTIMS[words][0] if words in VICTIMS else words


@contextlib.contextmanager
def missed_without_redis() -> Iterator[None]:
    """A Redis that does not answer, or refuses, was not struck for all that is known."""
    try:
        yield
    except redis.RedisError as error:
        raise MissedError from error


def _over(one: Future[None]) -> bool:
    """Whether a fault is healed.

    Raises:
        Exception: What was not expected to happen in it.
    """
    return one.done() and one.result() is None


@dataclass
class Happened:
    """One fault.

    Args:
        name: Which.
        began: When, in seconds since 1970.
        ended: When it was healed; what died may take longer to come back.
        struck: Whether it is known to have struck anything.
    """

    name: str
    began: float
    ended: float = field(default=0.0)
    struck: bool = field(default=False)


class MissedError(Exception):
    """There was nothing to strike, or nothing is known to have been struck."""


class Faults:
    """Every fault of a stack.

    Args:
        stack: What they happen to.
        swap: Rolls another model out.
        rebuild: Rebuilds the serving state.
    """

    def __init__(
        self, stack: SupervisedStack, swap: Callable[[], object], rebuild: Callable[[], object]
    ) -> None:
        self._stack = stack
        self._redis = redis.Redis.from_url(stack.service.settings.log_url, socket_timeout=15)
        self.known: dict[str, Callable[[], object]] = {
            **{f"SIGKILL of {name}": self._killer(name) for name in VICTIMS},
            **{f"SIGSTOP of {name} for 10 s": self._freezer(name) for name in VICTIMS},
            **{f"{name}: reset": self._resetter(name) for name in stack.proxies},
            **{f"{name}: half-open": self._half_opener(name) for name in stack.proxies},
            **{f"{name}: 500 ms slower": self._delayer(name) for name in stack.proxies},
            "Redis: CLIENT KILL": self._client_kill,
            "Redis: BGREWRITEAOF": self._rewrite,
            "Redis: out of memory": self._out_of_memory,
            "a model swap": swap,
            "a rebuild": rebuild,
        }
        self.begun: list[Happened] = []

    @property
    def happened(self) -> list[Happened]:
        """Those that struck."""
        return [one for one in self.begun if one.struck]

    def run(
        self, seconds: float, least: int, seed: int, tell: Callable[[str], object] = str
    ) -> None:
        """Let faults begin one after the other, seeded, for a time and until there are enough.

        One may begin while another one lasts, unless both strike the same process or link.

        Args:
            seconds: For how long.
            least: How many at least.
            seed: Of which, and when.
            tell: Told the name of each as it begins.
        """
        chance = random.Random(seed)
        deadline, names = time.monotonic() + seconds, sorted(self.known)
        order = chance.sample(names, len(names))
        lasting: dict[str, Future[None]] = {}
        with ThreadPoolExecutor(AT_ONCE) as pool:
            while time.monotonic() < deadline or len(self.happened) < least:
                lasting = {what: one for what, one in lasting.items() if not _over(one)}
                free = [name for name in order or names if struck_by(name) not in lasting]
                if free:
                    name = free[-1] if order else chance.choice(free)
                    order = [one for one in order if one != name]
                    tell(name)
                    lasting[struck_by(name)] = pool.submit(self._happen, name)
                time.sleep(chance.uniform(*BETWEEN_S))
        for one in lasting.values():
            one.result()

    def _happen(self, name: str) -> None:
        """Let a fault begin, last and be healed."""
        one = Happened(name, time.time())
        self.begun.append(one)
        with contextlib.suppress(MissedError):
            self.known[name]()
            one.struck = True
        one.ended = time.time()

    def heal(self) -> None:
        """Nothing is held back, frozen or bounded any more."""
        for proxy in self._stack.proxies.values():
            proxy.heal()
        for victim, child in VICTIMS.values():
            if (pid := self._stack.pid(victim, child=child)) is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def _killer(self, name: str) -> Callable[[], None]:
        victim, child = VICTIMS[name]

        def kill() -> None:
            if not self._stack.kill(victim, child=child):
                raise MissedError

        return kill

    def _freezer(self, name: str) -> Callable[[], None]:
        victim, child = VICTIMS[name]

        def freeze() -> None:
            if (pid := self._stack.pid(victim, child=child)) is None:
                raise MissedError
            try:
                os.kill(pid, signal.SIGSTOP)
            except ProcessLookupError as error:
                raise MissedError from error
            time.sleep(FREEZE_S)
            with contextlib.suppress(ProcessLookupError):  # it died meanwhile
                os.kill(pid, signal.SIGCONT)

        return freeze

    def _resetter(self, name: str) -> Callable[[], None]:
        proxy = self._stack.proxies[name]

        def reset() -> None:
            if not proxy.reset():
                raise MissedError

        return reset

    def _half_opener(self, name: str) -> Callable[[], None]:
        proxy = self._stack.proxies[name]

        def half_open() -> None:
            proxy.half_open(swallow=True)
            time.sleep(LINK_S)
            proxy.half_open(swallow=False)

        return half_open

    def _delayer(self, name: str) -> Callable[[], None]:
        proxy = self._stack.proxies[name]

        def delay() -> None:
            proxy.delay(DELAY_S)
            time.sleep(LINK_S)
            proxy.delay(0)

        return delay

    def _client_kill(self) -> None:
        with missed_without_redis():
            self._redis.client_kill_filter(_type="normal", skipme=True)

    def _rewrite(self) -> None:
        with missed_without_redis():
            self._redis.bgrewriteaof()

    def _out_of_memory(self) -> None:
        try:
            with missed_without_redis():
                self._redis.config_set("maxmemory", 1)
            time.sleep(MEMORY_S)
        finally:
            self._give_memory_back()

    def _give_memory_back(self) -> None:
        for _ in range(50):  # it must not stay so, whatever happens meanwhile
            try:
                self._redis.config_set("maxmemory", 0)
            except redis.RedisError:
                time.sleep(BACK_S)
            else:
                return
