"""The search for how pairs of events become evidence, and the scale of what it finds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from synthetic import make_graph

from models import sparse_rows
from models.evaluation.splits import leave_one_out
from models.evidence_search import ANY_ORDER, STEPS, KnownEvidence, _climb, search_evidence
from models.item_evidence import TYPICAL, EvidenceConfig, evidence, evidence_by_fold
from models.likeness import lenders
from models.sparse_rows import strongest

SHOP = make_graph(users=24, events=20)
FEW_EVENTS = make_graph(users=24, events=5)
"""So few that pairs lead every user to items that are new."""


def test_the_search_climbs_to_what_validates_best() -> None:
    """Along each coordinate it goes as far as it gets better, up and down, and no further."""
    wanted = {"window": 5, "reverse": 1.0, "smoothing": 2.0, "history_decay": 0.65}

    def judge(point: dict[str, Any]) -> float:
        return -sum(
            abs(STEPS[name].index(point[name]) - STEPS[name].index(best))
            for name, best in wanted.items()
        )

    start = {name: getattr(EvidenceConfig(), name, 0.9) for name in STEPS}
    found = _climb(start, judge, tuple(STEPS))
    assert {name: found[name] for name in wanted} == wanted
    others = set(STEPS) - set(wanted)
    assert {name: found[name] for name in others} == {name: start[name] for name in others}


def test_the_search_answers_with_evidence_and_a_decay() -> None:
    """From a graph and a validation it returns what evidence can be built with."""
    split = leave_one_out(SHOP)
    config, decay = search_evidence(split.train, split.check, 12, EvidenceConfig())
    assert decay in STEPS["history_decay"]
    assert not config.predicted
    assert evidence(SHOP, config).nnz


def test_what_is_not_wanted_stays_and_nothing_is_borrowed_where_nothing_is_lent() -> None:
    """Training searches what is borrowed alone; without lenders there is nothing to search."""
    split, start = leave_one_out(SHOP), EvidenceConfig(window=5, borrowed=1.0)
    lent = lenders(split.train, np.zeros((44, 1), np.float32))
    found, decay = search_evidence(split.train, split.check, 12, start, lent, ("borrowed",))
    assert decay == 0.9
    assert found == replace(start, borrowed=found.borrowed)
    assert search_evidence(split.train, split.check, 12, start, None, ("borrowed",))[0] == start


def test_without_order_every_pair_counts_alike() -> None:
    """Where all events are of one moment neither distance nor rank says anything."""
    graph = replace(SHOP, event_time=np.zeros(SHOP.num_events))
    split = leave_one_out(graph)
    config, decay = search_evidence(split.train, split.check, 12, EvidenceConfig())
    assert decay == 1.0
    assert config == replace(
        EvidenceConfig(), **{name: getattr(config, name) for name in ANY_ORDER}
    )
    raw = EvidenceConfig(half_life_days=1e9, source_power=0, target_power=0, user_power=0.5)
    found = evidence(graph, raw).toarray()
    weights = np.asarray(graph.event_weights)[graph.event_type] ** 0.5
    taken = np.zeros((len(graph.user_ids), graph.num_items))
    np.add.at(taken, (graph.event_user, graph.event_item), weights)
    events = np.bincount(graph.event_user)
    expected = taken.T @ (taken / events[:, None] ** 0.5)
    np.fill_diagonal(expected, 0)
    np.testing.assert_allclose(found * expected.sum() / found.sum(), expected, rtol=1e-4)


def test_predicted_events_count_in_what_pairs_are_divided_by() -> None:
    """The strongest of all users' missing items, by all pairs, are as popular as if they were."""
    config = EvidenceConfig(source_power=0.7, target_power=0.4, half_life_days=1e9)
    plain = evidence(FEW_EVENTS, config).toarray()
    others = plain * (1 - np.eye(FEW_EVENTS.num_items, dtype=np.float32))
    taken = np.zeros((len(FEW_EVENTS.user_ids), FEW_EVENTS.num_items))
    taken[FEW_EVENTS.event_user, FEW_EVENTS.event_item] = 1
    scores = np.where(taken == 0, taken @ others, 0)
    count = round(0.2 * FEW_EVENTS.num_events)
    missing = scores >= np.sort(scores.ravel())[-count]
    assert missing.sum() == count
    weight = np.sqrt(np.asarray(FEW_EVENTS.event_weights)[FEW_EVENTS.event_type])
    events = np.bincount(FEW_EVENTS.event_item, weights=weight, minlength=FEW_EVENTS.num_items)
    more = events + missing.sum(0) * weight.mean()
    change = (more + config.smoothing) / (events + config.smoothing)
    expected = plain * change[:, None] ** -0.7 * change**-0.4
    found = evidence(FEW_EVENTS, replace(config, predicted=0.2)).toarray()
    np.testing.assert_allclose(found * expected.sum() / found.sum(), expected, rtol=1e-4)


def test_a_fold_sees_no_predicted_events_of_its_own_users() -> None:
    """The evidence for a fold is that of a graph without its users, its predicted events too."""
    fold = np.arange(24) // 4 % 2
    config = EvidenceConfig(half_life_days=1e9, predicted=0.3)
    _, first, _ = evidence_by_fold(FEW_EVENTS, config, fold)
    others = FEW_EVENTS.where(fold[FEW_EVENTS.event_user] != 0)
    expected = evidence(others, config).toarray()
    found = first.toarray()
    np.testing.assert_allclose(found * expected.sum() / found.sum(), expected, rtol=1e-4, atol=1e-6)
    assert not np.allclose(expected, evidence(others, replace(config, predicted=0.0)).toarray())


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_the_strongest_edges_have_one_scale_whatever_the_exponents(power: float) -> None:
    """On average the strongest edge to another item is `TYPICAL`, so that training starts alike."""
    config = EvidenceConfig(source_power=power, target_power=power)
    matrix = evidence(SHOP, config).toarray()
    np.fill_diagonal(matrix, 0)
    strongest = matrix.max(1)
    assert strongest[strongest > 0].mean() == pytest.approx(TYPICAL, rel=1e-4)


def test_reverse_evidence_is_a_share_of_that_along_time() -> None:
    """With `reverse` 0 a pair counts one way, with 1 both ways alike."""
    one_way = evidence(SHOP, EvidenceConfig(reverse=0.0, source_power=0, target_power=0)).toarray()
    both = evidence(SHOP, EvidenceConfig(reverse=1.0, source_power=0, target_power=0)).toarray()
    np.testing.assert_allclose(both, both.T, rtol=1e-4)
    assert not np.allclose(one_way, one_way.T)


def test_the_strongest_are_those_of_a_whole_sort_ties_by_target() -> None:
    """Of each row the largest entries, equal ones by target, as many as there are or are asked."""
    rng = np.random.default_rng(0)
    dense = rng.integers(0, 4, (30, 40)).astype(np.float32)
    for count in (0, 1, 7, 50):
        sources, targets, values = strongest(sparse.csr_array(dense), count)
        for row, line in enumerate(dense):
            order = np.lexsort((np.arange(40), -line))
            expected = order[line[order] > 0][:count]
            np.testing.assert_array_equal(targets[sources == row], expected)
            np.testing.assert_array_equal(values[sources == row], line[expected])


def test_what_was_counted_before_changes_no_evidence() -> None:
    """One after the other, with more, less and nothing borrowed, all as counted from nothing."""
    lent = lenders(SHOP, np.random.default_rng(0).standard_normal((44, 6)).astype(np.float32))
    known = KnownEvidence(SHOP, lent)
    for window, borrowed in ((5, 1.0), (5, 4.0), (9, 4.0), (9, 0.0), (9, 2.0), (5, 2.0)):
        config = EvidenceConfig(window=window, borrowed=borrowed)
        expected = evidence(SHOP, config, lent).toarray()
        np.testing.assert_array_equal(known(config).toarray(), expected)


def test_rows_in_several_blocks_are_all_looked_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """Evidence, borrowed too, and the strongest are the same however many rows go together."""
    lent = lenders(FEW_EVENTS, np.random.default_rng(0).standard_normal((44, 6)).astype(np.float32))
    config = EvidenceConfig(borrowed=2.0, predicted=0.3)

    def found() -> list[np.ndarray]:
        matrix = evidence(FEW_EVENTS, config, lent)
        return [matrix.toarray(), *strongest(matrix, 5)]

    together = found()
    monkeypatch.setattr(sparse_rows, "BLOCK_ROWS", 7)
    for one, other in zip(together, found(), strict=True):
        np.testing.assert_array_equal(one, other)
