"""The service's own processes: the same commands here and in `docker-compose.yml`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .paths import DATA_DIR_VARIABLE
from .process import BEHIND_ALL, BEHIND_REQUESTS, Program

if TYPE_CHECKING:
    from interest_graph.settings import Settings

    from .paths import StackPaths

API = "api"
INGEST = "ingest"
REFRESH = "refresh"
TRAINING = "training"
HEADER_TIMEOUT_MS = "20000"
"""In which a header must arrive; a connection may be idle as long."""
HEADER_BYTES = "65536"
# Libraries that would each start a thread for every core in every process.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "RAYON_NUM_THREADS",
    "POLARS_MAX_THREADS",
)


def ingest_names(settings: Settings) -> tuple[str, ...]:
    """Names of the ingest workers."""
    return (INGEST, *(f"{INGEST}-{number}" for number in range(2, settings.ingest_workers + 1)))


def worker_names(settings: Settings) -> tuple[str, ...]:
    """Names of all workers."""
    return (*ingest_names(settings), REFRESH, TRAINING)


def api_command(settings: Settings) -> tuple[str, ...]:
    """Arguments that serve the REST API."""
    return (
        *("api", "--interface", "asginl", "--factory", "api.gateway:create_gateway"),
        *("--host", settings.api_host, "--port", str(settings.api_port)),
        *("--workers", str(settings.api_workers), "--no-ws", "--http", "1"),
        *("--http1-header-read-timeout", HEADER_TIMEOUT_MS, "--http1-buffer-size", HEADER_BYTES),
        *("--respawn-failed-workers", "--workers-kill-timeout", "10"),
    )


def celery_command(queue: str) -> tuple[str, ...]:
    """Arguments that run the Celery worker of one queue."""
    return (
        *("celery", "-A", "workers.celery_app:app", "worker"),
        *("-Q", queue, "-c", "1", "-n", f"{queue}@%h"),
    )


def programs(paths: StackPaths, settings: Settings) -> tuple[Program, ...]:
    """Every process of the service, in the order in which they start."""
    environment = _environment(paths, settings)

    def program(name: str, arguments: tuple[str, ...], niceness: int) -> Program:
        return Program(name, (sys.executable, "-m", *arguments), environment, niceness)

    return (
        *(program(name, ("workers.ingest",), BEHIND_REQUESTS) for name in ingest_names(settings)),
        program(REFRESH, celery_command(REFRESH), BEHIND_REQUESTS),
        program(TRAINING, celery_command(TRAINING), BEHIND_ALL),
        program(API, api_command(settings), 0),
    )


def _environment(paths: StackPaths, settings: Settings) -> dict[str, str]:
    """What the processes find their settings and their code by."""
    code = str(Path(__file__).resolve().parents[2])
    inherited = os.environ.get("PYTHONPATH")
    threads = str(settings.torch_threads)
    return {
        **dict.fromkeys(THREAD_VARIABLES, threads),
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONPATH": f"{code}{os.pathsep}{inherited}" if inherited else code,
        "PYTHONUNBUFFERED": "1",
        DATA_DIR_VARIABLE: str(paths.data_dir),
    }
