"""Training as a task and as a call: read the graph, train, compare, roll out what is better."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import structlog

from interest_graph.errors import TransientError
from interest_graph.graph import reads
from interest_graph.graph.store import GraphStore
from interest_graph.redis_client import connect
from interest_graph.roll_out import roll_out
from interest_graph.serving_state import ServingState
from interest_graph.training_data import read_training_data

from .roll_out_decision import decide, fair_baselines
from .wake_up import FINISH_ROLL_OUT, TRAINING_QUEUE, roll_out_unfinished

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from celery import Celery

    from interest_graph.settings import Settings
    from interest_graph.training_data import TrainingData
    from models.processes import Processes
    from models.training import TrainingResult
    from models.training_config import TrainingConfig

TRAIN = "interest_graph.train"

FIRST_THREADS = 8
"""Threads of torch at most in a first training, of all processors; its steps are small."""

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training did.

    Args:
        model_version: The new model.
        metrics: Its metrics on the test events.
        baselines: The same of popularity, the item-item baseline and the model in service.
        rolled_out: Whether it is in service now.
        reason: Why, or why not.
    """

    model_version: str
    metrics: dict[str, float]
    baselines: dict[str, dict[str, float]]
    rolled_out: bool
    reason: str


def train_model(
    settings: Settings,
    config: TrainingConfig | None = None,
    *,
    force: bool = False,
    progress: Callable[[str, int, int, dict[str, float]], None] = lambda *_: None,
    processes: Processes | None = None,
) -> Trained:
    """Train on the graph and put the model in service if it beats the one that is.

    The comparison is by NDCG@10 on the same test events: against popularity, and against the model
    in service, unless that was fitted on them: see `roll_out_decision`.

    Args:
        settings: Where everything is.
        config: Hyperparameters; by default those of the settings.
        force: Roll out whatever the comparison says.
        progress: Told (stage, done, total, figures).
        processes: Who shares the work; the first alone reads the graph and rolls out.

    Raises:
        ValueError: There are too few events to train on.
        GraphUnavailableError: Neo4j is away.
    """
    import torch  # noqa: PLC0415 torch loads only to train

    from models.allocator import freed_memory_kept  # noqa: PLC0415 torch loads only to train
    from models.processes import ALONE  # noqa: PLC0415 torch loads only to train
    from models.threads import processors  # noqa: PLC0415 torch loads only to train
    from models.training import train  # noqa: PLC0415 torch loads only to train

    processes = processes or ALONE
    torch.set_num_threads(settings.torch_threads)
    serving = ServingState(connect(settings.serving_url, settings), settings)
    with freed_memory_kept(), closing(GraphStore(settings)) as graph:
        data = processes.of_the_first(
            lambda: read_training_data(
                graph, settings, lambda what: progress(f"read {what}", 0, 1, {})
            )
        )
        incumbent = processes.of_the_first(lambda: _incumbent(graph, serving, settings))
        if serving.head()[0] is None:  # nobody has lists yet whom a training could hold up
            threads = min(FIRST_THREADS, processors() // processes.size)
            torch.set_num_threads(max(settings.torch_threads, threads))
        result = train(
            data.graph,
            config or training_config(settings),
            settings.models_dir,
            data.text_cache,
            lambda step: progress(step.stage, step.done, step.total, step.figures),
            incumbent=incumbent,
            processes=processes,
        )
        return processes.of_the_first(
            lambda: _roll_out_if_better(
                result, data, incumbent, graph, serving, settings, progress, force=force
            )
        )


def _incumbent(graph: GraphStore, serving: ServingState, settings: Settings) -> Path | None:
    """Directory of the model in service, whose roll-out is finished first."""
    in_service = graph.read(reads.fetch_model_in_service)
    manifest, _ = serving.head()
    if roll_out_unfinished(in_service, manifest):
        _finish_roll_out(settings.models_dir / str(in_service), graph, serving, settings)
    incumbent = settings.models_dir / in_service if in_service else None
    if incumbent is not None and not incumbent.is_dir():
        logger.warning("model_in_service_is_gone", model_version=in_service)
        return None
    return incumbent


def _roll_out_if_better(
    result: TrainingResult,
    data: TrainingData,
    incumbent: Path | None,
    graph: GraphStore,
    serving: ServingState,
    settings: Settings,
    progress: Callable[[str, int, int, dict[str, float]], None],
    *,
    force: bool,
) -> Trained:
    """Compare, and put the new model in service when it is better."""
    from models.item_encoder import ItemEncoder  # noqa: PLC0415 torch loads only to train

    baselines = fair_baselines(result.directory, result.baselines, incumbent)
    better, reason = decide(result.metrics, baselines)
    if better or force:
        encoder = ItemEncoder.load(
            result.directory,
            settings.device,
            settings.torch_threads,
            data.text_cache,
        )
        roll_out(
            result.directory,
            {name: value for name, value in result.metrics.items() if "_at_" in name},
            encoder,
            graph,
            serving,
            settings,
            lambda done, total: progress("roll out", done, total, {}),
            data.item_revisions,
        )
    logger.info("trained", model_version=result.model_version, rolled_out=better or force)
    return Trained(result.model_version, result.metrics, baselines, better or force, reason)


def _finish_roll_out(
    directory: Path, graph: GraphStore, serving: ServingState, settings: Settings
) -> None:
    """Put the graph's model in service everywhere: whoever began that did not finish it."""
    from models.item_encoder import ItemEncoder  # noqa: PLC0415 torch loads only to train

    if directory.is_dir():
        logger.warning("roll_out_resumed", model_version=directory.name)
        encoder = ItemEncoder.load(directory, settings.device, settings.torch_threads)
        roll_out(directory, {}, encoder, graph, serving, settings, resume=True)


def finish_roll_out(settings: Settings) -> None:
    """Finish the roll-out of whoever died in the middle of it, if there is one."""
    with closing(GraphStore(settings)) as graph:
        serving = ServingState(connect(settings.serving_url, settings), settings)
        in_service = graph.read(reads.fetch_model_in_service)
        if not roll_out_unfinished(in_service, serving.head()[0]):
            return
        try:
            _finish_roll_out(settings.models_dir / str(in_service), graph, serving, settings)
        except TransientError as error:  # the sweeper comes back to it
            logger.warning("roll_out_waits", error=str(error))


def training_config(settings: Settings) -> TrainingConfig:
    """Hyperparameters by default, with what the settings decide."""
    from models.training_config import TrainingConfig  # noqa: PLC0415 torch loads only to train

    return replace(
        TrainingConfig(),
        text_model=settings.text_model,
        tune_text=settings.train_text_encoder,
        device=settings.device,
        max_events=settings.interest_events,
        again_events=settings.again_events,
        similar_items=settings.similar_items,
        num_neighbors=settings.num_neighbors,
        popularity_half_life_days=settings.popularity_half_life_days,
        log_dir=settings.models_dir / "tensorboard",
    )


def register_training(app: Celery, settings: Settings) -> None:
    """Add the training task to the application."""

    @app.task(name=TRAIN, queue=TRAINING_QUEUE, acks_late=False, shared=False)
    def train_task() -> None:
        train_model(settings)

    @app.task(name=FINISH_ROLL_OUT, queue=TRAINING_QUEUE, acks_late=False, shared=False)
    def finish_roll_out_task() -> None:
        finish_roll_out(settings)
