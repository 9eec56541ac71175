"""Bootstrap over users: how much of a figure is who happened to be asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .cases import Ints
    from .metrics import Values

RESAMPLES = 2000
LEVEL = 0.95
DRAWN_AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with the bounds between which it lies in 95 of 100 resamples.

    Args:
        value: The figure.
        low: 2.5 % of the resamples are below.
        high: 2.5 % are above.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """A model against another on the same resampled users.

    Args:
        difference: Its mean less the other's.
        relative_gain: The difference as a share of the other's mean.
    """

    difference: Interval
    relative_gain: Interval


class Bootstrap:
    """Resamples users with replacement, all of a user's cases together.

    Every mean comes from the same draws, so that means can be compared pair by pair (Efron and
    Tibshirani, 1993; percentile intervals).

    Args:
        users: (cases,) int64, the user of each case.
        values: For each name (cases,) float64; NaN where a case does not count.
        seed: Of the draws.
        resamples: How many.
    """

    def __init__(
        self,
        users: Ints,
        values: Mapping[str, Values],
        seed: int = 0,
        resamples: int = RESAMPLES,
    ) -> None:
        _, cluster = np.unique(users, return_inverse=True)
        count = int(cluster.max(initial=-1)) + 1
        columns = []
        for one in values.values():
            real = ~np.isnan(one)
            columns += [
                np.bincount(cluster, weights=np.where(real, one, 0.0), minlength=count),
                np.bincount(cluster, weights=real.astype(np.float64), minlength=count),
            ]
        sums = np.stack(columns, axis=1)  # (users, 2 · names): total, cases that count
        rng = np.random.default_rng(seed)
        drawn = [
            rng.multinomial(count, np.full(count, 1 / count), size) @ sums
            for size in _chunks(resamples)
        ]
        resampled = np.concatenate(drawn)
        self._means = dict(zip(values, _ratio(resampled).T, strict=True))
        self._observed = dict(zip(values, _ratio(sums.sum(0, keepdims=True))[0], strict=True))

    def mean(self, name: str) -> Interval:
        """The mean of one column."""
        return _interval(self._observed[name], self._means[name])

    def compare(self, name: str, other: str) -> Comparison:
        """One column's mean against another's."""
        mean, against = self._means[name], self._means[other]
        observed, base = self._observed[name], self._observed[other]
        gain = np.divide(mean, against, out=np.full_like(mean, np.nan), where=against > 0) - 1
        return Comparison(
            _interval(observed - base, mean - against),
            _interval(observed / base - 1 if base > 0 else float("nan"), gain),
        )


def _chunks(total: int) -> list[int]:
    """The total in parts that fit into memory."""
    whole, rest = divmod(total, DRAWN_AT_ONCE)
    return [DRAWN_AT_ONCE] * whole + [rest] * (rest > 0)


def _ratio(sums: Values) -> Values:
    """Means from pairs of columns: total and number; NaN for none."""
    total, number = sums[:, 0::2], sums[:, 1::2]
    return np.divide(total, number, out=np.full_like(total, np.nan), where=number > 0)


def _interval(value: float, resampled: Values) -> Interval:
    """The percentile interval."""
    real = resampled[~np.isnan(resampled)]
    if not len(real):
        return Interval(float(value), float("nan"), float("nan"))
    low, high = np.quantile(real, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(value), float(low), float(high))
