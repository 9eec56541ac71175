"""The interest of a user."""

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interest_graph.errors import CheckpointError
from interest_graph.history import History, HistoryEvent, pack
from interest_graph.interest import encode, interest, interest_at
from interest_graph.interest_encoder import InterestEncoder
from interest_graph.interest_kernels import knot_of, knot_place
from interest_graph.item_matrix import ItemDelta, ItemMatrix
from interest_graph.user_memory import KnownUser

if TYPE_CHECKING:
    from interest_graph.serving_state import UserState

DIM, EVENTS, AGAIN, TYPES, KNOTS, ITEMS = 8, 6, 15, 3, 5, 12
NOW = 1_700_000_040


def make_tensors(seed: int = 0) -> dict[str, npt.NDArray[np.float32]]:
    """Random tensors of a small encoder."""
    rng = np.random.default_rng(seed)
    shapes: dict[str, tuple[int, ...]] = {
        "alpha_rank": (EVENTS,),
        "alpha_age": (KNOTS,),
        "alpha_type": (TYPES,),
        "gamma_rank": (EVENTS,),
        "gamma_age": (KNOTS,),
        "gamma_type": (TYPES,),
        "again_rank": (AGAIN,),
        "again_age": (KNOTS,),
        "again_type": (TYPES,),
        "again_scale": (),
        "score_map": (DIM, DIM),
    }
    return {name: rng.normal(0, 0.5, shape).astype(np.float32) for name, shape in shapes.items()}


def make_encoder(seed: int = 0) -> InterestEncoder:
    """A small encoder with random weights."""
    return InterestEncoder(make_tensors(seed))


def make_matrix(seed: int = 0) -> ItemMatrix:
    """Random items with random edges, some to themselves."""
    rng = np.random.default_rng(seed)
    neighbor_rows = np.full((ITEMS, 4), -1, np.int32)
    for row in range(ITEMS):
        count = rng.integers(0, 5)
        neighbor_rows[row, :count] = rng.permutation(ITEMS)[:count]
    weights = np.where(neighbor_rows >= 0, rng.random(neighbor_rows.shape), 0).astype(np.float32)
    embeddings = rng.normal(0, 1, (ITEMS, DIM)).astype(np.float32)
    bias = rng.normal(0, 1, ITEMS).astype(np.float32)
    ids = [f"item-{row}" for row in range(ITEMS)]
    return ItemMatrix("v1", ids, embeddings, bias, neighbor_rows, weights)


events = st.builds(
    HistoryEvent,
    occurred_at_ms=st.integers((NOW - 10**7) * 1000, NOW * 1000),
    event_id=st.uuids().map(str),
    item_id=st.integers(0, ITEMS + 1).map(lambda row: f"item-{row}"),
    event_type=st.integers(0, TYPES),
)


@given(st.lists(events, max_size=20))
@settings(deadline=None)
def test_an_interest_counts_the_newest_known_events(history: list[HistoryEvent]) -> None:
    """Only events of known items and types count, the newest, in order, and α sums to one."""
    found = interest(make_encoder(), make_matrix(), history, NOW)
    known = [e for e in history if e.item_id in make_matrix().row_of and e.event_type < TYPES]
    expected = sorted(known, key=lambda event: (event.occurred_at_ms, event.event_id))[-AGAIN:]
    assert list(found.events) == expected
    assert (found.gamma >= 0).all()
    assert (found.again > 0).all()
    assert not found.alpha[:-EVENTS].any()
    assert not found.gamma[:-EVENTS].any()
    assert found.alpha.dtype == found.gamma.dtype == found.embedding.dtype == np.float32
    if expected:
        assert found.alpha.sum() == pytest.approx(1, abs=1e-5)


@given(st.lists(events, max_size=10, unique_by=lambda event: event.event_id), st.randoms())
@settings(deadline=None)
def test_an_interest_is_a_pure_function(history: list[HistoryEvent], random: object) -> None:
    """The order in which a history arrives and the second within the minute do not matter."""
    encoder, matrix = make_encoder(), make_matrix()
    shuffled = list(history)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one = interest(encoder, matrix, history, NOW // 60 * 60)
    other = interest(encoder, matrix, shuffled, NOW // 60 * 60 + 59)
    np.testing.assert_array_equal(one.embedding, other.embedding)
    np.testing.assert_array_equal(one.gamma, other.gamma)


@given(st.lists(events, max_size=20), st.integers(0, 10**6))
@settings(deadline=None)
def test_what_is_encoded_once_is_good_for_every_moment(
    history: list[HistoryEvent], later_s: int
) -> None:
    """An encoded history gives the interest of any later moment, as if it were read anew."""
    encoder, matrix = make_encoder(), make_matrix()
    kept = encode(encoder, matrix, history)
    assert kept.fits(matrix)
    one = interest_at(encoder, kept, NOW + later_s)
    anew = interest(encoder, matrix, history, NOW + later_s)
    for name in ("rows", "alpha", "gamma", "again", "embedding", "query"):
        np.testing.assert_array_equal(getattr(one, name), getattr(anew, name))
    assert list(one.events) == list(anew.events)


def delta(epoch: int, item_id: str) -> ItemDelta:
    """A delta of one item."""
    values = np.ones((1, DIM), np.float32)
    return ItemDelta(epoch, "v1", [item_id], values, np.zeros(1, np.float32), [[]], [[]])


def test_an_encoded_history_fits_until_what_it_was_read_from_changes() -> None:
    """It is read anew with another matrix or a new item it lacked, not when an item moves."""
    encoder, matrix = make_encoder(), make_matrix()
    history = [HistoryEvent(NOW * 1000 + n, f"e{n}", f"item-{n}", 0) for n in range(3)]
    kept = encode(encoder, matrix, history)
    assert not kept.fits(make_matrix())
    matrix.apply(delta(1, "item-1"))
    assert kept.fits(matrix)
    moved, anew = interest_at(encoder, kept, NOW), interest(encoder, matrix, history, NOW)
    np.testing.assert_array_equal(moved.embedding, anew.embedding)
    lacking = encode(encoder, matrix, [*history, HistoryEvent(NOW * 1000, "e9", "new", 0)])
    assert lacking.fits(matrix)
    matrix.apply(delta(2, "another"))
    assert not lacking.fits(matrix)
    assert encode(encoder, matrix, history).fits(matrix)


def read_at(table: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """A table read at time spans, by the kernels."""
    read = []
    for low, share in (knot_of(knot_place(one, len(table)), len(table)) for one in seconds):
        read.append(table[low] + share * (table[low + 1] - table[low]))
    return np.array(read)


def test_a_table_is_read_linearly_in_log_minutes() -> None:
    """Zero reads the first knot, three years and more the last, time never reads outside."""
    table = np.array([1.0, 2.0, 4.0], np.float32)
    read = read_at(table, np.array([-5.0, 0.0, np.expm1(np.log1p(1_576_800) / 2) * 60, 1e12]))
    np.testing.assert_allclose(read, [1, 1, 2, 4], rtol=1e-6)


@pytest.mark.parametrize("name", ["gamma_rank", "again_type", "alpha_age", "score_map"])
def test_a_table_of_another_length_is_a_checkpoint_error(name: str) -> None:
    """Kernels check no bounds: whatever they read is checked when it comes."""
    tensors = make_tensors()
    tensors[name] = tensors[name][:-1]
    with pytest.raises(CheckpointError):
        InterestEncoder(tensors)


@pytest.mark.parametrize("cut", [1, 12, 30])
def test_a_history_that_is_cut_off_is_an_error(cut: int) -> None:
    """Not a byte beyond it is read."""
    packed = pack([HistoryEvent(NOW * 1000 + n, f"e{n}", f"item-{n}", 0) for n in range(3)])
    with pytest.raises(ValueError, match="cut off"):
        interest(make_encoder(), make_matrix(), History(packed[:-cut]), NOW)


def test_missing_tensors_are_a_checkpoint_error() -> None:
    """An encoder without its tensors is refused at once."""
    with pytest.raises(CheckpointError, match="score_map"):
        InterestEncoder({})


def test_tensors_of_another_version_are_a_checkpoint_error() -> None:
    """What the encoder would leave unread is not left out in silence."""
    with pytest.raises(CheckpointError, match=r"query.weight .* train a model"):
        InterestEncoder(make_tensors() | {"query.weight": np.ones((DIM, DIM), np.float32)})


@pytest.mark.parametrize("name", ["score_map", "alpha_rank", "again_rank", "gamma_age"])
@pytest.mark.parametrize("shape", [(), (4, 4, 4)])
def test_a_tensor_of_other_dimensions_is_a_checkpoint_error(
    name: str, shape: tuple[int, ...]
) -> None:
    """Whatever a file holds, it is refused when it is loaded and not at the first list."""
    with pytest.raises(CheckpointError):
        InterestEncoder(make_tensors() | {name: np.ones(shape, np.float32)})


def test_an_interest_is_computed_anew_within_its_minute_when_an_item_moves() -> None:
    """What is remembered of a user is the interest that nobody remembered, after every delta."""
    encoder, matrix = make_encoder(), make_matrix()
    history = [HistoryEvent(NOW * 1000 + n, f"e{n}", f"item-{n}", 0) for n in range(3)]
    state = SimpleNamespace(packed=b"", declared=(), seen=np.zeros(0))
    known = KnownUser(cast("UserState", state), encode(encoder, matrix, history), b"")
    first = known.interest(encoder, NOW)
    matrix.apply(delta(1, "item-7"))
    assert known.interest(encoder, NOW) is first
    matrix.apply(delta(2, "item-1"))
    moved = known.interest(encoder, NOW)
    np.testing.assert_array_equal(
        moved.embedding, interest(encoder, matrix, history, NOW).embedding
    )
    assert (moved.embedding != first.embedding).any()
    assert known.interest(encoder, NOW) is moved
    assert known.interest(encoder, NOW + 60) is not moved
