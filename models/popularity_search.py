"""Finds out on the validation how fast popularity fades."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .baselines.recent_popularity import RecentPopularityRanker
from .evaluation.metrics import MAIN_METRIC, evaluate

if TYPE_CHECKING:
    from .evaluation.cases import Cases

HALF_LIVES_DAYS = (1.5, 3.0, 7.0, 15.0, 30.0, 60.0, 120.0, 365.0, 3650.0)


def search_popularity(check: Cases) -> float:
    """The half-life in days with which popularity alone ranks new items best.

    Args:
        check: The validation; popularity is counted in its history.
    """

    def judge(half_life_days: float) -> float:
        metrics = evaluate(RecentPopularityRanker(half_life_days), check).metrics
        return metrics.get(f"new_{MAIN_METRIC}", metrics.get(MAIN_METRIC, 0.0))

    return max(HALF_LIVES_DAYS, key=judge)
