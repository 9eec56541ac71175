"""The choice of the highest scores."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interest_graph.top_k import top_k

scores = st.floats(width=32, allow_nan=True, allow_infinity=False) | st.just(-np.inf)


@given(st.lists(scores, max_size=60), st.integers(1, 70))
def test_the_highest_scores_are_chosen(values: list[float], k: int) -> None:
    """They are those of a full sort, ties by row, without what is barred or no number."""
    allowed = [row for row, value in enumerate(values) if value > -np.inf]
    expected = sorted(allowed, key=lambda row: (-values[row], row))[:k]
    assert top_k(np.array(values, np.float32), k).tolist() == expected


@given(st.integers(0, 10_000), st.integers(1, 200), st.sampled_from([0, 1, 2, 4]))
def test_many_scores_are_chosen_from_as_few_are(seed: int, k: int, digits: int) -> None:
    """Of thousands, falling, rising and in no order, with more ties the fewer digits they have."""
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 1, rng.integers(1, 3000)).round(digits).astype(np.float32)
    for given_values in (values, np.sort(values), np.sort(values)[::-1].copy()):
        expected = np.lexsort((np.arange(len(values)), -given_values))[:k]
        assert top_k(given_values, k).tolist() == expected.tolist()


@pytest.mark.parametrize("k", [1, 3, 10])
def test_an_item_without_a_number_takes_nobody_s_place(k: int) -> None:
    """One score that is no number among thousands makes the list neither shorter nor another."""
    values = np.arange(5000, dtype=np.float32)
    values[700] = np.nan
    assert top_k(values, k).tolist() == list(range(4999, 4999 - k, -1))
