"""Which baselines are usual: those that comparisons of recommenders mostly have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .personal_popularity import PersonalPopularity
from .text_knn import TextKNN
from .weighted_sum import WeightedSum

if TYPE_CHECKING:
    from collections.abc import Mapping

UNUSUAL = frozenset({PersonalPopularity.name, TextKNN.name})
"""Those that only some have, such as comparisons of next baskets: the hardest where they fit."""


def is_usual(name: str, found: Mapping[str, Any] | None = None) -> bool:
    """Whether a baseline is a usual one.

    Args:
        name: Of the baseline.
        found: What its fit found: a weighted sum is as usual as its parts, and without them not.

    >>> is_usual("ease"), is_usual("weighted_sum", {"parts": {"ease": {}, "text_knn": {}}})
    (True, False)
    >>> is_usual("usual_sum"), is_usual("weighted_sum")
    (True, False)
    """
    parts = (found or {}).get("parts", {})
    unknown = name == WeightedSum.name and not parts
    return not unknown and UNUSUAL.isdisjoint({name, *parts})
