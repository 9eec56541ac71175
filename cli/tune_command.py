"""`tune`: hyperparameters by the validation, with the same budget for every model."""

from pathlib import Path
from time import strftime
from typing import TYPE_CHECKING, Annotated

import typer

from .options import DataRoot, Device, Models, Protocol, Threads, names
from .output import USAGE, data, fail, note

if TYPE_CHECKING:
    from models.evaluation.tuning import Trial, Tuned


def tune(
    data_set: Annotated[
        str, typer.Option("--data", metavar="NAME_OR_FOLDER", help="What to tune on.")
    ],
    protocol: Protocol = None,
    models: Models = None,
    trials: Annotated[int, typer.Option("--trials", min=1, help="Fits of each model.")] = 40,
    minutes: Annotated[
        float, typer.Option("--minutes", min=0.0, help="Time of each model; no fit begins after.")
    ] = 60.0,
    fresh: Annotated[
        bool,
        typer.Option("--fresh", help="Forget earlier trials, those of the trials' directory too."),
    ] = False,
    data_root: DataRoot = None,
    max_cases: Annotated[
        int, typer.Option("--max-cases", min=0, help="Validate by a sample of so many; 0 for all.")
    ] = 0,
    threads: Threads = 1,
    device: Device = "auto",
    trials_dir: Annotated[
        Path | None,
        typer.Option("--trials-dir", metavar="DIR", file_okay=False, help="Where trials go."),
    ] = None,
    hyperparameters_dir: Annotated[
        Path | None,
        typer.Option("--hyperparameters-dir", metavar="DIR", file_okay=False, help="And the best."),
    ] = None,
) -> None:
    """Tune models on the validation, each with the same budget; goes on where it was interrupted.

    Example: interest-graph tune --data movielens-100k --models ease,sequence_knn --trials 40
    """
    from models.evaluation.tuned import FOLDER
    from models.evaluation.tuning import Budget

    from .evaluation.tuning import TRIALS, TuningRequest, run_tuning

    request = TuningRequest(
        data=data_set,
        protocol=protocol,
        models=names(models),
        budget=Budget(trials, minutes),
        fresh=fresh,
        data_root=data_root,
        max_cases=max_cases,
        threads=threads,
        device=device,
        hyperparameters=hyperparameters_dir or FOLDER,
        trials=trials_dir or TRIALS,
    )
    data(f"budget of each model: {trials} trials or {minutes:g} minutes, whichever ends first")
    try:
        path = run_tuning(request, _started, _report, _ended)
    except ValueError as error:
        fail(str(error), "interest-graph tune --help", USAGE)
    data(f"written: {path}")


def _started(name: str) -> None:
    note(f"{strftime('%H:%M:%S')} {name}")


def _report(trial: "Trial") -> None:
    value = trial.reason if trial.validation is None else f"{trial.validation:.4f}"
    note(f"  {trial.number + 1}. {value} ({trial.seconds:.1f} s) {trial.hyperparameters}")


def _ended(name: str, outcome: "Tuned | str") -> None:
    if isinstance(outcome, str):
        data(f"{name}: {outcome}")
        return
    data(
        f"{name}: {outcome.validation:.4f} after {outcome.trials} trials in {outcome.seconds:.0f} s"
        f" with {outcome.hyperparameters}"
    )
