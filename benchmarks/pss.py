"""Memory of processes as PSS: what several share counts for each in equal parts; sums are true."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import psutil

from cli.local_stack.process import read_process, started

if TYPE_CHECKING:
    from cli.local_stack.paths import StackPaths

MB = 1_000_000


def pss_mb(pid: int) -> float:
    """PSS of a process and all its children, in MB; 0 when it is gone."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return sum(child_pss_mb(pid)) + _own(psutil.Process(pid))
    return 0.0


def child_pss_mb(pid: int) -> list[float]:
    """PSS of each of a process's children, in MB: of a server, its worker processes."""
    return [_own(child) for child in psutil.Process(pid).children(recursive=True)]


def stack_pss_mb(paths: StackPaths) -> dict[str, float]:
    """By name of the process its PSS with all its children, in MB."""
    found = {name: read_process(paths, name) for name in started(paths)}
    return {name: pss_mb(one.pid) for name, one in found.items() if one is not None and one.alive}


def mapped_mb(pid: int) -> float:
    """What of `pss_mb` is files that are mapped: models, libraries."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        return sum(map(_mapped, [process, *process.children(recursive=True)]))
    return 0.0


def _mapped(process: psutil.Process) -> float:
    with contextlib.suppress(psutil.Error):
        maps = process.memory_maps()
        return float(sum(part.pss for part in maps if part.path.startswith("/"))) / MB
    return 0.0


def _own(process: psutil.Process) -> float:
    with contextlib.suppress(psutil.Error):
        return float(process.memory_full_info().pss) / MB
    return 0.0
