"""Metrics against a slow oracle that sorts and counts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.evaluation.cases import Cases
from models.evaluation.metrics import MANY, balanced, evaluate, metrics_by_case
from models.evaluation.results import Asked, Outcome
from tests.unit.models.synthetic import make_graph

SHOP = make_graph(users=6, events=4)
ITEMS = SHOP.num_items


@st.composite
def rankings(draw: st.DrawFn) -> tuple[Cases, np.ndarray]:
    """Cases with several targets each, and distinct scores."""
    seed = draw(st.integers(0, 10_000))
    rng = np.random.default_rng(seed)
    targets = [
        np.sort(rng.choice(ITEMS, rng.integers(1, draw(st.integers(2, 30))), replace=False))
        for _ in range(6)
    ]
    candidates = rng.random(ITEMS) < 0.7 if draw(st.booleans()) else None
    cases = Cases(SHOP, np.arange(6), np.full(6, 2e9), targets, draw(st.booleans()), candidates)
    scores = np.array([rng.permutation(ITEMS) for _ in range(6)], np.float32)
    return cases, scores


def oracle(cases: Cases, scores: np.ndarray, place: int, k: int, *, new: bool) -> dict[str, float]:
    """The metrics of one case, from a sorted list."""
    seen = set(cases.seen(int(cases.users[place])).tolist())
    ranked = sorted(range(ITEMS), key=lambda item: -scores[place, item])
    if cases.candidates is not None:
        ranked = [item for item in ranked if cases.candidates[item]]
    if cases.exclude_seen or new:
        ranked = [item for item in ranked if item not in seen]
    wanted = {item for item in cases.targets[place].tolist() if not new or item not in seen}
    if not wanted:
        return {}
    hits = [item in wanted for item in ranked]
    gain = sum(1 / np.log2(position + 2) for position, hit in enumerate(hits[:k]) if hit)
    ideal = sum(1 / np.log2(position + 2) for position in range(min(len(wanted), k)))
    return {
        f"ndcg_at_{k}": gain / ideal,
        f"hit_rate_at_{k}": float(any(hits[:k])),
        f"recall_at_{k}": sum(hits[:k]) / len(wanted),
        "mrr": 1 / (hits.index(True) + 1) if any(hits) else 0.0,
    }


@settings(max_examples=60, deadline=None)
@given(rankings())
def test_metrics_are_those_of_the_oracle(made: tuple[Cases, np.ndarray]) -> None:
    """From ranks alone come the figures that sorting and counting give, for all and new items."""
    cases, scores = made
    found = evaluate(lambda batch: scores[batch.users], cases)
    for prefix, new in (("", False), ("new_", True)):
        for place in range(6):
            for k in (10, 20):
                expected = oracle(cases, scores, place, k, new=new)
                for name in {f"ndcg_at_{k}", "mrr", "hit_rate_at_10", "recall_at_20"}:
                    value = found.per_case[prefix + name][place]
                    if not expected:
                        assert np.isnan(value)
                    elif name in expected:
                        assert value == pytest.approx(expected[name])


@settings(max_examples=20, deadline=None)
@given(rankings())
def test_stored_ranks_give_the_same_metrics(made: tuple[Cases, np.ndarray]) -> None:
    """What a results file keeps is enough for every metric of every case."""
    cases, scores = made
    found = evaluate(lambda batch: scores[batch.users], cases)
    outcome = Outcome(0.0, found.metrics, found.ranking.rank, found.ranking.new_rank)
    again = outcome.per_case(Asked.of(cases))
    for name, values in found.per_case.items():
        np.testing.assert_array_equal(again[name], values)


def test_new_and_repeated_items_are_told_apart() -> None:
    """A list of what was bought before scores in `repeat_` and not in `new_`."""
    users = np.arange(6)
    old = [np.unique(SHOP.event_item[SHOP.event_user == user]) for user in users]
    fresh = [np.array([int(np.setdiff1d(np.arange(40), items)[0])]) for items in old]
    targets = [np.union1d(a[:1], b) for a, b in zip(old, fresh, strict=True)]
    cases = Cases(SHOP, users, np.full(6, 2e9), targets)

    def habit(batch: Cases) -> np.ndarray:
        scores = np.zeros((len(batch), ITEMS), np.float32)
        for place, user in enumerate(batch.users.tolist()):
            scores[place, old[user]] = 1
            scores[place, old[user][0]] = 2
        return scores

    found = evaluate(habit, cases).metrics
    assert found["repeat_ndcg_at_10"] == pytest.approx(1)
    assert found["new_hit_rate_at_10"] < 1
    only_new = replace(cases, targets=fresh)
    assert "repeat_ndcg_at_10" not in evaluate(habit, only_new).metrics


def test_coverage_counts_what_may_be_shown() -> None:
    """With candidates, coverage is the share of the candidates that stand in a list."""
    candidates = np.arange(ITEMS) < 5
    cases = Cases(SHOP, np.arange(6), np.zeros(6), [np.array([1])] * 6, candidates=candidates)
    found = evaluate(lambda batch: np.zeros((len(batch), ITEMS), np.float32), cases)
    assert found.metrics["catalog_coverage"] == 1
    assert metrics_by_case(found.ranking)["mrr"][0] == pytest.approx(1 / 3)


def test_ties_share_a_rank_however_many_items_are_wanted() -> None:
    """An item's rank does not depend on what else is wanted: few are compared, many are sorted."""
    many = np.arange(0, ITEMS, 2)
    assert len(many) >= MANY
    scores = np.random.default_rng(0).integers(0, 6, (6, ITEMS)).astype(np.float32)

    def ranks(targets: list[np.ndarray]) -> np.ndarray:
        cases = Cases(SHOP, np.arange(6), np.full(6, 2e9), targets, exclude_seen=True)
        return evaluate(lambda batch: scores[batch.users], cases).ranking.rank

    together = ranks([many] * 6).reshape(6, -1)
    alone = np.stack([ranks([np.array([item])] * 6) for item in many], axis=1)
    np.testing.assert_array_equal(together, alone)


def test_nothing_new_that_is_found_does_not_silence_the_rest() -> None:
    """What validation maximises tells two models apart that both miss the few new items."""
    cases = Cases(SHOP, np.zeros(0, np.int64), np.zeros(0), [])
    nothing = evaluate(lambda _: np.zeros((0, ITEMS), np.float32), cases)

    def value(**metrics: float) -> float:
        return balanced(replace(nothing, metrics=metrics))

    better, worse = (value(ndcg_at_10=one, new_ndcg_at_10=0.0) for one in (0.9, 0.4))
    assert better > worse
    assert value(ndcg_at_10=0.9, new_ndcg_at_10=0.02) > value(ndcg_at_10=0.4, new_ndcg_at_10=0.06)
    assert value(ndcg_at_10=0.4, new_ndcg_at_10=0.06) > value(ndcg_at_10=0.4, new_ndcg_at_10=0.02)
    assert value(ndcg_at_10=0.3) == pytest.approx(0.3)  # all that is wanted is new
