"""How loud each term of the score is: a few factors, tuned on what validation ranks."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .recommender import Recommender

FACTORS = (2.0, 0.5)
FINE_FACTORS = (2**0.5, 2**-0.5)
MOST = 64.0
ROUNDS = 2
TERMS = ("again", "popularity", "edges", "interest")
WORTHWHILE = 1.002  # a smaller gain is chance


@dataclass(frozen=True, slots=True)
class Blend:
    """Factors on the terms of the score.

    Training fits the next event; a list is judged by what comes within days. The terms carry over,
    their proportion does not quite, so it is tuned on the validation like a baseline's would be.

    Args:
        popularity: On the bias.
        edges: On γ, how much an event says for other items.
        again: On ρ, how much a thing is wanted again.
        interest: On the attention's term.
    """

    popularity: float = 1.0
    edges: float = 1.0
    again: float = 1.0
    interest: float = 1.0


@torch.no_grad()
def apply_blend(model: Recommender, blend: Blend) -> None:
    """Multiply the factors into a model's weights."""
    model.popularity_weight.mul_(blend.popularity)
    model.interest_encoder.gamma_type.add_(math.log(blend.edges))
    model.interest_encoder.again_scale.add_(math.log(blend.again))
    model.interest_encoder.score_map.mul_(blend.interest)


def tune_blend(
    judge: Callable[[Blend], float], start: Blend, terms: Sequence[str] = TERMS
) -> tuple[Blend, float]:
    """Search one factor after the other, each as far as it helps, within 1/64 … 64.

    Twice round by twos, then by their roots: proportions between terms are worth more than a factor
    of two can tell.

    Args:
        judge: The validation metric of a blend.
        start: Where the search begins.
        terms: The factors that are searched.

    Returns:
        The best blend found, and its value.
    """
    best, value = start, judge(start)
    for factors, rounds in ((FACTORS, ROUNDS), (FINE_FACTORS, 1)):
        for _ in range(rounds):
            before = best
            for name in terms:
                best, value = _along(name, factors, judge, best, value)
            if best == before:
                break
    return best, value


def _along(
    name: str,
    factors: Sequence[float],
    judge: Callable[[Blend], float],
    best: Blend,
    value: float,
) -> tuple[Blend, float]:
    """Change one factor as far as it helps, up, or else down."""
    start = best
    for factor in factors:
        while 1 / MOST <= getattr(best, name) * factor <= MOST:
            tried = replace(best, **{name: getattr(best, name) * factor})
            found = judge(tried)
            if found <= value * WORTHWHILE:
                break
            best, value = tried, found
        if best != start:
            break
    return best, value
