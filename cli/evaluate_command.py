"""`evaluate`: models against each other on one data set under one protocol."""

from pathlib import Path
from typing import Annotated

import typer

from .options import DataRoot, Device, Models, Protocol, Threads, names
from .output import USAGE, fail
from .progress import ProgressBars


def evaluate(
    data: Annotated[
        str, typer.Option("--data", metavar="NAME_OR_FOLDER", help="What to evaluate on.")
    ],
    protocol: Protocol = None,
    models: Models = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Fits of each random model.")] = 1,
    refit: Annotated[
        bool,
        typer.Option(
            "--refit/--no-refit", help="Learn from train and validation, or from train alone."
        ),
    ] = True,
    json: Annotated[
        Path | None,
        typer.Option(
            "--json",
            metavar="FILE",
            dir_okay=False,
            help="Write everything, every rank included; what it holds already is not run again.",
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="FILE", dir_okay=False, help="Draw the main metric."),
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Run the models again, whatever FILE holds of them.")
    ] = False,
    data_root: DataRoot = None,
    max_cases: Annotated[
        int, typer.Option("--max-cases", min=0, help="Judge by a sample of so many; 0 for all.")
    ] = 0,
    threads: Threads = 1,
    device: Device = "auto",
    retrain_days: Annotated[
        int,
        typer.Option("--retrain-days", min=1, help="Prequential: days between nightly trainings."),
    ] = 1,
) -> None:
    """Fit models, judge each once by full ranking, and compare with the best baseline.

    Example: interest-graph evaluate --data movielens-100k --protocol leave_one_out
    --models ease,sequence_knn --json results.json --plot results.svg
    """
    from .evaluation.evaluation import Request, run_evaluation
    from .evaluation.report import show, show_pairs, show_remarks

    request = Request(
        data=data,
        protocol=protocol,
        models=names(models),
        seeds=seeds,
        refit=refit,
        json=json,
        fresh=fresh,
        data_root=data_root,
        max_cases=max_cases,
        threads=threads,
        device=device,
        retrain_days=retrain_days,
    )
    with ProgressBars(steps=True) as report:
        try:
            results, summaries = run_evaluation(request, report)
        except ValueError as error:
            fail(str(error), "interest-graph evaluate --help", USAGE)
    show(summaries)
    show_pairs(summaries)
    show_remarks(results, summaries)
    if plot is not None and summaries:
        from .evaluation.plot import write_plot

        write_plot(plot, f"{results.setup['data']}, {results.setup['protocol']}", summaries)
