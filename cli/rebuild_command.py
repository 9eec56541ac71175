"""`rebuild-serving`: histories, documents and seen items, from Neo4j and the log."""

from contextlib import closing
from typing import Annotated

import typer

from .options import DataDir, Json
from .output import FAULT, as_json, data, note


def rebuild_serving(
    check: Annotated[
        bool, typer.Option("--check", help="Only count what differs; ends with 1 if anything does.")
    ] = False,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Rebuild what Redis keeps of users and items from Neo4j and the log; the service may run.

    Example: interest-graph rebuild-serving --check
    """
    from interest_graph.rebuild import ServingRebuild
    from interest_graph.services import build_services

    from .local_stack.paths import stack_paths
    from .progress import ProgressBars
    from .settings import read_settings

    with closing(build_services(read_settings(stack_paths(data_dir)))) as services:
        services.events.settle_partitions()
        rebuild = ServingRebuild(
            services.graph, services.log, services.events, services.settings, write=not check
        )
        with ProgressBars(quiet=json) as show:
            done = rebuild.run(show)
    ok = not done.given_up and not (check and done.changed)
    if json:
        as_json(
            {
                "users": done.users,
                "items": done.items,
                "changed_users": done.changed_users,
                "changed_items": done.changed_items,
                "newer_in_redis": done.newer,
                "kept_changing": len(done.given_up),
                "missing_documents": done.missing_documents,
                "model_version": done.model_version,
            }
        )
    else:
        verb = "differ" if check else "rebuilt"
        data(f"users: {done.users}, {verb}: {done.changed_users}")
        data(f"items: {done.items}, {verb}: {done.changed_items}")
    if done.newer:
        again = "not in Neo4j yet" if check else "in the log again, for Neo4j"
        note(f"{done.newer} documents and deletions are newer in Redis: they are {again}.")
    if done.model_version:
        note(f"Model {done.model_version} is in service again; workers publish what changed since.")
    if done.missing_documents:
        note(f"{done.missing_documents} documents are older than this program: send them again.")
    if done.given_up:
        note(f"{len(done.given_up)} users kept changing: run it again.")
    if not ok:
        raise typer.Exit(FAULT)
