"""Processes that outlive the command that started them."""

from __future__ import annotations

import os
import platform
import sys
import time
from pathlib import Path

import pytest

from cli.local_stack.paths import StackPaths
from cli.local_stack.process import Program, is_running, last_lines, read_process, start, stop

SLEEPS = "import time; print('sleeping', flush=True); time.sleep(60)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "print('sleeping', flush=True); time.sleep(60)"
)
SAYS_NICENESS = (
    *(sys.executable, "-c"),
    "import os; print('niceness', os.getpriority(os.PRIO_PROCESS, 0), flush=True)",
)
FORKS = (
    "import os, time; child = os.fork(); "
    "print('child' if child == 0 else f'parent of {child}', flush=True); time.sleep(60)"
)

DIES_BY_HALVES = """
import ctypes, os, platform, threading, time
threading.Thread(target=time.sleep, args=(60,)).start()
print("sleeping", flush=True)
exit_this_thread = {"x86_64": 60, "aarch64": 93}[platform.machine()]
ctypes.CDLL(None).syscall(exit_this_thread, 0)
"""


@pytest.fixture
def paths(tmp_path: Path) -> StackPaths:
    """An empty stack."""
    made = StackPaths(tmp_path / "stack")
    made.make()
    return made


def _python(name: str, code: str) -> Program:
    return Program(name, (sys.executable, "-c", code))


def _wait_for(paths: StackPaths, name: str, text: str) -> str:
    for _ in range(200):
        if text in (output := last_lines(paths, name)):
            return output
        time.sleep(0.05)
    pytest.fail(f"{name} never wrote {text!r}")


def test_a_started_process_runs_until_it_is_stopped(paths: StackPaths) -> None:
    """It is alive after the start, dead and forgotten after the stop, and was not killed."""
    start(_python("sleeper", SLEEPS), paths)
    _wait_for(paths, "sleeper", "sleeping")
    assert is_running(paths, "sleeper")
    assert stop(paths, ["sleeper"], grace_s=10) == []
    assert not is_running(paths, "sleeper")
    assert read_process(paths, "sleeper") is None


def test_what_does_not_end_is_killed_and_named(paths: StackPaths) -> None:
    """A process that ignores SIGTERM is gone after the grace, and the caller learns of it."""
    start(_python("stubborn", STUBBORN), paths)
    _wait_for(paths, "stubborn", "sleeping")
    process = read_process(paths, "stubborn")
    assert stop(paths, ["stubborn"], grace_s=0.2) == ["stubborn"]
    assert process is not None
    assert not process.alive


def test_children_do_not_outlive_their_process(paths: StackPaths) -> None:
    """Stopping ends everything in the process's session."""
    start(_python("forks", FORKS), paths)
    output = _wait_for(paths, "forks", "parent of")
    child = int(output.split("parent of ")[1].split()[0])
    stop(paths, ["forks"], grace_s=10)
    for _ in range(100):
        if not _exists(child):
            break
        time.sleep(0.05)
    assert not _exists(child)


def _exists(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_a_process_that_died_is_known_to_be_dead(paths: StackPaths) -> None:
    """Its file is still there, so that status can report it, but it is not alive."""
    start(_python("short", "print('done')"), paths)
    for _ in range(200):
        if not is_running(paths, "short"):
            break
        time.sleep(0.05)
    assert not is_running(paths, "short")
    assert read_process(paths, "short") is not None


@pytest.mark.skipif(
    platform.machine() not in {"x86_64", "aarch64"} or not Path("/proc/self/stat").exists(),
    reason="needs the number of a Linux system call",
)
def test_a_process_is_alive_until_its_last_thread_has_ended(paths: StackPaths) -> None:
    """Until then it may hold a port that whatever takes its place needs."""
    process = start(_python("halves", DIES_BY_HALVES), paths)
    _wait_for(paths, "halves", "sleeping")
    stat = Path(f"/proc/{process.pid}/stat")
    for _ in range(200):
        if stat.read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "Z":
            break
        time.sleep(0.05)
    else:
        pytest.fail("its first thread never ended")
    assert process.alive
    stop(paths, ["halves"], grace_s=10)
    assert not process.alive


def test_a_damaged_file_is_no_process(paths: StackPaths) -> None:
    """A file that cannot be read counts as nothing, instead of failing every command."""
    (paths.run / "broken.json").write_text("{", encoding="utf-8")
    assert read_process(paths, "broken") is None


def test_environment_and_output_reach_the_process(paths: StackPaths) -> None:
    """A program sees its variables, and its output lands in its log."""
    code = "import os; print(os.environ['COLOUR'])"
    start(Program("prints", (sys.executable, "-c", code), {"COLOUR": "green"}), paths)
    assert "green" in _wait_for(paths, "prints", "green")
    stop(paths, ["prints"], grace_s=5)


def test_a_process_stands_back_as_far_as_its_program_says(paths: StackPaths) -> None:
    """The system says so of a program with niceness, and nothing of one without."""
    assert _niceness(paths, Program("first", SAYS_NICENESS)) == os.getpriority(os.PRIO_PROCESS, 0)
    assert _niceness(paths, Program("second", SAYS_NICENESS, niceness=7)) >= 7


def _niceness(paths: StackPaths, program: Program) -> int:
    start(program, paths)
    said = _wait_for(paths, program.name, "niceness")
    stop(paths, [program.name], grace_s=5)
    return int(said.split()[-1])


@pytest.mark.skipif(
    not Path("/proc/self/autogroup").exists(), reason="this system does not share by sessions"
)
def test_its_session_stands_back_too(paths: StackPaths) -> None:
    """Where Linux shares cores by sessions, niceness alone would change nothing between two."""
    process = start(Program("sleeper", (sys.executable, "-c", SLEEPS), niceness=7), paths)
    group = Path(f"/proc/{process.pid}/autogroup").read_text(encoding="utf-8")
    stop(paths, ["sleeper"], grace_s=5)
    assert group.split()[-1] == "7"
