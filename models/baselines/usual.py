"""Which baselines are usual: those that published comparisons of recommenders have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .personal_popularity import PersonalPopularity
from .text_knn import TextKNN

if TYPE_CHECKING:
    from collections.abc import Mapping

UNUSUAL = frozenset({PersonalPopularity.name, TextKNN.name})
"""Tuned baselines that comparisons leave out, and that are the hardest to beat where they fit."""


def is_usual(name: str, found: Mapping[str, Any] | None = None) -> bool:
    """Whether a baseline is a usual one.

    Args:
        name: Of the baseline.
        found: What its fit found: a sum is as usual as its parts.

    >>> is_usual("ease"), is_usual("weighted_sum", {"parts": {"ease": {}, "text_knn": {}}})
    (True, False)
    """
    return UNUSUAL.isdisjoint({name, *(found or {}).get("parts", {})})
