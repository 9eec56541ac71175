"""Our own model as a contender: the joint model that the service trains."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from models.blending import Blend
from models.evidence_search import search_evidence
from models.fit_config import FitConfig
from models.fit_data import Texts, make_fit_data, model_shape
from models.fitting import Fit, Fitted
from models.graph_encoder import GraphEncoderConfig
from models.interest_encoder import InterestEncoderConfig
from models.item_evidence import EvidenceConfig
from models.item_graph import text_directions
from models.likeness import lenders
from models.popularity_search import search_popularity
from models.recommender import RecommenderConfig
from models.text_encoder import choose_device
from models.training_config import TrainingConfig

from .ablation import leave_out
from .contender import Fitted as Outcome
from .metrics import MAIN_METRIC, evaluate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from interest_graph.interaction_graph import InteractionGraph

    from .cases import Cases, Floats, Ranker
    from .contender import Hyperparameters
    from .context import Context

NAME = "interest_graph"
CHECK_CASES = 2500
SEARCH_CASES = 1200
WITHIN_EPOCHS = 1  # where several items are wanted: the next event is no good guide for long
SEARCHED = ("evidence", "rank_decay", "popularity_half_life_days", "within")
FIT = (
    "batch_events",
    "negatives",
    "learning_rate",
    "identity_rate",
    "identity_decay",
)
TRAINING = (
    "dim",
    "max_events",
    "again_events",
    "similar_items",
    "text_edges",
    "folds",
)


class InterestGraph:
    """The joint model of `models.recommender`, fitted by the `Fit` that training uses.

    A fit with a validation first searches how pairs of events become evidence, then trains with
    early stopping and blends the terms; a refit does the same with what was found.

    Args:
        context: Texts, threads, and what tuning found.
        without: The part that is left out, one of `PARTS`, for an ablation: it takes the
            hyperparameters of the whole model, and the evidence found for it.
    """

    seeded = True
    searched = SEARCHED
    defaults: Mapping[str, Any] = {
        "dim": 128,
        "max_events": 100,
        "again_events": 500,
        "identity_dropout": 0.3,
        "similar_items": 50,
        "text_edges": 4,
        "folds": 10,
        "epochs": 12,
        "batch_events": 1600,
        "negatives": 1024,
        "learning_rate": 6e-3,
        "identity_rate": 3.0,
        "identity_decay": 1e-2,
    }

    def __init__(self, context: Context, without: str | None = None) -> None:
        self._context, self._without = context, without
        self.name = NAME if without is None else f"{NAME}_without_{without}"
        if without is not None:
            whole = context.tuned.get(NAME, {})
            found = {n: one for n, one in whole.get("found", {}).items() if n in SEARCHED}
            self.defaults = {**self.defaults, **whole.get("hyperparameters", {}), **found}

    def fit(
        self,
        graph: InteractionGraph,
        hyperparameters: Hyperparameters,
        seed: int,
        check: Cases | None,
    ) -> Outcome:
        """Fit the joint model."""
        model = self.trained(graph, hyperparameters, seed, check)
        return Outcome(model.ranker, model.found)

    def trained(
        self,
        graph: InteractionGraph,
        hyperparameters: Hyperparameters,
        seed: int,
        check: Cases | None,
    ) -> TrainedModel:
        """The fitted model itself; as `fit`."""
        given = dict(hyperparameters)
        if check is not None:
            check = _sample(check, CHECK_CASES)
            given |= self.search(graph, check, given)
        config, texts = self.configured(given, seed, graph), self.texts(graph)
        graph, texts, config = leave_out(self._without, graph, texts, config)
        now = float(graph.event_time.max(initial=0.0))
        data = make_fit_data(graph, texts, config, now, choose_device(self._context.device))
        shape = model_shape(config, graph, texts.items.shape[1])
        epochs = config.fit.epochs
        if check is None:
            epochs = given.get("best_epochs", epochs)
        settings = replace(config.fit, model=shape, epochs=epochs, seed=seed)
        blend = Blend(**given.get("blend", {}))
        validate = None if check is None else self.validator(check)
        fit = Fit(data, settings, validate, lambda *_: None, blend)
        fitted = fit.run()
        found = {
            "evidence": asdict(config.evidence),
            "rank_decay": given.get("rank_decay", 0.9),
            "popularity_half_life_days": config.popularity_half_life_days,
            "within": bool(given.get("within", False)),
            "best_epochs": fitted.epochs,
            "blend": asdict(fitted.blend),
        }
        return TrainedModel(fit, fitted, found, config.popularity_half_life_days)

    def live(
        self, graph: InteractionGraph, hyperparameters: Hyperparameters, seed: int
    ) -> TrainedModel:
        """Fit, and keep up with what happens afterwards as the service does."""
        return self.trained(graph, hyperparameters, seed, None)

    def search(
        self, graph: InteractionGraph, check: Cases, given: Mapping[str, Any]
    ) -> dict[str, Any]:
        """What is found before the fit: evidence, how popularity fades, and what is asked for.

        Where several items are wanted `within` some time, targets of the training are drawn from
        all that follows; where the next one is, it is that. Where only some items are asked for,
        such as cold ones, how many are wanted says nothing about the time.
        """
        if "evidence" in given:
            return {}
        some = _sample(check, SEARCH_CASES)
        lent = lenders(graph, text_directions(self.texts(graph).items, given["dim"]))
        evidence, decay = search_evidence(
            graph, some, given["similar_items"], EvidenceConfig(), lent
        )
        within = check.several and check.candidates is None
        return {
            "evidence": asdict(evidence),
            "rank_decay": decay,
            "popularity_half_life_days": search_popularity(some),
            "within": within,
        }

    def configured(
        self, given: Mapping[str, Any], seed: int, graph: InteractionGraph
    ) -> TrainingConfig:
        """Hyperparameters as training takes them, for the events that it will learn from."""
        shape = RecommenderConfig(
            GraphEncoderConfig(identity_dropout=given["identity_dropout"]),
            InterestEncoderConfig(rank_decay=given.get("rank_decay", 0.9)),
        )
        within = bool(given.get("within", False))
        any_order = not graph.has_order
        baskets = within and not any_order
        fit = FitConfig(
            shape,
            epochs=min(given["epochs"], WITHIN_EPOCHS) if baskets else given["epochs"],
            patience=given["epochs"],
            look_ahead=1.0 if within else 0.0,
            any_order=any_order,
            same_moment=0.25 if baskets else 1.0,
            **{name: given[name] for name in FIT},
        )
        return TrainingConfig(
            **{name: given[name] for name in TRAINING},
            popularity_half_life_days=given.get("popularity_half_life_days", 365.0),
            evidence=EvidenceConfig(**given.get("evidence", {})),
            fit=fit,
            seed=seed,
        )

    def validator(self, check: Cases) -> Callable[[Ranker], float]:
        """The metric that stops training."""
        return lambda ranker: evaluate(ranker, check).metrics.get(MAIN_METRIC, 0.0)

    def texts(self, graph: InteractionGraph) -> Texts:
        """Embeddings of all texts; without texts one empty direction."""
        encode = self._context.encode_texts
        if self._context.text_embeddings is None or encode is None:
            sizes = (graph.num_items, len(graph.category_ids), len(graph.brand_ids))
            return Texts(*(np.zeros((size, 1), np.float32) for size in sizes))
        items: Floats = self._context.text_embeddings()
        return Texts(items, encode(graph.category_texts), encode(graph.brand_ids))


@dataclass(frozen=True)
class TrainedModel:
    """A fitted model with what its fit found."""

    fit: Fit
    fitted: Fitted
    found: dict[str, Any]
    half_life_days: float

    @cached_property
    def ranker(self) -> Ranker:
        """Scores all items, with popularity as it stood at the end of training."""
        return self.fit.ranker(self.fitted)

    def ranker_at(self, graph: InteractionGraph, time: float) -> Ranker:
        """The same with popularity as it stands at a moment, as the service keeps it."""
        popularity = graph.popularity(time, self.half_life_days)
        return self.fit.ranker(self.fitted, popularity)


def _sample(check: Cases, count: int) -> Cases:
    """At most so many cases of a validation."""
    if len(check) <= count:
        return check
    chosen = np.random.default_rng(0).permutation(len(check))[:count]
    return check.take(np.sort(chosen))
