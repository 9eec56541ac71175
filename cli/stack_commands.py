"""`up`, `down`, `status`: the local stack."""

import signal
import time
from dataclasses import asdict
from typing import Annotated, Any

import typer

from .config_commands import without_password
from .local_stack.paths import StackPaths, stack_paths
from .options import DataDir, Json
from .output import NOT_READY, as_json, data, note, table
from .progress import ProgressBars

WATCH_S = 1.0


def up(
    data_dir: DataDir = None,
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Return once it is up, and leave it running.")
    ] = False,
    json: Json = False,
) -> None:
    """Start Neo4j, Redis, the workers and the API, or those of them that do not run yet.

    Example: interest-graph up --detach
    """
    from .local_stack.stack import bring_up
    from .local_stack.status import read_status

    paths = stack_paths(data_dir)
    try:
        with ProgressBars(quiet=json) as report:
            settings = bring_up(paths, report)
    except KeyboardInterrupt:
        stop_stack(paths)
        raise
    status = read_status(paths, settings)
    if json:
        as_json(asdict(status))
    else:
        data(f"API        {status.api_url}  (pages at {status.api_url}/docs)")
        data(f"Neo4j      {status.neo4j_uri}")
        redis, broker = map(without_password, (status.redis_url, status.broker_url))
        data(f"Redis      {redis}  (and {broker})")
        data(f"Directory  {paths.data_dir}")
    if not detach:
        note("Ctrl+C stops everything.")
        wait_until_interrupted(paths)
        stop_stack(paths)


def down(data_dir: DataDir = None) -> None:
    """Stop everything in order: API, workers, Redis, Neo4j. The data stay.

    Example: interest-graph down
    """
    stop_stack(stack_paths(data_dir))


def status(data_dir: DataDir = None, json: Json = False) -> None:
    """Say what runs, where it answers, and what waits. Ends with 3 when it is not ready.

    Example: interest-graph status --json
    """
    from .local_stack.status import read_status
    from .settings import read_settings

    paths = stack_paths(data_dir)
    found = asdict(read_status(paths, read_settings(paths)))
    if json:
        as_json(found)
    else:
        table(("", ""), [(name.replace("_", " "), _text(value)) for name, value in found.items()])
    if not found["ready"]:
        if not json:
            note(f"→ interest-graph up --detach starts what is missing; logs are in {paths.logs}")
        raise typer.Exit(NOT_READY)


def wait_until_interrupted(paths: StackPaths) -> None:
    """Wait for Ctrl+C or SIGTERM, and say when a process of the stack ends by itself."""
    from .local_stack.process import is_running, started

    interrupted = False

    def interrupt(_number: int, _frame: Any) -> None:
        nonlocal interrupted
        interrupted = True

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    dead: set[str] = set()
    while not interrupted:
        for name in started(paths):
            if name not in dead and not is_running(paths, name):
                dead.add(name)
                note(f"✗ {name} ended by itself; read {paths.log_of(name)}")
                note("  → interest-graph up --detach starts it again")
        time.sleep(WATCH_S)


def stop_stack(paths: StackPaths) -> None:
    """Stop the stack and say what did not end by itself."""
    from .local_stack.stack import bring_down

    with ProgressBars() as report:
        killed = bring_down(paths, report)
    for name in killed:
        note(f"{name} did not end in time and was killed; nothing accepted is lost")


def _text(value: Any) -> str:
    """A value of the status as one line."""
    if isinstance(value, dict):
        return "  ".join(f"{name}={part}" for name, part in value.items()) or "-"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value is None else str(value)
