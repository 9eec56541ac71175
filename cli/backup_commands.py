"""`backup`, `restore`: facts, catalogue, users, keys and settings as plain files."""

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from .options import DataDir, Json
from .output import as_json, data, note


def backup(
    folder: Annotated[Path, typer.Argument(help="Where it is to lie; must not be there yet.")],
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Write facts, catalogue, users, keys and settings to a folder; the service may run.

    Example: interest-graph backup backups/2026-01-31
    """
    from interest_graph.backup import write_backup
    from interest_graph.services import build_services

    from .local_stack.paths import stack_paths
    from .progress import ProgressBars
    from .settings import read_settings

    services = build_services(read_settings(stack_paths(data_dir)))
    with closing(services), ProgressBars(quiet=json) as show:
        made = write_backup(
            folder, services.graph, services.log, services.events, services.settings, show
        )
    if json:
        as_json(
            {name: {"lines": one.lines, "digest": one.digest} for name, one in made.parts.items()}
        )
        return
    for name, part in made.parts.items():
        data(f"{name}: {part.lines}")
    note(f"The backup is in {folder}. Models are not in it: keep their directory, or train again.")


def restore(
    folder: Annotated[Path, typer.Argument(help="As `backup` wrote it.", exists=True)],
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Bring a backup into the graph and rebuild what Redis keeps; it may be repeated.

    What is there already stays, and nothing newer is replaced. Keys are restored where there are
    none and none was revoked. Declare the backup's event types.

    Example: interest-graph restore backups/2026-01-31
    """
    from interest_graph.graph.schema import migrate
    from interest_graph.rebuild import ServingRebuild
    from interest_graph.restore import restore_backup, restore_keys
    from interest_graph.services import build_services

    from .local_stack.paths import stack_paths
    from .progress import ProgressBars
    from .settings import read_settings

    with closing(build_services(read_settings(stack_paths(data_dir)))) as services:
        graph, settings = services.graph, services.settings
        migrate(graph, settings)
        services.events.settle_partitions()
        rebuild = ServingRebuild(graph, services.log, services.events, settings)
        with ProgressBars(quiet=json) as show:
            found = restore_backup(folder, graph, services.log, settings, show)
            done = rebuild.run(show)
        keys_restored = restore_keys(folder, services.log)
    if json:
        lines = {name: one.lines for name, one in found.parts.items()}
        as_json(
            lines
            | {
                "rebuilt_users": done.users,
                "rebuilt_items": done.items,
                "newer_in_redis": done.newer,
            }
        )
        return
    for name, part in found.parts.items():
        data(f"{name}: {part.lines}")
    if done.newer:
        note(
            f"{done.newer} documents and deletions in Redis are newer: ingest brings them to Neo4j."
        )
    if not keys_restored:
        note("The backup's keys were left out: there are keys, or one was revoked.")
    if done.model_version is None:
        note("Lists need a model: interest-graph train")
