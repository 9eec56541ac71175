"""The choice of the highest scores."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interest_graph.top_k import top_k, top_k_each

scores = st.floats(width=32, allow_nan=True, allow_infinity=False) | st.just(-np.inf)


@given(st.lists(scores, max_size=60), st.integers(1, 70))
def test_the_highest_scores_are_chosen(values: list[float], k: int) -> None:
    """They are those of a full sort, ties by row, without what is barred or no number."""
    allowed = [row for row, value in enumerate(values) if value > -np.inf]
    expected = sorted(allowed, key=lambda row: (-values[row], row))[:k]
    assert top_k(np.array(values, np.float32), k) == expected


@given(
    st.integers(1, 60).flatmap(
        lambda count: st.lists(
            st.tuples(st.lists(scores, min_size=count, max_size=count), st.integers(0, 70)),
            min_size=1,
            max_size=5,
        )
    )
)
def test_several_lists_are_those_that_each_would_be_alone(
    asked: list[tuple[list[float], int]],
) -> None:
    """Lists of different lengths and ties, barred items and no numbers among them."""
    values = np.array([one for one, _ in asked], np.float32)
    found = top_k_each(values, [k for _, k in asked])
    for rows, (own, k) in zip(found, asked, strict=True):
        assert rows.tolist() == top_k(np.array(own, np.float32), k)


@pytest.mark.parametrize("k", [1, 3, 10])
def test_an_item_without_a_number_takes_nobody_s_place(k: int) -> None:
    """One score that is no number among thousands makes the list neither shorter nor another."""
    values = np.arange(5000, dtype=np.float32)
    values[700] = np.nan
    assert top_k(values, k) == list(range(4999, 4999 - k, -1))
