"""The baselines that count or solve, against definitions written out."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from synthetic import make_graph

from interest_graph.interaction_graph import DAY_S
from models.baselines.ease import MAX_ITEMS, item_weights
from models.baselines.history import interactions, user_vectors
from models.baselines.infeasible import InfeasibleError
from models.baselines.item_knn import similarities
from models.baselines.sequence_knn import SequenceKNN
from models.evaluation.cases import Cases
from models.evaluation.contenders import Context, contenders

SHOP = make_graph(users=12, events=10)
NOW = float(SHOP.event_time.max()) + DAY_S
USERS = np.arange(12)


def cases(as_of: float = NOW) -> Cases:
    return Cases(SHOP, USERS, np.full(12, as_of), [np.array([0])] * 12)


def scores(name: str, **changes: float) -> np.ndarray:
    (one,) = contenders([name], Context())
    return one.fit(SHOP, dict(one.defaults) | changes, 0, None).ranker(cases())


def test_a_user_vector_weighs_by_rank_age_and_type() -> None:
    """Each event counts weight · decay^rank · 2^(-age / half-life)."""
    vectors = user_vectors(cases(), max_events=4, decay=0.5, half_life_days=20).toarray()
    expected = np.zeros_like(vectors)
    for user in USERS:
        newest = np.flatnonzero(SHOP.event_user == user)[::-1][:4]
        for rank, place in enumerate(newest):
            age = (NOW - SHOP.event_time[place]) / DAY_S
            amount = SHOP.event_weights[SHOP.event_type[place]] * 0.5**rank * 2 ** (-age / 20)
            expected[user, SHOP.event_item[place]] += amount
    np.testing.assert_allclose(vectors, expected, rtol=1e-5)


def test_popularity_counts_and_recent_popularity_forgets() -> None:
    """All-time popularity is the weighted count; the recent one is that of the graph itself."""
    weights = np.asarray(SHOP.event_weights)[SHOP.event_type]
    expected = np.bincount(SHOP.event_item, weights=weights, minlength=SHOP.num_items)
    np.testing.assert_allclose(scores("popularity")[3], expected)
    recent = scores("recent_popularity", half_life_days=10.0)
    np.testing.assert_allclose(recent[5], SHOP.popularity(NOW, 10.0), rtol=1e-4, atol=1e-6)


def test_recent_popularity_knows_nothing_of_what_comes_after_the_moment() -> None:
    """Each case is scored by the events up to its own moment."""
    (one,) = contenders(["recent_popularity"], Context())
    ranker = one.fit(SHOP, one.defaults, 0, None).ranker
    moments = np.quantile(SHOP.event_time, np.linspace(0, 1, 12))[::-1]
    mixed = ranker(replace(cases(), as_of=moments))
    for place, moment in enumerate(moments.tolist()):
        before = SHOP.where(SHOP.event_time <= moment).popularity(moment, 30.0)
        np.testing.assert_allclose(mixed[place], before, rtol=1e-4, atol=1e-6)


def test_what_someone_takes_again_comes_first() -> None:
    """Every item of the user's own recent events scores above every other item."""
    found = scores("personal_popularity")
    for user in USERS:
        own = np.isin(np.arange(SHOP.num_items), SHOP.event_item[SHOP.event_user == user])
        assert found[user, own].min() > found[user, ~own].max()


def test_item_knn_is_the_shrunk_cosine_of_the_strongest_neighbors() -> None:
    """Similarities equal those of two loops, and only the strongest of each item are kept."""
    taken = interactions(SHOP)
    dense = taken.toarray()
    count = dense.sum(0)
    expected = (dense.T @ dense) / (np.sqrt(np.outer(count, count)) + 3)
    np.fill_diagonal(expected, 0)
    np.testing.assert_allclose(similarities(taken, 99, 3).toarray(), expected, rtol=1e-5)
    few = similarities(taken, 2, 3).toarray()
    kept = few > 0
    assert kept.sum(1).max() == 2
    np.testing.assert_allclose(few[kept], expected[kept], rtol=1e-5)
    np.testing.assert_allclose(few.max(1), expected.max(1), rtol=1e-5)


def test_sequence_knn_fitted_again_counts_what_it_must() -> None:
    """Other norms, another window, another graph: each as if it were the first fit."""
    again, half = SequenceKNN(Context()), SHOP.before(float(np.median(SHOP.event_time)))
    for graph, changes in (
        (SHOP, {}),
        (SHOP, {"source_power": 1.0}),
        (SHOP, {"window": 2}),
        (half, {"window": 2}),
    ):
        given = dict(again.defaults) | changes
        found, expected = (
            one.fit(graph, given, 0, None).ranker(replace(cases(), history=graph))
            for one in (again, SequenceKNN(Context()))
        )
        np.testing.assert_array_equal(found, expected)


def test_sequence_knn_equals_loops_over_histories() -> None:
    """Scores are the sum over ordered pairs, weighted by distance, counts and the user's order."""
    changes = {"half_life_days": 1e9, "history_half_life_days": 1e9, "reverse": 0.25}
    changes |= {"window": 3, "neighbors": 99, "history_decay": 0.5, "smoothing": 5.0}
    found = scores("sequence_knn", distance_decay=0.9, **changes)
    pairs = np.zeros((SHOP.num_items, SHOP.num_items))
    weights = np.asarray(SHOP.event_weights)[SHOP.event_type]
    events = np.bincount(SHOP.event_item, np.sqrt(weights), minlength=SHOP.num_items)
    for user in USERS:
        places = np.flatnonzero(SHOP.event_user == user)
        for last, target in enumerate(places):
            for distance, source in enumerate(places[max(0, last - 3) : last][::-1]):
                amount = np.sqrt(weights[source] * weights[target]) * 0.9**distance
                pairs[SHOP.event_item[source], SHOP.event_item[target]] += amount
    pairs += 0.25 * (pairs.T - np.diag(np.diagonal(pairs)))
    pairs /= np.sqrt(np.outer(events + 5, events + 5))
    vectors = user_vectors(cases(), decay=0.5).toarray()
    np.testing.assert_allclose(found, vectors @ pairs, rtol=1e-3, atol=1e-6)


def test_ease_solves_its_least_squares() -> None:
    """Each column of B is the ridge regression of an item on all others."""
    dense = interactions(SHOP).toarray().astype(np.float64)
    weights = item_weights(SHOP, 5.0)
    assert not np.diagonal(weights).any()
    for item in (0, 7, 43):
        others = np.delete(np.arange(SHOP.num_items), item)
        inputs = dense[:, others]
        normal = inputs.T @ inputs + 5.0 * np.eye(len(others))
        expected = np.linalg.solve(normal, inputs.T @ dense[:, item])
        np.testing.assert_allclose(weights[others, item], expected, atol=1e-4)


def test_ease_without_decay_is_ease_with_a_recency_of_one() -> None:
    """When nobody repeats an item and nothing fades, both are the same."""
    once = SHOP.where(np.arange(SHOP.num_events) % 10 < 1)
    once = replace(once, event_weights=(1.0, 1.0))
    plain, fading = contenders(["ease", "ease_recency"], Context())
    changes = {"history_decay": 1.0, "history_half_life_days": 1e9}
    asked = replace(cases(), history=once)
    first = plain.fit(once, plain.defaults, 0, None).ranker(asked)
    second = fading.fit(once, dict(fading.defaults) | changes, 0, None).ranker(asked)
    np.testing.assert_allclose(first, second, rtol=1e-5)


def test_ease_refuses_what_it_cannot_invert() -> None:
    """Too many items are refused before anything is allocated, with the reason."""
    items = MAX_ITEMS + 1
    large = replace(
        SHOP,
        item_ids=[str(row) for row in range(items)],
        item_texts=[""] * items,
        item_categories=[()] * items,
        item_brand=np.full(items, -1),
    )
    with pytest.raises(InfeasibleError, match="15,001 items are more"):
        item_weights(large, 1.0)
