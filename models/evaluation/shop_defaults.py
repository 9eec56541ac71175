"""The model as a shop trains it that changes no setting, as a contender."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import orjson

from models.baselines import tune_baselines
from models.evidence_search import search_evidence
from models.item_evidence import EvidenceConfig
from models.item_graph import text_directions
from models.likeness import lenders
from models.training_config import TrainingConfig

from .interest_graph import NAME, InterestGraph
from .metrics import balanced, evaluate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from interest_graph.interaction_graph import InteractionGraph

    from .cases import Cases, Ranker
    from .context import Context


class ShopDefaults(InterestGraph):
    """The joint model by `TrainingConfig()`: smaller, in fewer steps, and nothing tuned.

    Evidence is chosen and training stopped as `models.training` does it, on 2,500 cases of the
    validation at most, as for every model of an evaluation. Its hyperparameters, where several
    items are wanted of a case and where the next one is, are there to be read: none can be changed.

    Args:
        context: Texts, and threads.
    """

    defaults: Mapping[str, Any] = {
        name: orjson.loads(orjson.dumps(asdict(TrainingConfig().for_cases(several=several))))
        for name, several in (("several", True), ("next_item", False))
    }

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.name = f"{NAME}_shop_defaults"

    def search(
        self, graph: InteractionGraph, check: Cases, given: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The evidence of the neighbourhood that validates best, and whether several are wanted."""
        if "evidence" in given:
            return {}
        config = TrainingConfig()
        best, _ = tune_baselines(graph, check, check)
        lent = lenders(graph, text_directions(self.texts(graph).items, config.dim))
        best, _ = search_evidence(graph, check, config.similar_items, best, lent, ("borrowed",))
        return {"evidence": asdict(best), "within": check.several}

    def configured(
        self, given: Mapping[str, Any], seed: int, graph: InteractionGraph
    ) -> TrainingConfig:
        """The defaults, with what was found; `graph` changes nothing."""
        del graph
        config = TrainingConfig().for_cases(several=given.get("within", True))
        return replace(config, evidence=EvidenceConfig(**given.get("evidence", {})), seed=seed)

    def validator(self, check: Cases) -> Callable[[Ranker], float]:
        """What stops training: the mean of all items and new ones."""
        return lambda ranker: balanced(evaluate(ranker, check))
