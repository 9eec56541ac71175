"""Processes that outlive the command that started them: start, recognise, stop."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .paths import write_private

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .paths import StackPaths

POLL_S = 0.05
KILL_S = 5.0
BEHIND_REQUESTS = 10
"""Niceness of what brings the graph up to date: for an answer to a request somebody waits."""
BEHIND_ALL = 15
"""Niceness of what trains for minutes or hours."""
SESSION_TRIES = 20
# Children of this very process: the dead ones have to be collected, or they stay as zombies.
_CHILDREN: dict[int, subprocess.Popen[bytes]] = {}


@dataclass(frozen=True, slots=True)
class Program:
    """What is to be run.

    Args:
        name: Names the process in `status`, its log file and its file under `run`.
        command: The executable and its arguments.
        environment: Variables on top of those of this process.
        niceness: How far it stands back where cores are scarce, 0 to 19, as `nice` has it.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    niceness: int = 0


@dataclass(frozen=True, slots=True)
class StartedProcess:
    """A process that was started, as its file under `run` remembers it.

    `birth` tells it from a later process that happens to get the same `pid`.
    """

    name: str
    pid: int
    birth: str

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return _birth(self.pid) == self.birth


def start(program: Program, paths: StackPaths) -> StartedProcess:
    """Start `program` in a session of its own, its output in its log file, and remember it."""
    stands_back = ("nice", "-n", str(program.niceness)) if program.niceness else ()
    with paths.log_of(program.name).open("ab") as log:
        child = subprocess.Popen(  # noqa: S603 the commands are our own
            (*stands_back, *program.command),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **program.environment},
            start_new_session=True,
        )
    _CHILDREN[child.pid] = child
    _stand_back_as_a_session(child.pid, program.niceness)
    process = StartedProcess(program.name, child.pid, _birth(child.pid) or "")
    write_private(_file(paths, program.name), json.dumps(asdict(process)))
    return process


def _stand_back_as_a_session(pid: int, niceness: int) -> None:
    """Give the niceness of a process to its session too, where Linux shares cores by sessions.

    There (`sched_autogroup_enabled`; sched(7)) niceness tells only processes of one session apart.
    """
    if not niceness:
        return
    for _ in range(SESSION_TRIES):
        try:
            Path(f"/proc/{pid}/autogroup").write_text(str(niceness), encoding="ascii")
        except BlockingIOError:  # Linux allows it some ten times a second
            time.sleep(POLL_S)
        except OSError:
            return
        else:
            return


def read_process(paths: StackPaths, name: str) -> StartedProcess | None:
    """The process that was last started as `name`, dead or alive; none after it was stopped."""
    try:
        return StartedProcess(**json.loads(_file(paths, name).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def started(paths: StackPaths) -> list[str]:
    """Names of all processes that were started and not stopped, dead ones too."""
    return sorted(file.stem for file in paths.run.glob("*.json"))


def is_running(paths: StackPaths, name: str) -> bool:
    """Whether the process started as `name` is alive."""
    process = read_process(paths, name)
    return process is not None and process.alive


def stop(paths: StackPaths, names: Iterable[str], grace_s: float) -> list[str]:
    """Ask the processes to end, wait for all of them together, and kill what is left.

    Returns:
        The names of those that had to be killed.
    """
    processes = [process for name in names if (process := read_process(paths, name))]
    for process in processes:
        if process.alive:
            _signal(process, signal.SIGTERM)
    _wait(processes, grace_s)
    killed = [process for process in processes if process.alive]
    for process in processes:
        # The whole session: a worker's own children must not outlive it.
        _signal(process, signal.SIGKILL)
    _wait(killed, KILL_S)
    for process in processes:
        _file(paths, process.name).unlink(missing_ok=True)
    return [process.name for process in killed]


def last_lines(paths: StackPaths, name: str, count: int = 12) -> str:
    """The end of a process's log, for messages about its death."""
    try:
        text = paths.log_of(name).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-count:])


def _file(paths: StackPaths, name: str) -> Path:
    return paths.run / f"{name}.json"


def _wait(processes: Iterable[StartedProcess], seconds: float) -> None:
    """Wait until all have ended, at most `seconds`."""
    deadline = time.monotonic() + seconds
    while any(process.alive for process in processes) and time.monotonic() < deadline:
        time.sleep(POLL_S)


def _signal(process: StartedProcess, number: int) -> None:
    """Send a signal: SIGTERM to the process, SIGKILL to everything in its session."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if number == signal.SIGKILL:
            os.killpg(process.pid, number)
        else:
            os.kill(process.pid, number)


def _birth(pid: int) -> str | None:
    """A mark of the process `pid` that no other process ever has; none if it is gone."""
    if (child := _CHILDREN.get(pid)) is not None and child.poll() is not None:
        del _CHILDREN[pid]
        return None
    if Path("/proc/self/stat").exists():
        try:
            line = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None
        # After the name in brackets: the state first, the number of threads as the 18th, the start
        # in clock ticks as the 20th. While other threads still end, a process that passes for a
        # zombie holds its ports and files.
        fields = line.rpartition(")")[2].split()
        gone = fields[0] == "X" or (fields[0] == "Z" and int(fields[17]) <= 1)
        return None if gone else fields[19]
    answer = subprocess.run(  # noqa: S603 fixed command, a number as argument
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)],  # noqa: S607 wherever the system has it
        capture_output=True,
        text=True,
        check=False,
    )
    state, _, started = answer.stdout.strip().partition(" ")
    return None if not state or state.startswith("Z") else started.strip()
