"""The baselines that every training is compared with, fitted and tuned on the same events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from models.evaluation.context import Context
from models.evaluation.metrics import MAIN_METRIC, evaluate
from models.item_evidence import EvidenceConfig

from .personal_popularity import PersonalPopularity
from .recent_popularity import RecentPopularity
from .sequence_knn import SequenceKNN

if TYPE_CHECKING:
    from interest_graph.interaction_graph import InteractionGraph
    from models.evaluation.cases import Cases, Ranker
    from models.evaluation.contender import Contender

DECAYS = (0.95, 0.98, 1.0)
HALF_LIVES = (15.0, 30.0, 60.0, 120.0)
NORMS = ((1.0, 0.0), (0.75, 0.25), (0.5, 0.5))


def tune_baselines(
    past: InteractionGraph, check: Cases, test: Cases
) -> tuple[EvidenceConfig, dict[str, Ranker]]:
    """Fit the baselines, each with the hyperparameters that validate best by NDCG@10.

    Args:
        past: The events before validation, from which the neighbourhood is learned.
        check: The validation.
        test: The test; its history is what popularity is counted in, as in service.

    Returns:
        The evidence of the best neighbourhood, and the rankers by name.
    """
    del test
    knn = SequenceKNN(Context())
    norms = [{"source_power": source, "target_power": target} for source, target in NORMS]
    best, _ = _best(knn, [dict(knn.defaults) | norm for norm in norms], past, check)
    best, ranker = _best(knn, [best | {"history_decay": decay} for decay in DECAYS], past, check)
    config = EvidenceConfig(source_power=best["source_power"], target_power=best["target_power"])
    rankers = {knn.name: ranker}
    by_age: dict[str, Contender] = {
        "popularity": RecentPopularity(Context()),
        "personal_popularity": PersonalPopularity(Context()),
    }
    for name, one in by_age.items():
        half_lives = [dict.fromkeys(one.defaults, days) for days in HALF_LIVES]
        rankers[name] = _best(one, half_lives, past, check)[1]
    return config, rankers


def _best(
    contender: Contender, tried: list[dict[str, Any]], past: InteractionGraph, check: Cases
) -> tuple[dict[str, Any], Ranker]:
    """The hyperparameters that validate best, the first of equals, and their ranker."""
    fitted = [contender.fit(past, hyperparameters, 0, None).ranker for hyperparameters in tried]
    values = [evaluate(ranker, check).metrics.get(MAIN_METRIC, 0.0) for ranker in fitted]
    best = values.index(max(values))
    return tried[best], fitted[best]
