"""What the fault test counts: faults that struck something, and no others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from tests.faults import faults as module
from tests.faults.faults import VICTIMS, Faults
from tests.faults.proxy import FaultyProxy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.supervised_stack import SupervisedStack

NOBODY = "redis://127.0.0.1:1/0"


class Stack:
    """A stack of at most one process, whose Redis does not answer."""

    def __init__(self, proxy: FaultyProxy, pid: int | None) -> None:
        self.service = SimpleNamespace(settings=SimpleNamespace(log_url=NOBODY))
        self.proxies = {proxy.name: proxy}
        self._pid = pid

    def pid(self, _name: str, *, child: bool = False) -> int | None:
        """As SupervisedStack."""
        del child
        return self._pid

    def kill(self, _name: str, *, child: bool = False) -> bool:
        """As SupervisedStack."""
        del child
        if self._pid is None:
            return False
        os.kill(self._pid, signal.SIGKILL)
        return True


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """One that does nothing."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


@pytest.fixture
def proxy() -> Iterator[FaultyProxy]:
    """One that nobody has connected to."""
    with FaultyProxy("API-Redis", 1) as proxy:
        yield proxy


def faults_of(proxy: FaultyProxy, pid: int | None, monkeypatch: pytest.MonkeyPatch) -> Faults:
    """The faults of such a stack, none of which lasts."""
    for name in ("FREEZE_S", "MEMORY_S", "BACK_S"):
        monkeypatch.setattr(module, name, 0.0)
    return Faults(cast("SupervisedStack", Stack(proxy, pid)), lambda: None, lambda: None)


def test_what_strikes_nothing_is_not_counted(
    proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a process, without a connection, without a Redis that answers."""
    faults = faults_of(proxy, None, monkeypatch)
    names = [f"SIG{name} of {one}" for one in VICTIMS for name in ("KILL", "STOP")]
    names = [f"{name} for 10 s" if name.startswith("SIGSTOP") else name for name in names]
    names += ["Redis: CLIENT KILL", "Redis: BGREWRITEAOF", "Redis: out of memory"]
    for name in (*names, "API-Redis: reset"):
        faults._happen(name)
    assert len(faults.begun) == len(names) + 1
    assert all(one.ended for one in faults.begun)
    assert not faults.happened


def test_what_strikes_is_counted(
    process: subprocess.Popen[bytes], proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that is frozen for a while and then killed; a model swap."""
    faults = faults_of(proxy, process.pid, monkeypatch)
    for name in ("SIGSTOP of Neo4j for 10 s", "SIGKILL of Redis", "a model swap"):
        faults._happen(name)
    assert len(faults.happened) == 3
    assert process.wait(30) == -signal.SIGKILL
    faults._happen("SIGSTOP of Neo4j for 10 s")
    assert len(faults.happened) == 3
