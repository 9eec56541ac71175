"""How loud each term of the score is: a few factors, tuned on what validation ranks."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from .recommender import Recommender

FACTORS = (2.0, 0.5)
MOST = 16.0
WORTHWHILE = 1.002  # a smaller gain is chance


@dataclass(frozen=True, slots=True)
class Blend:
    """Factors on the terms of the score, beside which the attention's term stays as it is.

    Training fits the next event; a list is judged by what comes within days. The terms carry over,
    their proportion does not quite, so it is tuned on the validation like a baseline's would be.

    Args:
        popularity: On the bias.
        edges: On the weights of edges between different items.
        again: On ρ, how much a thing is wanted again.
    """

    popularity: float = 1.0
    edges: float = 1.0
    again: float = 1.0


@torch.no_grad()
def apply_blend(model: Recommender, blend: Blend) -> None:
    """Multiply the factors into a model's weights."""
    model.popularity_weight.mul_(blend.popularity)
    model.edge_net.log_scale.add_(math.log(blend.edges))
    model.interest_encoder.again_type.add_(math.log(blend.again))


def tune_blend(judge: Callable[[Blend], float], start: Blend) -> tuple[Blend, float]:
    """Search one factor after the other, each as far as it helps, within 1/16 … 16.

    Args:
        judge: The validation metric of a blend.
        start: Where the search begins.

    Returns:
        The best blend found, and its value.
    """
    best, value = start, judge(start)
    for name in ("again", "popularity", "edges"):
        for factor in FACTORS:
            improved = False
            while True:
                changed = getattr(best, name) * factor
                if not 1 / MOST <= changed <= MOST:
                    break
                tried = replace(best, **{name: changed})
                found = judge(tried)
                if found <= value * WORTHWHILE:
                    break
                best, value, improved = tried, found, True
            if improved:
                break
    return best, value
