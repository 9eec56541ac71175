"""The snapshot of facts that training reads."""

import numpy as np
import pytest

from interest_graph.interaction_graph import DAY_S, InteractionGraph, sorted_events


def make_graph(times: list[float], users: list[int] | None = None) -> InteractionGraph:
    """Two users, two items, events of one type at the given times."""
    count = len(times)
    return InteractionGraph(
        item_ids=["a", "b"],
        item_texts=["lamp", ""],
        item_categories=[(0,), ()],
        category_ids=["c"],
        category_texts=["Home"],
        brand_ids=[],
        item_brand=np.array([-1, -1]),
        user_ids=["u", "v"],
        event_user=np.array(users or [0] * count, dtype=np.int64),
        event_item=np.array([place % 2 for place in range(count)], dtype=np.int64),
        event_type=np.zeros(count, dtype=np.int64),
        event_time=np.array(times, dtype=np.float64),
        event_types=("purchase",),
        event_weights=(2.0,),
    )


def test_a_split_puts_the_cut_itself_after_it() -> None:
    """Events before the cut go left, those at or after it right; items and users stay."""
    before, after = make_graph([1, 2, 3]).split(2)
    assert before.event_time.tolist() == [1]
    assert after.event_time.tolist() == [2, 3]
    assert before.item_ids == after.item_ids == ["a", "b"]


def test_popularity_halves_with_each_half_life() -> None:
    """An event one half-life ago counts half its type's weight."""
    graph = make_graph([0.0, 10 * DAY_S])
    np.testing.assert_allclose(graph.popularity(10 * DAY_S, 10), [1.0, 2.0])


def test_unsorted_or_foreign_events_are_refused() -> None:
    """Events out of order, or rows that no list holds, raise ValueError."""
    with pytest.raises(ValueError, match="sorted"):
        make_graph([2, 1])
    with pytest.raises(ValueError, match="range"):
        make_graph([1, 2], users=[0, 2])


def test_events_sort_by_user_time_and_id() -> None:
    """Ties in time are broken by the event's id."""
    order = sorted_events(np.array([1, 0, 0]), np.array([0.0, 5.0, 5.0]), ["x", "b", "a"])
    assert order.tolist() == [2, 1, 0]
