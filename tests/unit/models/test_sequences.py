"""Windows of events: what a step reads, and what lies before it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic import make_graph

from models.sequences import Windows

SHOP = make_graph(users=12, events=30)


@given(st.integers(2, 40), st.integers(1, 400), st.integers(0, 100))
@settings(deadline=None, max_examples=30)
def test_batches_hold_every_window_once_within_their_bound(
    size: int, events: int, seed: int
) -> None:
    """Each window is in one batch, of one group, and no batch is larger than it may be."""
    windows = Windows(SHOP, size, np.random.default_rng(seed))
    group = np.arange(12) % 3
    batches = windows.batches(events, group)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(windows.users)))
    for members in batches:
        assert len(set(group[windows.users[members]].tolist())) == 1
        batch = windows.read(members, 1.0, 0.0)
        assert batch.items.numel() <= max(events, batch.items.shape[1])


def test_what_lies_before_a_window_is_the_users_own_past() -> None:
    """The events before a window are its user's newest older ones, in order, and no more."""
    windows = Windows(SHOP, 8, np.random.default_rng(0), reach=5)
    batch = windows.read(np.arange(len(windows.users)), 1.0, 0.0)
    for row, user in enumerate(windows.users.tolist()):
        mine = SHOP.event_item[SHOP.event_user == user]
        times = SHOP.event_time[SHOP.event_user == user]
        first = int(np.searchsorted(times, float(batch.times[row, 0])))
        expected = mine[max(0, first - 5) : first].tolist()
        past = batch.past_items[row].tolist()
        assert past == [-1] * (len(past) - len(expected)) + expected


def test_events_without_order_are_read_in_a_new_order_each_time() -> None:
    """Where nothing says what came first every epoch draws an order, of the user's own events."""
    graph = replace(SHOP, event_time=np.zeros(SHOP.num_events))

    def histories(seed: int) -> dict[int, list[int]]:
        windows = Windows(graph, 1000, np.random.default_rng(seed), any_order=True)
        batch = windows.read(np.arange(len(windows.users)), same_moment=1.0, look_ahead=1.0)
        real = np.arange(batch.items.shape[1]) == batch.last.numpy() + 1
        pairs = zip(windows.users.tolist(), batch.items.numpy(), real, strict=True)
        return {user: items[mask].tolist() for user, items, mask in pairs}

    one, other = histories(0), histories(1)
    assert one != other
    whole = {user for user in one if user in other and len(one[user]) == len(other[user])}
    assert whole
    for user in whole:
        mine = sorted(graph.event_item[graph.event_user == user].tolist())
        assert sorted(one[user]) == sorted(other[user]) == mine
