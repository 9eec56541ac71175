"""One tuning: data, protocol and models by name, the same budget for each."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import torch

from models.allocator import freed_memory_kept
from models.baselines.infeasible import InfeasibleError
from models.evaluation.contenders import REGISTRY, contenders
from models.evaluation.protocols import SplitConfig, main_metric, make_split
from models.evaluation.search_space import read_search_spaces
from models.evaluation.tuned import FOLDER, read_tuned, tuned_path
from models.evaluation.tuning import (
    Budget,
    Trial,
    Tuned,
    read_trials,
    tune,
    write_trials,
    write_tuned,
)

from ..local_stack.paths import cache_dir
from .find import find_data_set
from .text_embeddings import make_context

if TYPE_CHECKING:
    from collections.abc import Callable

    from models.evaluation.context import Context
    from models.evaluation.data_set import DataSet

TRIALS = Path("benchmarks") / "trials"


@dataclass(frozen=True, slots=True)
class TuningRequest:
    """What was asked for on the command line.

    Args:
        data: Name or folder.
        protocol: None for what suits the data.
        models: None for all.
        budget: Of each model.
        fresh: Forget earlier trials.
        data_root: Where named data sets lie.
        max_cases: Validation cases to judge by; 0 for all.
        threads: Threads of a fit.
        device: Where networks are fitted: cpu, cuda, or auto for CUDA where there is one.
        hyperparameters: Folder of what was found.
        trials: Folder of all trials.
    """

    data: str
    protocol: str | None
    models: tuple[str, ...] | None
    budget: Budget
    fresh: bool = False
    data_root: Path | None = None
    max_cases: int = 0
    threads: int = 1
    device: str = "auto"
    hyperparameters: Path = FOLDER
    trials: Path = TRIALS


@freed_memory_kept()
def run_tuning(
    request: TuningRequest,
    started: Callable[[str], None],
    report: Callable[[Trial], None],
    ended: Callable[[str, Tuned | str], None],
) -> Path:
    """Tune every model that was asked for and write what was found after each.

    Args:
        request: What.
        started: Called with the name of each model.
        report: Called with each of its trials.
        ended: Called with its name and the outcome, or why there is none.

    Returns:
        The file of what was found.

    Raises:
        InvalidInputError: The data are not there or not what they should be.
        ValueError: The protocol or a model does not fit.
    """
    data = find_data_set(request.data, request.data_root)
    protocol = request.protocol or data.protocols[0]
    split = make_split(data, protocol, SplitConfig(max_cases=request.max_cases))
    torch.set_num_threads(request.threads)
    spaces, metric = read_search_spaces(), main_metric(protocol)
    folder = request.hyperparameters

    def context() -> Context:
        tuned = read_tuned(data.name, protocol, folder)
        return make_context(data.graph, request.threads, tuned, request.device)

    chosen = REGISTRY if request.models is None else request.models
    contenders(chosen, context())  # a name that there is not is refused before anything runs
    for name in chosen:
        now = {one.name: one for one in contenders(request.models, context())}
        if name not in now:  # a sum that is another's equal, as others were tuned until now
            continue
        contender = now[name]
        space = spaces.get(name, {})
        relies_on = getattr(contender, "relies_on", {})
        settings = [space, dict(contender.defaults), *([relies_on] if relies_on else [])]
        journal = _journal(data, protocol, name, request, settings)
        trials = request.trials / f"{data.name}.{protocol}.{name}.json"
        started(name)
        try:
            tuned = tune(
                split,
                contender,
                space,
                request.budget,
                journal,
                metric,
                report=report,
                earlier=[]
                if request.fresh or relies_on
                else read_trials(trials, request.max_cases),
            )
        except InfeasibleError as error:
            ended(name, str(error))
            continue
        write_trials(trials, tuned, space, request.budget, metric, request.max_cases)
        write_tuned(tuned_path(data.name, protocol, folder), name, tuned)
        ended(name, tuned)
    return tuned_path(data.name, protocol, folder)


def _journal(
    data: DataSet, protocol: str, name: str, request: TuningRequest, settings: object
) -> Path:
    """Where a model's trials are kept as they end; other facts or search spaces, other file."""
    content = orjson.dumps([data.digest, request.max_cases, settings])
    digest = hashlib.blake2b(content, digest_size=6).hexdigest()
    path = cache_dir() / "tuning" / f"{data.name}.{protocol}.{name}.{digest}.journal"
    if request.fresh:
        path.unlink(missing_ok=True)
    return path
