"""`train`: a model from the graph, rolled out when it is better."""

from dataclasses import asdict
from typing import Annotated

import typer

from .options import DataDir, Json
from .output import USAGE, as_json, data, fail, note
from .progress import ProgressBars
from .quality_table import show_quality


def train(
    force: Annotated[
        bool, typer.Option("--force", help="Roll the model out even when it is not better.")
    ] = False,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Train on the graph, compare with the baselines and the model in service, roll out.

    Example: interest-graph train --json

    Several processes share the work with torchrun --nproc-per-node 2 -m cli train
    """
    from models.processes import joined
    from workers.training import train_model

    from .local_stack.paths import stack_paths
    from .settings import read_settings

    settings = read_settings(stack_paths(data_dir))
    with joined() as processes, ProgressBars(quiet=json or not processes.first) as report:
        try:
            trained = train_model(
                settings,
                force=force,
                progress=lambda what, done, total, _: report(what, done, total),
                processes=processes,
            )
        except ValueError as error:
            fail(str(error), "load more events: interest-graph load events FILE", USAGE)
    if not processes.first:
        return
    if json:
        as_json(asdict(trained))
        return
    show_quality(trained.metrics, trained.baselines)
    data(
        f"{trained.model_version} {'is in service' if trained.rolled_out else 'was not rolled out'}"
    )
    note(trained.reason)
