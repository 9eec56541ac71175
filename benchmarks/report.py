"""What every benchmark shares: the machine it ran on, percentiles, spreads, the table, the JSON."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
from rich.console import Console
from rich.table import Table

from cli.local_stack.neo4j_jars import neo4j_version

from .figures import cell, label

if TYPE_CHECKING:
    from collections.abc import Sequence

PACKAGES = ("flask", "granian", "neo4j", "numba", "numkong", "numpy", "orjson", "redis", "torch")
GIB = 2**30


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """p50, p95 and p99 in milliseconds, and how many values they come from."""
    values = np.asarray(seconds) * 1000
    found = {f"p{q}_ms": round(float(np.percentile(values, q)), 3) for q in (50, 95, 99)}
    return {**found, "count": len(values)}


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median and range of what several runs gave.

    >>> spread([3.0, 1.0, 2.0])
    {'median': 2.0, 'low': 1.0, 'high': 3.0}
    """
    return {"median": float(np.median(values)), "low": min(values), "high": max(values)}


def processor() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def machine() -> dict[str, Any]:
    """What figures were measured on: hardware, versions, and the commit that was measured."""
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / GIB),
        "python": platform.python_version(),
        "redis_server": _first_line("redis-server", "--version").partition("v=")[2].split(" ")[0],
        "java": _first_line("java", "--version"),
        "neo4j_server": neo4j_version(),
        "wrk": _first_line("wrk", "--version").removeprefix("wrk ").split(" ")[0],
        "oha": _first_line("oha", "--version").removeprefix("oha "),
        **{package: version(package) for package in PACKAGES},
        "commit": commit(),
    }


def commit() -> str:
    """The commit, and `-dirty` if something but the page that benchmarks write differs from it."""
    others = ("--untracked-files=no", "--", ":/", ":(top,exclude)docs/performance.md")
    changed = _first_line("git", "status", "--porcelain", *others)
    return _first_line("git", "describe", "--always") + ("-dirty" if changed else "")


def _first_line(*command: str) -> str:
    """The first line that a program prints; nothing when it is not there."""
    if shutil.which(command[0]) is None:
        return ""
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 our own arguments
    return done.stdout.partition("\n")[0]


def command_line() -> str:
    """How this process was called, without where it writes."""
    words = ["python", *sys.orig_argv[1:]]
    if "--json" in words:
        place = words.index("--json")
        del words[place : place + 2]
    return " ".join(words)


@dataclass
class Report:
    """A benchmark's outcome.

    Args:
        name: Of the benchmark.
        setup: What was measured how: sizes, data, seconds.
        rows: The figures, which `add` adds; values may be what `spread` returns.
    """

    name: str
    setup: dict[str, Any]
    rows: list[dict[str, Any]] = field(default_factory=list)
    load_before: float = field(default_factory=lambda: round(os.getloadavg()[0], 2))

    def add(self, **row: Any) -> None:
        """One line of figures."""
        self.rows.append(row)

    def show(self, file: Path | None) -> None:
        """Print set-up and figures, and write them as JSON."""
        about = {
            "command": command_line(),
            "date": f"{datetime.now(UTC):%Y-%m-%d}",
            "load_before": self.load_before,
        }
        content = {
            "name": self.name,
            "machine": machine(),
            **about,
            "setup": self.setup,
            "figures": self.rows,
        }
        console = Console(width=140)
        console.print(f"[bold]{self.name}[/bold]")
        for key, value in {**content["machine"], **about, **self.setup}.items():
            console.print(f"  {label(key)}: {value}", highlight=False)
        table = Table()
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        for name in names:
            table.add_column(label(name))
        for row in self.rows:
            table.add_row(*(cell(row.get(name)) for name in names))
        console.print(table)
        if file is not None:
            file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
            console.print(f"written to {file}")
