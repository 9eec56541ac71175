"""Scores from embeddings in eight bits: how near they are, and that the best are exact."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interest_graph import quantised_items
from interest_graph.item_matrix import ItemDelta, ItemMatrix
from interest_graph.quantised_items import NearScores, QuantisedItems
from interest_graph.top_k import top_k

Floats = npt.NDArray[np.float32]
DIM = 16


@pytest.fixture(autouse=True)
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred items are in several segments."""
    monkeypatch.setattr(quantised_items, "SEGMENT", 32)


def made(rng: np.random.Generator, count: int, spread: float) -> Floats:
    """Vectors of lengths that differ as much as `spread` says, one of them zeros."""
    vectors = rng.standard_normal((count, DIM)) * np.exp(spread * rng.standard_normal((count, 1)))
    vectors[0] = 0
    return vectors.astype(np.float32)


def matrix_of(embeddings: Floats) -> ItemMatrix:
    """A matrix of these rows, without bias and edges."""
    count = len(embeddings)
    nowhere, weights = np.full((count, 1), -1, np.int32), np.zeros((count, 1), np.float32)
    ids = [f"i{number}" for number in range(count)]
    return ItemMatrix("m-1", ids, embeddings, np.zeros(count, np.float32), nowhere, weights)


def near_of(embeddings: Floats, queries: Floats, base: Floats | None = None) -> NearScores:
    """Near scores of these rows alone."""
    base = np.zeros(len(embeddings), np.float32) if base is None else base
    return QuantisedItems().scores(matrix_of(embeddings), queries, base)


def exact(embeddings: Floats, queries: Floats, base: Floats) -> npt.NDArray[np.float64]:
    """What near scores are near to."""
    return queries.astype(np.float64) @ embeddings.T.astype(np.float64) + base


shapes = {
    "seed": st.integers(0, 10_000),
    "count": st.integers(1, 100),
    "users": st.integers(1, 20),
    "spread": st.sampled_from([0.0, 1.0, 4.0]),
}


@given(**shapes)
@settings(deadline=None)
def test_a_score_is_no_further_from_the_exact_one_than_is_said(
    seed: int, count: int, users: int, spread: float
) -> None:
    """For items and users of any lengths, zeros among them."""
    rng = np.random.default_rng(seed)
    embeddings, queries = made(rng, count, spread), made(rng, users, spread)
    near = near_of(embeddings, queries)
    wrong = np.abs(near.values - exact(embeddings, queries, np.zeros(count, np.float32)))
    assert (wrong <= np.array(near.wrong)[:, None]).all()


@given(**shapes, k=st.integers(1, 20))
@settings(deadline=None)
def test_the_best_are_those_of_the_exact_scores(
    seed: int, count: int, users: int, spread: float, k: int
) -> None:
    """Barred items are not among them, and what was added after the products counts."""
    rng = np.random.default_rng(seed)
    embeddings, queries = made(rng, count, spread), made(rng, users, spread)
    base = np.where(rng.random(count) < 0.3, -np.inf, rng.standard_normal(count)).astype(np.float32)
    added = rng.standard_normal((users, count)).astype(np.float32)
    near = near_of(embeddings, queries, base)
    near.values[:] += added
    for place, scores in enumerate(exact(embeddings, queries, base) + added):
        rows = near.best(place, k)
        assert rows is not None
        allowed = np.sort(scores[scores > -np.inf])[::-1][:k]
        assert len(rows) == len(set(rows.tolist())) == len(allowed)
        np.testing.assert_allclose(np.sort(scores[rows])[::-1], allowed, rtol=1e-4, atol=1e-4)


def test_eight_bits_alone_would_choose_others() -> None:
    """The exact products of what is near decide, or there would be nothing to test above."""
    rng = np.random.default_rng(1)
    embeddings, queries = made(rng, 5000, 0.0), made(rng, 50, 0.0)[1:]
    near = near_of(embeddings, queries)
    differ = 0
    for place, scores in enumerate(exact(embeddings, queries, np.zeros(5000, np.float32))):
        rows = near.best(place, 10)
        assert rows is not None
        assert rows.tolist() == np.argsort(-scores)[:10].tolist()
        differ += rows.tolist() != top_k(near.values[place], 10).tolist()
    assert differ > 0


def test_items_that_move_or_come_have_their_new_scores() -> None:
    """Deltas move a row of each segment in turn and append others; another matrix is another."""
    rng = np.random.default_rng(2)
    matrix, items = matrix_of(made(rng, 100, 0.0)), QuantisedItems()
    queries = made(rng, 3, 0.0)[1:]
    for epoch in range(1, 41):
        moved = [f"i{(37 * epoch) % 100}", f"new-{epoch}"]
        vectors = made(rng, 3, 0.0)[1:] * (epoch % 5)  # now and then zeros, as rows are that came
        one = np.ones(2, np.float32)
        for held in (matrix, matrix_of(made(rng, 40, 0.0))) if epoch % 10 == 0 else (matrix,):
            if held is matrix:
                held.apply(ItemDelta(epoch, "m-1", moved, vectors, one, [[], []], [[], []]))
            near = items.scores(held, queries, held.bias)
            scores = exact(held.embeddings, queries, held.bias)
            assert near.values.shape == scores.shape
            assert (np.abs(near.values - scores) <= np.array(near.wrong)[:, None] + 1e-5).all()


def test_more_alike_than_can_be_told_apart_are_left_to_exact_scores() -> None:
    """Thousands of one embedding: whoever asks scores all of them exactly."""
    rng = np.random.default_rng(3)
    embeddings = np.tile(made(rng, 2, 0.0)[1:], (1000, 1))
    assert near_of(embeddings, made(rng, 2, 0.0)[1:]).best(0, 10) is None


def test_without_an_interest_what_is_added_alone_decides() -> None:
    """A product of zeros is not wrong: the best are found however many are alike."""
    rng = np.random.default_rng(4)
    base = np.zeros(1000, np.float32)
    base[500] = 1
    near = near_of(made(rng, 1000, 0.0), np.zeros((1, DIM), np.float32), base)
    assert near.wrong == [0.0]
    rows = near.best(0, 3)
    assert rows is not None
    assert rows.tolist() == [500, 0, 1]


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf, 1e30])
def test_an_endless_item_costs_the_others_nothing(number: float) -> None:
    """What is no finite number, or nearly none, is scored exactly; so is what comes near beside."""
    rng = np.random.default_rng(5)
    embeddings, queries = made(rng, 1000, 0.0), made(rng, 20, 0.0)[1:]
    embeddings[7, 3] = number
    near = near_of(embeddings, queries)
    with np.errstate(invalid="ignore", over="ignore"):
        scores = exact(embeddings, queries, np.zeros(1000, np.float32)).astype(np.float32)
    for place, own in enumerate(scores):
        rows = near.best(place, 5)
        assert rows is not None
        assert rows.tolist() == top_k(own, 5).tolist()


@pytest.mark.parametrize("number", [np.nan, np.inf, 1e30])
def test_an_endless_query_is_left_to_exact_scores(number: float) -> None:
    """Nothing can be said of its products."""
    rng = np.random.default_rng(6)
    queries = made(rng, 2, 0.0)
    queries[1, 3] = number
    assert near_of(made(rng, 50, 0.0), queries).best(1, 5) is None


def test_one_long_item_makes_no_other_near() -> None:
    """What may be wrong is reckoned for each item, though it is among the best itself."""
    rng = np.random.default_rng(7)
    embeddings, queries = made(rng, 5000, 0.0), made(rng, 20, 0.0)[1:]
    embeddings[7] *= 1000
    near = near_of(embeddings, queries)
    for place, scores in enumerate(exact(embeddings, queries, np.zeros(5000, np.float32))):
        rows = near.best(place, 10)
        assert rows is not None
        assert rows.tolist() == np.argsort(-scores)[:10].tolist()


def test_what_is_wrong_the_other_way_is_found() -> None:
    """The best looks worse, and another better, by nearly as much as each may be wrong."""
    embeddings, queries = np.zeros((2, DIM), np.float32), np.zeros((1, DIM), np.float32)
    embeddings[:, :2] = [[127, 0.49], [126.9, 0.51]]
    queries[0, :2] = [0.3, 1]
    near = near_of(embeddings, queries)
    apart = near.values[0, 1] - near.values[0, 0]
    assert near.wrong[0] < apart < 2 * near.wrong[0]
    rows = near.best(0, 1)
    assert rows is not None
    assert rows.tolist() == [0]


def test_what_did_not_move_is_not_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """An item that moved is quantised alone and costs its segment a packing, once."""
    rng, packed, quantised = np.random.default_rng(8), [], []
    pack, quantise = quantised_items.numkong.dots_pack, quantised_items.kernels.quantise
    monkeypatch.setattr(
        quantised_items.numkong, "dots_pack", lambda rows: packed.append(len(rows)) or pack(rows)
    )
    monkeypatch.setattr(
        quantised_items.kernels,
        "quantise",
        lambda rows: quantised.append(len(rows)) or quantise(rows),
    )
    matrix, items, queries = matrix_of(made(rng, 100, 0.0)), QuantisedItems(), made(rng, 2, 0.0)
    for _ in range(2):
        items.scores(matrix, queries, matrix.bias)
    assert (packed, quantised) == ([32, 32, 32, 4], [32, 32, 32, 4, 2, 2])
    vectors, one = made(rng, 2, 0.0)[1:], np.ones(1, np.float32)
    matrix.apply(ItemDelta(1, "m-1", ["i40"], vectors, one, [[]], [[]]))
    for _ in range(2):
        items.scores(matrix, queries, matrix.bias)
    assert (packed[4:], quantised[6:]) == ([32], [1, 2, 2])


@given(st.lists(st.floats(-(2.0**56), 2.0**56, width=32), min_size=1, max_size=60))
@settings(deadline=None)
def test_no_number_is_beyond_eight_bits(numbers: list[float]) -> None:
    """However small or large; what is left of it is known."""
    levels, scales, _, left = quantised_items.kernels.quantise(np.array([numbers], np.float32))
    assert np.abs(levels.astype(int)).max() <= 127
    said = levels.astype(np.float64) * scales[:, None].astype(np.float64)
    rest = np.linalg.norm(np.array([numbers], np.float32).astype(np.float64) - said)
    assert left[0] == pytest.approx(rest, rel=1e-9)
