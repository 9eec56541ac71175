"""The bootstrap: intervals that hold what they should, and pairs that stay pairs."""

from __future__ import annotations

import numpy as np
import pytest

from models.evaluation.bootstrap import Bootstrap

RNG = np.random.default_rng(0)


def test_the_interval_is_that_of_theory() -> None:
    """For many independent cases the bounds are 1.96 standard errors from the mean."""
    values = RNG.random(2000)
    interval = Bootstrap(np.arange(2000), {"a": values}).mean("a")
    error = values.std() / np.sqrt(2000)
    assert interval.value == pytest.approx(values.mean())
    assert interval.low == pytest.approx(values.mean() - 1.96 * error, abs=0.2 * error)
    assert interval.high == pytest.approx(values.mean() + 1.96 * error, abs=0.2 * error)


def test_pairs_are_resampled_together() -> None:
    """A constant gain has an interval of no width, however much cases differ."""
    values = RNG.random(300)
    compared = Bootstrap(np.arange(300), {"a": values + 0.1, "b": values}).compare("a", "b")
    assert compared.difference.low == pytest.approx(0.1)
    assert compared.difference.high == pytest.approx(0.1)
    assert compared.relative_gain.value == pytest.approx(0.1 / values.mean())
    assert compared.relative_gain.low < compared.relative_gain.value


def test_a_users_cases_stay_together() -> None:
    """Ten copies of each user's case say no more than one."""
    values = RNG.random(200)
    once = Bootstrap(np.arange(200), {"a": values}).mean("a")
    copies = Bootstrap(np.repeat(np.arange(200), 10), {"a": np.repeat(values, 10)}).mean("a")
    assert copies.low == pytest.approx(once.low)
    assert copies.high == pytest.approx(once.high)


def test_what_does_not_count_is_left_out() -> None:
    """Cases without a value change neither mean nor bounds; a column of none has no bounds."""
    values = np.array([1.0, np.nan, 3.0, np.nan])
    bootstrap = Bootstrap(np.arange(4), {"a": values, "none": np.full(4, np.nan)}, resamples=60)
    assert bootstrap.mean("a").value == 2
    assert 1 <= bootstrap.mean("a").low <= bootstrap.mean("a").high <= 3
    assert np.isnan(bootstrap.mean("none").low)


def test_draws_are_seeded() -> None:
    """The same seed gives the same bounds, another one others."""
    values = {"a": RNG.random(50)}
    users = np.arange(50)
    assert Bootstrap(users, values, 1).mean("a") == Bootstrap(users, values, 1).mean("a")
    assert Bootstrap(users, values, 1).mean("a") != Bootstrap(users, values, 2).mean("a")
