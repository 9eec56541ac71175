"""`schema apply`: constraints and indexes of the graph."""

import typer

from .options import DataDir
from .output import note

schema = typer.Typer(help="The graph's schema: apply the migrations.", no_args_is_help=True)


@schema.callback()
def _schema() -> None:
    """The graph's schema: apply the migrations."""


@schema.command("apply")
def apply(data_dir: DataDir = None) -> None:
    """Apply every migration; those in place change nothing. `up` does it by itself.

    Example: interest-graph schema apply
    """
    from contextlib import closing

    from interest_graph.graph.schema import migrate
    from interest_graph.graph.store import GraphStore

    from .local_stack.paths import stack_paths
    from .settings import read_settings

    settings = read_settings(stack_paths(data_dir))
    with closing(GraphStore(settings)) as graph:
        applied = migrate(graph, settings)
    note(f"{len(applied)} migrations are in place, the last is {applied[-1]}.")
