"""The interest encoder in torch against the one that serves."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from interest_graph import interest_encoder as serving
from models.interest_encoder import InterestEncoder, InterestEncoderConfig, at_knots
from tests.unit.interest_graph.test_interest import read_at

CONFIG = InterestEncoderConfig(
    dim=16, max_events=12, again_events=13, event_weights=(0.1, 0.5, 1.0)
)


def make_encoder(seed: int = 0) -> InterestEncoder:
    """An encoder whose every parameter is random."""
    torch.manual_seed(seed)
    encoder = InterestEncoder(CONFIG).eval()
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return encoder


def ask(
    encoder: InterestEncoder, types: np.ndarray, times: np.ndarray, now: float
) -> tuple[np.ndarray, np.ndarray]:
    """α and γ of one user's events, from torch."""
    with torch.no_grad():
        alpha, gamma = encoder(
            torch.from_numpy(types)[None],
            torch.from_numpy(times)[None],
            torch.tensor([[len(times) - 1]]),
            torch.tensor([[now]], dtype=torch.float64),
        )
    return alpha[0, 0].numpy(), gamma[0, 0].numpy()


def again_of(
    served: serving.InterestEncoder,
    items: np.ndarray,
    types: np.ndarray,
    times: np.ndarray,
    now: float,
) -> np.ndarray:
    """ρ of one user's events, from the one that serves."""
    return served.weights(served.encode(serving.EventArrays(items, types, times)), now)[2]


@given(st.integers(1, 12), st.integers(0, 10_000))
@settings(deadline=None, max_examples=50)
def test_torch_and_kernels_agree(count: int, seed: int) -> None:
    """For any events both give the same α and γ within 1e-5."""
    rng = np.random.default_rng(seed)
    encoder = make_encoder(seed % 5)
    types = rng.integers(0, 3, count)
    times = 1.7e9 + np.sort(rng.exponential(10.0 ** rng.integers(0, 8), count).cumsum())
    now = float(times[-1] + rng.exponential(1e5))
    alpha, gamma = ask(encoder, types, times, now)
    served = serving.InterestEncoder(encoder.tensors())
    read = served.encode(serving.EventArrays(np.arange(count), types, times))
    served_alpha, served_gamma, _ = served.weights(read, now)
    np.testing.assert_allclose(served_alpha, alpha, atol=1e-5)
    np.testing.assert_allclose(served_gamma, gamma, rtol=1e-4, atol=1e-5)


@given(st.integers(0, 14), st.integers(0, 10_000))
@settings(deadline=None, max_examples=30)
def test_torch_and_kernels_agree_on_what_is_wanted_again(count: int, seed: int) -> None:
    """For any events both give the same ρ, and torch none to what is too far back."""
    rng = np.random.default_rng(seed)
    encoder = make_encoder(seed % 5)
    items, types = rng.integers(0, 4, count), rng.integers(0, 3, count)
    times = 1.7e9 + np.sort(rng.exponential(10.0 ** rng.integers(0, 8), count).cumsum())
    now = 1.9e9
    with torch.no_grad():
        again = encoder.again(
            torch.from_numpy(items)[None],
            torch.from_numpy(types)[None],
            torch.from_numpy(times)[None],
            torch.tensor([[count - 1]]),
            torch.tensor([[now]], dtype=torch.float64),
        )
    served = serving.InterestEncoder(encoder.tensors())
    assert served.again_events == 13
    expected = again_of(served, items[-13:], types[-13:], times[-13:], now)
    np.testing.assert_allclose(again[0, 0].numpy()[-13:], expected, rtol=1e-4)
    assert not again[0, 0].numpy()[:-13].any()


def test_what_is_taken_often_counts_more_but_not_in_proportion() -> None:
    """ρ of an item's events sums to the log of one plus their amount: concave in their number."""
    tensors = make_encoder(3).tensors()
    tensors["again_rank"] = np.zeros_like(tensors["again_rank"])  # all events say as much
    served = serving.InterestEncoder(tensors)

    def together(count: int) -> float:
        nothing = np.zeros(count, np.int64)
        return float(again_of(served, nothing, nothing, np.zeros(count), 0).sum())

    sums = [together(count) for count in (1, 2, 4, 8)]
    steps = np.diff(sums) / np.array([1, 2, 4])
    assert (steps > 0).all()
    assert (np.diff(steps) < 0).all()
    faint = tensors | {"again_type": tensors["again_type"] - 500}
    nothing = np.zeros(2, np.int64)
    assert not again_of(serving.InterestEncoder(faint), nothing, nothing, np.zeros(2), 0).any()
    apart = again_of(served, np.arange(2), nothing, np.zeros(2), 0)
    assert float(apart.sum()) > sums[1]


def test_every_position_answers_as_if_it_were_the_last() -> None:
    """In one pass over a window each question sees what it would see alone."""
    rng = np.random.default_rng(1)
    encoder = make_encoder()
    types, times = rng.integers(0, 3, 10), 1.7e9 + np.arange(10) * 5000.0
    last = torch.arange(10)[None]
    with torch.no_grad():
        alpha, gamma = encoder(
            torch.from_numpy(types)[None],
            torch.from_numpy(times)[None],
            last,
            torch.from_numpy(times + 60)[None],
        )
    for end in range(10):
        cut = slice(None, end + 1)
        alone = ask(encoder, types[cut], times[cut], times[end] + 60)
        np.testing.assert_allclose(alpha[0, end, cut], alone[0], atol=1e-5)
        np.testing.assert_allclose(gamma[0, end, cut], alone[1], rtol=1e-4)
        assert not alpha[0, end, end + 1 :].any()
        assert not gamma[0, end, end + 1 :].any()


def test_nothing_visible_gives_no_weight_and_finite_gradients() -> None:
    """A question without events has α and γ of zero, and training through it stays finite."""
    encoder = make_encoder().train()
    times = torch.arange(3, dtype=torch.float64)[None]
    types, last = torch.zeros(1, 3, dtype=torch.int64), torch.tensor([[-1, 0, 1]])
    alpha, gamma = encoder(types, times, last, times)
    assert not alpha[0, 0].any()
    assert not gamma[0, 0].any()
    (alpha.sum() + gamma.sum()).backward()
    for table in (encoder.alpha_rank, encoder.alpha_age, encoder.gamma_type):
        assert table.grad is not None
        assert torch.isfinite(table.grad).all()


def test_weights_survive_saving() -> None:
    """Loading a state into a fresh encoder gives the same answers."""
    encoder, other = make_encoder(), InterestEncoder(CONFIG).eval()
    other.load_state_dict(encoder.state_dict())
    types = np.array([0, 1, 2, 0])
    times = 1.7e9 + np.arange(4.0)
    for one, two in zip(
        ask(encoder, types, times, 1.7e9 + 9),
        ask(other, types, times, 1.7e9 + 9),
        strict=True,
    ):
        np.testing.assert_array_equal(one, two)


def test_no_events_have_no_weights() -> None:
    """The serving encoder answers an empty history with empty weights."""
    served = serving.InterestEncoder(make_encoder().tensors())
    nothing = np.zeros(0, np.int64)
    read = served.encode(serving.EventArrays(nothing, nothing, np.zeros(0)))
    alpha, gamma, again = served.weights(read, 0)
    assert len(alpha) == len(gamma) == len(again) == 0


@pytest.mark.parametrize("knots", [2, 16])
def test_both_read_tables_of_time_alike(knots: int) -> None:
    """Torch and kernels read a table at the same place, outside its range as well."""
    table = np.random.default_rng(0).normal(0, 1, knots).astype(np.float32)
    seconds = np.array([-1.0, 0.0, 59.0, 1e4, 1e7, 1e12, np.inf])
    ours = at_knots(torch.from_numpy(table), torch.from_numpy(seconds)).numpy()
    np.testing.assert_allclose(ours, read_at(table, seconds), atol=1e-6)


def test_a_thing_taken_long_ago_is_forgotten_slower_the_older_it_is() -> None:
    """Before training an event's weight falls faster in its first weeks than a year later."""
    table = InterestEncoder(CONFIG).again_age.detach()
    days = torch.tensor([0.0, 20.0, 40.0, 320.0, 340.0], dtype=torch.float64)
    now, soon, later, old, older = at_knots(table, days * 86_400).tolist()
    assert 0 < soon - later < now - soon
    assert old - older < 0.5 * (soon - later)
