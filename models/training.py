"""Training: split by time, fit, evaluate against baselines, refit on everything, publish."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from interest_graph.errors import CheckpointError

from .baselines import tune_baselines
from .checkpoint import publish
from .evaluation.metrics import Evaluation, balanced, evaluate
from .evaluation.splits import temporal
from .evidence_search import search_evidence
from .fit_data import FitData, Texts, make_fit_data, model_shape
from .fitting import Fit, Fitted
from .item_graph import text_directions
from .likeness import lenders_of_each
from .processes import ALONE, Processes
from .published_ranker import PublishedRanker
from .tensorboard_log import tensorboard_log
from .text_encoder import TextEncoder, cached_embeddings, choose_device
from .training_config import Progress, TrainingConfig

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

    from interest_graph.interaction_graph import InteractionGraph

    from .blending import Blend
    from .evaluation.cases import Cases, Ranker
    from .item_evidence import EvidenceConfig
    from .item_graph import ItemEdges
    from .sparse_rows import Matrix

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """What training made.

    Args:
        directory: The published directory.
        model_version: Its name.
        metrics: The model on the test events, fitted on the events before validation.
        baselines: The same metrics of each baseline, fitted on the same events.
        edges: The item graph of the published model, with its evidence.
        edge_weights: (E,) float32, the published weights.
    """

    directory: Path
    model_version: str
    metrics: dict[str, float]
    baselines: dict[str, dict[str, float]]
    edges: ItemEdges
    edge_weights: Floats


def train(
    graph: InteractionGraph,
    config: TrainingConfig,
    models_dir: Path,
    text_cache: MutableMapping[str, Floats],
    progress: Callable[[Progress], None] = lambda _: None,
    incumbent: Path | None = None,
    processes: Processes = ALONE,
) -> TrainingResult:
    """Train a model on a graph and publish it.

    The latest events are the test, those before them the validation. The model is fitted on the
    rest, stopped by the validation and judged once by the test, next to baselines fitted on the
    same events and tuned on the same validation. Then it is fitted again on everything, for as many
    epochs, and published.

    Args:
        graph: The facts.
        config: How.
        models_dir: Where the model's directory is made.
        text_cache: From content hash to text embedding; read and filled.
        progress: Called now and then.
        incumbent: Directory of the model in service, judged by the same test as the baseline
            `in_service`; it may have been fitted on some of those events.
        processes: Who shares the work, of the same graph and configuration; all have the result.

    Raises:
        ValueError: There are too few events to split them by time.
    """
    return _Training(graph, config, models_dir, text_cache, progress, processes).run(incumbent)


class _Training:
    """The steps of `train`, which share their arguments."""

    def __init__(
        self,
        graph: InteractionGraph,
        config: TrainingConfig,
        models_dir: Path,
        text_cache: MutableMapping[str, Floats],
        progress: Callable[[Progress], None],
        processes: Processes,
    ) -> None:
        self._processes = processes
        self._graph, self._config, self._models_dir = graph, config, models_dir
        self._cache, self._progress = text_cache, progress
        self._device = choose_device(config.device)

    def run(self, incumbent: Path | None) -> TrainingResult:
        """All of it."""
        graph, config = self._graph, self._config
        split = temporal(
            graph,
            config.validation_share,
            config.test_share,
            config.evaluation_users(graph.num_items),
            config.seed,
        )
        past, check, known, test = split.train, split.check, split.known, split.test
        cuts = (float(check.as_of[0]), float(test.as_of[0]))
        config = self._config = config.for_cases(several=check.several)
        self._embed_texts()
        self._progress(Progress("baselines", 0, 1))
        directions = text_directions(self._texts.items, config.dim)
        lent, lent_in_all = lenders_of_each([past, graph], directions, words=config.words)
        evidence, baselines = self._baselines(past, check, test, lent)
        first = self._fit(past, cuts[0], evidence, lent, config.fit.epochs, check, "fit")
        live = known.popularity(cuts[1], config.popularity_half_life_days)
        judged = evaluate(first.fit.ranker(first.fitted, live), test)
        if incumbent is not None:
            # One of an older format cannot be asked; then there is nothing to beat.
            with suppress(CheckpointError):
                baselines["in_service"] = evaluate(PublishedRanker(incumbent), test).metrics
        self._progress(Progress("evaluate", 1, 1, judged.metrics))
        end = float(graph.event_time.max())
        epochs, blend = first.fitted.epochs, first.fitted.blend
        final = self._fit(graph, end, evidence, lent_in_all, epochs, None, "refit", blend)
        return self._processes.of_the_first(
            lambda: self._publish(first, final, judged, baselines, cuts)
        )

    def _embed_texts(self) -> None:
        """Embed all texts, those of the cache excepted."""
        graph, config = self._graph, self._config
        encoder = TextEncoder(config.text_model, str(self._device))
        self._encoder, found = encoder, []
        groups = (graph.item_texts, graph.category_texts, graph.brand_ids)
        for done, texts in enumerate(groups):
            self._progress(Progress("texts", done, len(groups), {"texts": float(len(texts))}))
            found.append(cached_embeddings(encoder, texts, self._cache))
        self._progress(Progress("texts", len(groups), len(groups)))
        self._texts = Texts(*found)

    def _baselines(
        self, past: InteractionGraph, check: Cases, test: Cases, lent: Matrix
    ) -> tuple[EvidenceConfig, dict[str, dict[str, float]]]:
        """Tune and judge the baselines; the evidence that serves the item graph best."""
        best, rankers = tune_baselines(past, check, test)
        config = self._config
        best, _ = search_evidence(past, check, config.similar_items, best, lent, ("borrowed",))
        judged = {name: evaluate(ranker, test).metrics for name, ranker in rankers.items()}
        self._progress(Progress("baselines", 1, 1))
        return best, judged

    def _fit(
        self,
        graph: InteractionGraph,
        now: float,
        evidence: EvidenceConfig,
        lent: Matrix,
        epochs: int,
        check: Cases | None,
        stage: str,
        blend: Blend | None = None,
    ) -> _Run:
        """Fit the model to a graph's events, as they stood at `now`."""
        config = self._config
        self._progress(Progress(stage, 0, 1))
        if config.tune_text:  # every fit starts from the pretrained encoder
            self._encoder = TextEncoder(config.text_model, str(self._device))
        encoder = self._encoder if config.tune_text else None
        tuned = replace(config, evidence=evidence)
        data = make_fit_data(graph, self._texts, tuned, now, self._device, encoder, lent)
        shape = model_shape(config, graph, self._texts.items.shape[1])
        settings = replace(config.fit, model=shape, epochs=epochs, seed=config.seed)
        validate = None if check is None else _validator(check)
        log_dir = config.log_dir if self._processes.first else None
        with tensorboard_log(log_dir, stage) as write:

            def report(done: int, total: int, figures: dict[str, float]) -> None:
                self._progress(Progress(stage, done, total, figures))
                write(done, figures)

            fit = Fit(data, settings, validate, report, blend, self._processes)
            fitted = fit.run()
        return _Run(fit, fitted, data)

    def _publish(
        self,
        first: _Run,
        final: _Run,
        judged: Evaluation,
        baselines: dict[str, dict[str, float]],
        cuts: tuple[float, float],
    ) -> TrainingResult:
        """Write the directory of the model that was fitted on everything."""
        graph, config = self._graph, self._config
        self._progress(Progress("publish", 0, 1))
        hyperparameters = asdict(config) | {"log_dir": None}
        metrics = {
            "protocol": "temporal, full ranking; fitted on the events before validation, histories "
            "and popularity as of the test; published after a refit on everything",
            "validation_from": cuts[0],
            "test_from": cuts[1],
            "test": judged.metrics,
            "baselines": baselines,
            "validation": first.fitted.validation,
            "losses": first.fitted.losses,
            "refit_losses": final.fitted.losses,
            "epochs": first.fitted.epochs,
            "blend": asdict(first.fitted.blend),
        }
        with tempfile.TemporaryDirectory() as scratch:
            tuned = None
            if config.tune_text:
                tuned = Path(scratch) / "text_encoder"
                self._encoder.save(tuned)
            fitted = final.fitted
            directory = publish(
                self._models_dir,
                fitted.model,
                item_ids=graph.item_ids,
                table=final.data.table,
                edges=final.data.edges,
                edge_weights=fitted.edge_weights,
                embeddings=fitted.embeddings,
                identities=final.data.identities,
                config={
                    "text_model": config.text_model,
                    "event_types": list(graph.event_types),
                    "hyperparameters": hyperparameters,
                },
                metrics=metrics,
                text_encoder=tuned,
            )
        self._progress(Progress("publish", 1, 1))
        weights = fitted.edge_weights.cpu().numpy()
        edges = final.data.edges
        return TrainingResult(directory, directory.name, judged.metrics, baselines, edges, weights)


@dataclass(frozen=True, slots=True)
class _Run:
    """A fit with what it read."""

    fit: Fit
    fitted: Fitted
    data: FitData


def _validator(cases: Cases) -> Callable[[Ranker], float]:
    """The metric that stops training."""

    def validate(ranker: Ranker) -> float:
        return balanced(evaluate(ranker, cases))

    return validate
