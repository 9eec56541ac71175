"""One evaluation: data, protocol and models by name; results into a file."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch

from models.allocator import freed_memory_kept
from models.evaluation.contenders import contenders
from models.evaluation.environment import environment
from models.evaluation.protocols import SplitConfig, main_metric, make_data_stream, make_split
from models.evaluation.results import Asked, Results
from models.evaluation.results_file import read_models, write_results
from models.evaluation.run import RunConfig, run_models
from models.evaluation.run_prequential import TEST, asked_of, line_pairs, run_prequential
from models.evaluation.summary import summarise
from models.evaluation.tuned import read_tuned

from .find import find_data_set
from .text_embeddings import make_context

if TYPE_CHECKING:
    from pathlib import Path

    from models.evaluation.data_set import DataSet
    from models.evaluation.prequential import Stream
    from models.evaluation.splits import Split
    from models.evaluation.summary import Summary

    from ..local_stack.report import Report

RESAMPLES = 2000
PREQUENTIAL = "prequential"
TUNED_AS = {PREQUENTIAL: ("temporal", "temporal_next"), "cold_users": ("leave_one_out",)}
"""Whose hyperparameters a protocol takes that nothing was tuned for: the first that has any."""


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for on the command line.

    Args:
        data: Name or folder.
        protocol: None for what suits the data.
        models: None for all.
        seeds: Fits of each random model.
        refit: Learn from train and validation together.
        json: The results file, read and written.
        fresh: Run models again.
        data_root: Where named data sets lie.
        max_cases: Cases to judge by; 0 for all.
        threads: Threads of a fit.
        device: Where networks are fitted: cpu, cuda, or auto for CUDA where there is one.
        retrain_days: Of prequential evaluations: days from one nightly training to the next.
    """

    data: str
    protocol: str | None = None
    models: tuple[str, ...] | None = None
    seeds: int = 1
    refit: bool = True
    json: Path | None = None
    fresh: bool = False
    data_root: Path | None = None
    max_cases: int = 0
    threads: int = 1
    device: str = "auto"
    retrain_days: int = 1


@freed_memory_kept()
def run_evaluation(request: Request, report: Report) -> tuple[Results, list[Summary]]:
    """Run what is not in the results file yet, and sum everything up.

    Raises:
        InvalidInputError: The data are not there or not what they should be.
        ValueError: The protocol, a model or the results file does not fit.
    """
    report("read the data")
    data = find_data_set(request.data, request.data_root)
    protocol = request.protocol or data.protocols[0]
    sampled = SplitConfig(max_cases=request.max_cases)
    split = make_split(data, protocol, sampled)
    stream = make_data_stream(data, sampled) if protocol == PREQUENTIAL else None
    report("read the data", 1, 1)
    tuned = tuned_for(data.name, protocol)
    context = make_context(data.graph, request.threads, tuned, request.device)
    chosen = contenders(request.models, context)
    torch.set_num_threads(request.threads)
    results = _results(request, data, protocol, split, stream)

    def save(summaries: list[Summary] | None = None) -> None:
        if request.json is not None:
            graph = data.graph
            said: Any = None if summaries is None else [asdict(one) for one in summaries]
            write_results(request.json, results, graph.user_ids, graph.item_ids, said)

    seeds = tuple(range(request.seeds))
    config = RunConfig(seeds, request.refit, request.fresh, request.retrain_days)
    if stream is None:
        run_models(split, chosen, tuned, config, results, save, report)
    else:
        run_prequential(stream, split, chosen, tuned, config, results, save, report)
    report("resample the users")
    pairs = line_pairs(results) if stream is not None else []
    summaries = summarise(results, main_metric(protocol), RESAMPLES, pairs)
    report("resample the users", 1, 1)
    save(summaries)
    return results, summaries


def tuned_for(data: str, protocol: str) -> dict[str, dict[str, Any]]:
    """What was tuned for a protocol on a data set, or for one whose hyperparameters it takes."""
    found = (read_tuned(data, name) for name in (protocol, *TUNED_AS.get(protocol, ())))
    return next(filter(None, found), {})


def _results(
    request: Request, data: DataSet, protocol: str, split: Split, stream: Stream | None
) -> Results:
    """The results so far: those of the file, when it is of the same set-up."""
    setup = {
        "data": data.name,
        "digest": data.digest,
        "protocol": protocol,
        "split": asdict(SplitConfig(max_cases=request.max_cases)),
        "refit": request.refit,
    }
    if stream is None:
        asked = {name: Asked.of(cases) for name, cases in split.tests.items()}
    else:
        asked = {TEST: asked_of(stream)}
        setup["retrain_days"] = request.retrain_days
    counts = {
        "all": data.counts,
        "train_events": split.train.num_events,
        "known_events": split.known.num_events,
        "validation_cases": len(split.check),
        "test_cases": {name: len(one.user) for name, one in asked.items()},
    }
    before = read_models(request.json, setup) if request.json is not None else {}
    return Results(setup, environment(), counts, asked, before)
