"""What every benchmark shares: the set-up it ran on, percentiles, the table and the JSON."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

PACKAGES = ("flask", "granian", "neo4j", "numpy", "redis", "torch")


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """p50, p95 and p99 in milliseconds, and how many values they come from."""
    values = np.asarray(seconds) * 1000
    found = {f"p{q}_ms": round(float(np.percentile(values, q)), 3) for q in (50, 95, 99)}
    return {**found, "count": len(values)}


def processor() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


@dataclass
class Report:
    """A benchmark's outcome."""

    name: str
    setup: dict[str, Any]
    rows: list[dict[str, Any]] = field(default_factory=list)

    def add(self, **row: Any) -> None:
        """One line of figures."""
        self.rows.append(row)

    def show(self, file: Path | None) -> None:
        """Print set-up and figures, and write them as JSON."""
        self.setup = {
            "processor": processor(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            **{package: version(package) for package in PACKAGES},
            **self.setup,
            "load_average_before": [round(value, 2) for value in os.getloadavg()],
        }
        console = Console(width=140)
        console.print(f"[bold]{self.name}[/bold]")
        for key, value in self.setup.items():
            console.print(f"  {key}: {value}", highlight=False)
        table = Table()
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        for name in names:
            table.add_column(name)
        for row in self.rows:
            table.add_row(*(str(row.get(name, "")) for name in names))
        console.print(table)
        if file is not None:
            content = {"name": self.name, "setup": self.setup, "figures": self.rows}
            file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
            console.print(f"written to {file}")
