"""`train`: a model from the graph, rolled out when it is better."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from .options import DataDir, Json
from .output import USAGE, as_json, data, fail, note, table
from .progress import ProgressBars

if TYPE_CHECKING:
    from workers.training import Trained

METRICS = ("recall_at_20", "ndcg_at_20", "ndcg_at_10")


def train(
    force: Annotated[
        bool, typer.Option("--force", help="Roll the model out even when it is not better.")
    ] = False,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Train on the graph, compare with the baselines and the model in service, roll out.

    Example: interest-graph train --json
    """
    from workers.training import train_model

    from .local_stack.paths import stack_paths
    from .settings import read_settings

    settings = read_settings(stack_paths(data_dir))
    with ProgressBars(quiet=json) as report:
        try:
            trained = train_model(
                settings,
                force=force,
                progress=lambda what, done, total, _: report(what, done, total),
            )
        except ValueError as error:
            fail(str(error), "load more events: interest-graph load events FILE", USAGE)
    if json:
        as_json(asdict(trained))
        return
    show_metrics(trained)
    data(
        f"{trained.model_version} {'is in service' if trained.rolled_out else 'was not rolled out'}"
    )
    note(trained.reason)


def show_metrics(trained: "Trained") -> None:
    """The model next to the baselines of the same run, on the same test events."""
    lines = {"this model": trained.metrics, **trained.baselines}
    names = [name for name in METRICS if name in trained.metrics]
    table(
        ("", *names),
        [
            (line.replace("_", " "), *(f"{metrics.get(name, 0.0):.4f}" for name in names))
            for line, metrics in lines.items()
        ],
    )
