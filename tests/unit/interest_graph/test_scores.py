"""Scores of items for interests, and the terms that they are sums of."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from interest_graph.history import HistoryEvent
from interest_graph.interest import interest
from interest_graph.quantised_items import QuantisedItems
from interest_graph.scores import Scorer, contributions, scores
from interest_graph.top_k import top_k
from tests.unit.interest_graph.test_interest import (
    DIM,
    ITEMS,
    NOW,
    events,
    make_encoder,
    make_matrix,
)

histories = st.lists(events, max_size=20)
seeds = st.integers(0, 2**32 - 1)
"""Of models and graphs."""

rows_of_items = st.lists(st.integers(0, ITEMS - 1), max_size=ITEMS, unique=True)


@given(st.lists(st.tuples(histories, rows_of_items), min_size=1, max_size=4), seeds)
@settings(deadline=None)
def test_terms_are_the_same_bits_alone_and_among_others(
    asked: list[tuple[list[HistoryEvent], list[int]]], seed: int
) -> None:
    """Whoever and whatever else is asked for, an item's terms for a user are its contributions."""
    encoder, matrix = make_encoder(seed), make_matrix(seed)
    found = [interest(encoder, matrix, history, NOW) for history, _ in asked]
    chosen = [np.array(rows, dtype=np.int64) for _, rows in asked]
    every = Scorer(matrix, found).terms(encoder, chosen)
    for of_user, terms, rows in zip(found, every, chosen, strict=True):
        for place, row in enumerate(rows):
            alone = contributions(matrix, encoder, of_user, row)
            np.testing.assert_array_equal(terms.interest[:, place], alone.interest)
            np.testing.assert_array_equal(terms.item_graph[:, place], alone.item_graph)
            np.testing.assert_array_equal(terms.edge_weight[:, place], alone.edge_weight)
            total = alone.interest.sum() + alone.item_graph.sum() + alone.bias
            assert alone.score == pytest.approx(total, rel=1e-9)
            assert alone.score == pytest.approx(terms.scores[place], rel=1e-12)
            said = alone.interest + alone.item_graph
            assert terms.best[place] == (said.argmax() if len(said) else 0)


@given(st.lists(histories, min_size=1, max_size=4), seeds)
@settings(deadline=None)
def test_contributions_sum_to_the_score(sent: list[list[HistoryEvent]], seed: int) -> None:
    """For any users and model every item's score is the sum of its contributions."""
    encoder, matrix = make_encoder(seed), make_matrix(seed)
    found = [interest(encoder, matrix, history, NOW) for history in sent]
    together = Scorer(matrix, found).scores()
    for one, fast in zip(found, together, strict=True):
        exact = [contributions(matrix, encoder, one, row).score for row in range(ITEMS)]
        np.testing.assert_allclose(fast, exact, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(scores(matrix, one), exact, rtol=1e-4, atol=1e-4)


@given(st.lists(histories, min_size=1, max_size=4), seeds, st.integers(1, ITEMS))
@settings(deadline=None)
def test_the_best_of_near_scores_are_the_best(
    sent: list[list[HistoryEvent]], seed: int, k: int
) -> None:
    """With edges and a barrier too, which bars an item for everybody."""
    encoder, matrix = make_encoder(seed), make_matrix(seed)
    found = [interest(encoder, matrix, history, NOW) for history in sent]
    barrier = np.where(np.arange(ITEMS) % 2, -np.inf, 0).astype(np.float32)
    scorer = Scorer(matrix, found)
    near, exact = scorer.near_scores(QuantisedItems(), barrier), scorer.scores() + barrier
    for place, own in enumerate(exact):
        rows = near.best(place, k)
        assert rows is not None
        np.testing.assert_allclose(own[rows], own[top_k(own, k)], rtol=1e-5, atol=1e-5)


def test_a_weight_beyond_all_numbers_spoils_nobody_elses_scores() -> None:
    """Where there is no edge nothing is added, neither to the last item of another user."""
    encoder, matrix = make_encoder(), make_matrix()
    sent = [[HistoryEvent(NOW * 1000, "e", f"item-{row}", 0)] for row in range(ITEMS)]
    found = [interest(encoder, matrix, history, NOW) for history in sent]
    endless = [replace(one, gamma=np.full(1, np.inf, np.float32)) for one in found]
    with np.errstate(invalid="ignore"):
        mixed = Scorer(matrix, [found[0], *endless]).scores()
    np.testing.assert_allclose(mixed[0], scores(matrix, found[0]), rtol=1e-5, atol=1e-5)


def test_without_events_the_bias_alone_scores() -> None:
    """A user without events has an interest of zeros, and popularity ranks the items."""
    encoder, matrix = make_encoder(), make_matrix()
    nothing = interest(encoder, matrix, [], NOW)
    assert len(nothing.rows) == 0
    np.testing.assert_array_equal(nothing.embedding, np.zeros(DIM))
    np.testing.assert_array_equal(scores(matrix, nothing), matrix.bias)


@given(histories, st.integers(0, 19), seeds)
@settings(deadline=None)
def test_removing_an_event_with_held_weights_changes_the_score_by_its_contribution(
    sent: list[HistoryEvent], position: int, seed: int
) -> None:
    """With α, γ and ρ fixed a score without one event lacks exactly that event's terms."""
    encoder, matrix = make_encoder(seed), make_matrix(seed)
    full = interest(encoder, matrix, sent, NOW)
    count = len(full.rows)
    assume(count > 0)
    gone = position % count
    kept = np.arange(count) != gone
    part = replace(
        full,
        rows=full.rows[kept],
        alpha=full.alpha[kept],
        gamma=full.gamma[kept],
        again=full.again[kept],
        first=full.first - (gone < full.first),
    )
    for row in range(ITEMS):
        whole = contributions(matrix, encoder, full, row)
        without = contributions(matrix, encoder, part, row).score
        lost = whole.interest[gone] + whole.item_graph[gone]
        assert whole.score - without == pytest.approx(lost, rel=1e-5, abs=1e-5)
