"""Where a local stack keeps its things: all of it under one directory."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

DATA_DIR_VARIABLE = "INTEREST_GRAPH_DATA_DIR"
DEFAULT_DATA_DIR = Path(".interest-graph")


@dataclass(frozen=True, slots=True)
class StackPaths:
    """Names of the files and folders below the data directory of one stack."""

    data_dir: Path

    @property
    def settings_file(self) -> Path:
        """The settings that let every process and command find this stack; mode 0600."""
        return self.data_dir / "settings.env"

    @property
    def endpoints_file(self) -> Path:
        """Ports and password of the managed servers; mode 0600."""
        return self.data_dir / "endpoints.json"

    @property
    def neo4j_home(self) -> Path:
        """Home of the managed Neo4j: its data, logs and configuration."""
        return self.data_dir / "neo4j"

    @property
    def redis_home(self) -> Path:
        """Working directory of the managed Redis."""
        return self.data_dir / "redis"

    @property
    def logs(self) -> Path:
        """One log file for each process."""
        return self.data_dir / "logs"

    @property
    def run(self) -> Path:
        """One file for each running process."""
        return self.data_dir / "run"

    @property
    def models(self) -> Path:
        """The published models."""
        return self.data_dir / "models"

    @property
    def metrics(self) -> Path:
        """Where the processes put the metrics that the API shows."""
        return self.data_dir / "metrics"

    def log_of(self, name: str) -> Path:
        """Log file of the process `name`."""
        return self.logs / f"{name}.log"

    def make(self) -> None:
        """Create the folders, readable by their owner alone."""
        self.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        for folder in (self.logs, self.run, self.models, self.metrics):
            folder.mkdir(exist_ok=True, mode=0o700)


def stack_paths(data_dir: Path | None = None) -> StackPaths:
    """Paths of the stack in `data_dir`, else `INTEREST_GRAPH_DATA_DIR`, else `.interest-graph`."""
    chosen = data_dir or Path(os.environ.get(DATA_DIR_VARIABLE) or DEFAULT_DATA_DIR)
    return StackPaths(chosen.expanduser().absolute())


def cache_dir() -> Path:
    """Where downloads are kept for every clone on this machine (`XDG_CACHE_HOME` is respected)."""
    root = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(root).expanduser() / "interest-graph"


def write_private(path: Path, text: str) -> None:
    """Write `text` so that nobody but the owner can read it at any moment."""
    partial = path.with_name(path.name + ".partial")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    partial.replace(path)
