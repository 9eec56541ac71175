"""Full ranking, the baselines, what training reads of the events, and the blend."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from synthetic import make_graph

from models.blending import Blend, tune_blend
from models.candidates import CandidateSampler
from models.evaluation.cases import Cases, make_cases
from models.evaluation.contenders import Context, contenders
from models.evaluation.metrics import evaluate, rank
from models.item_evidence import EvidenceConfig, evidence, evidence_by_fold
from models.item_graph import alike, build_edges
from models.sequences import Windows

SHOP = make_graph(users=20)
CUT = float(np.quantile(SHOP.event_time, 0.8))


def test_an_oracle_scores_one_and_its_opposite_zero() -> None:
    """Ranking exactly what came gives NDCG, hit rate and MRR of one; the reverse gives no hit."""
    cases = make_cases(*SHOP.split(CUT), CUT, 100, 0)
    wanted = dict(zip(cases.users.tolist(), cases.targets, strict=True))

    def oracle(batch: Cases) -> np.ndarray:
        scores = np.zeros((len(batch), SHOP.num_items), np.float32)
        for place, user in enumerate(batch.users.tolist()):
            scores[place, wanted[user]] = 1 + np.arange(len(wanted[user])) / 100
        return scores

    best = evaluate(oracle, cases, k=3).metrics
    assert best["ndcg_at_3"] == pytest.approx(1)
    assert best["hit_rate_at_3"] == 1
    worst = evaluate(lambda batch: -oracle(batch), cases, k=3).metrics
    assert worst["ndcg_at_3"] == worst["hit_rate_at_3"] == 0


def test_ties_are_broken_by_row_and_never_help() -> None:
    """A ranker that says nothing gets the middle rank, and lists by row."""
    cases = make_cases(*SHOP.split(CUT), CUT, 100, 0)

    def silent(batch: Cases) -> np.ndarray:
        return np.zeros((len(batch), 44), np.float32)

    assert evaluate(silent, cases).metrics["mrr"] < 0.06
    assert rank(silent, cases, 2).top[0].tolist() == [0, 1]


@pytest.mark.parametrize("exclude_seen", [False, True])
@pytest.mark.parametrize("wanted", [3, 20])
def test_ranks_are_what_a_plain_count_says(wanted: int, *, exclude_seen: bool) -> None:
    """One more than what is above, half of the equal ones; with and without what was seen."""
    chance = np.random.default_rng(wanted)
    past, later = SHOP.split(CUT)
    cases = make_cases(past, later, CUT, 100, 0)
    targets = [np.sort(chance.choice(44, wanted, replace=False)) for _ in cases.targets]
    cases = replace(cases, targets=targets, exclude_seen=exclude_seen)
    scores = chance.integers(0, 12, (len(cases), 44)).astype(np.float32)
    scores[:, 5] = -np.inf
    found = rank(lambda batch: scores[np.searchsorted(cases.users, batch.users)], cases, 20)
    place = 0
    for line, user, items in zip(scores, cases.users.tolist(), targets, strict=True):
        seen = np.isin(np.arange(44), cases.seen(user))
        for item in items:
            for ranks, barred in ((found.rank, seen & exclude_seen), (found.new_rank, seen)):
                among = np.where(barred, -np.inf, line)
                plain = 1 + (among > line[item]).sum() + ((among == line[item]).sum() - 1) / 2
                if barred[item] or line[item] == -np.inf:
                    plain = np.inf
                if seen[item] and ranks is found.new_rank:
                    assert np.isnan(ranks[place])
                else:
                    assert ranks[place] == plain
            place += 1


def test_following_what_follows_beats_popularity() -> None:
    """On shelves walked in order the sequence-aware neighbourhood wins."""
    past = SHOP.before(CUT)
    cases = make_cases(*SHOP.split(CUT), CUT, 100, 0)
    ndcg = {
        one.name: evaluate(one.fit(past, one.defaults, 0, None).ranker, cases).metrics["ndcg_at_10"]
        for one in contenders(
            ["sequence_knn", "recent_popularity", "personal_popularity"], Context()
        )
    }
    assert ndcg["sequence_knn"] > ndcg["recent_popularity"]
    assert ndcg["personal_popularity"] > ndcg["recent_popularity"]


def test_evidence_is_directed_and_fades_with_distance() -> None:
    """What follows at once has more evidence than what follows later or comes before."""
    matrix = evidence(SHOP, EvidenceConfig(half_life_days=1e6)).toarray()
    forward = np.mean([matrix[row, row + 1] for row in range(8)])
    assert forward > np.mean([matrix[row + 1, row] for row in range(8)])
    assert forward > np.mean([matrix[row, row + 3] for row in range(6)])


def test_a_fold_sees_no_evidence_of_its_own_users() -> None:
    """The evidence for a fold equals that of a graph without its users' events."""
    fold = np.arange(20) % 4
    config = EvidenceConfig()
    _, first, *_ = evidence_by_fold(SHOP, config, fold)
    others = SHOP.where(fold[SHOP.event_user] != 0)
    others = evidence(others, config)
    difference = np.abs((first - others).toarray())
    scale = others.toarray().max()
    assert difference.max() < 0.01 * scale  # the newest event sets the age of all


def test_edges_are_chosen_for_each_fold_without_its_users() -> None:
    """An edge that only one fold's events made is not among that fold's edges."""
    texts = np.zeros((44, 2), np.float32)
    fold = np.arange(20) % 4  # aisles and folds coincide: nobody else walks a fold's aisle
    edges = build_edges(
        SHOP,
        texts,
        alike(texts, 5),
        EvidenceConfig(),
        edges_per_item=8,
        text_edges=2,
        fold_of_user=fold,
    )
    for number, seen in enumerate(edges.folds):
        own = (seen.source // 10 == number) & (seen.source < 40) & (seen.source != seen.target)
        assert not own.any()
        known = seen.known >= 0
        np.testing.assert_array_equal(edges.source[seen.known[known]], seen.source[known])
        np.testing.assert_array_equal(edges.target[seen.known[known]], seen.target[known])


def test_windows_never_show_what_they_ask_for() -> None:
    """Every target comes after all that is visible, within one user, and padding weighs nothing."""
    windows = Windows(SHOP, 7, np.random.default_rng(0))
    for members in windows.batches(5, np.zeros(20, np.int64)):
        batch = windows.read(members, same_moment=0.5, look_ahead=0.5)
        places = torch.arange(batch.items.shape[1])
        assert bool((batch.last < places).all())
        real = batch.weight > 0
        assert bool((batch.last[real] >= 0).all())
        rows, columns = torch.nonzero(real, as_tuple=True)
        seen = batch.times[rows, batch.last[rows, columns]]
        assert bool((seen <= batch.times[rows, columns]).all())
        assert bool((batch.as_of <= batch.times).all())


def test_the_sample_estimates_the_sum_over_all_items() -> None:
    """Corrected by the chance of being drawn, candidates sum to what all items sum to."""
    rng = np.random.default_rng(0)
    events = rng.integers(0, 50, 500).astype(np.float64)
    values = rng.random(500)
    sampler = CandidateSampler(events, negatives=200, full_items=10, rng=rng)
    sums = []
    for _ in range(300):
        drawn = sampler.draw(np.array([3, 3, 9]))
        assert {3, 9} <= set(drawn.rows.tolist())
        share = values[drawn.rows.numpy()] / np.exp(drawn.log_inclusion.numpy())
        sums.append(share[drawn.drawn.numpy()].sum())
    assert np.mean(sums) == pytest.approx(values.sum(), rel=0.02)


def test_few_items_are_all_ranked() -> None:
    """Below the bound every item is a candidate and nothing needs correction."""
    drawn = CandidateSampler(np.ones(5), 3, 10, np.random.default_rng(0)).draw(np.array([1]))
    assert drawn.rows.tolist() == [0, 1, 2, 3, 4]
    assert drawn.drawn.all()
    assert not drawn.log_inclusion.any()


def test_a_blend_is_bounded_and_only_moves_for_a_gain() -> None:
    """A factor that helps stops at the bound; one that does not stays at one."""
    best, value = tune_blend(lambda blend: blend.again, Blend())
    assert (best, value) == (Blend(again=64.0), 64.0)
    assert tune_blend(lambda _: 1.0, Blend()) == (Blend(), 1.0)


def test_a_blend_ends_closer_than_a_factor_of_two() -> None:
    """Where the best factor is not a power of two, its neighbour among the roots is found."""
    best, _ = tune_blend(lambda blend: 1 / (1 + abs(math.log(blend.again / 6.0))), Blend())
    assert best.again == pytest.approx(4 * 2**0.5)


def test_alike_texts_are_found_once_each_and_never_the_item_itself() -> None:
    """Neighbours by text are distinct others; items without a text have none."""
    texts = np.array([[1, 0], [1, 0.1], [0, 1], [0, 0], [1, 0]], np.float32)
    sources, targets = alike(texts, 2)
    pairs = set(zip(sources.tolist(), targets.tolist(), strict=True))
    assert len(pairs) == len(sources)
    assert (sources != targets).all()
    assert (0, 4) in pairs
    assert (4, 0) in pairs
    assert not {3} & (set(sources.tolist()) | set(targets.tolist()))
