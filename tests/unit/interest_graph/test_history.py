"""The packed form of a history."""

import struct

from hypothesis import given
from hypothesis import strategies as st

from interest_graph.history import HistoryEvent, digest, newest, pack, unpack

ids = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:-", min_size=1)
events = st.builds(
    HistoryEvent,
    occurred_at_ms=st.integers(631_152_000_000, 2**47),
    event_id=ids.filter(lambda value: len(value) <= 64),
    item_id=ids.filter(lambda value: len(value) <= 128),
    event_type=st.integers(0, 15),
)
histories = st.lists(events, max_size=30)


@given(histories)
def test_unpacking_returns_what_was_packed(history: list[HistoryEvent]) -> None:
    """Every event comes back as it was, in the order it was packed."""
    assert unpack(pack(history)) == tuple(history)


@given(histories)
def test_a_packed_history_can_be_walked_from_its_end(history: list[HistoryEvent]) -> None:
    """Each entry ends with its own length, so the newest event is found without the rest."""
    packed, found = pack(history), []
    while packed:
        (length,) = struct.unpack(">H", packed[-2:])
        found += unpack(packed[-length:])
        packed = packed[:-length]
    assert found[::-1] == history


@given(histories, st.randoms(), st.integers(1, 40))
def test_the_newest_do_not_depend_on_the_order_of_arrival(
    history: list[HistoryEvent], random: object, count: int
) -> None:
    """The newest N are the last N by (occurred_at, event_id), however the events arrive."""
    shuffled = list(history)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert newest(shuffled, count) == newest(history, count)
    assert list(newest(history, count)) == sorted(history)[-count:]


@given(histories, histories)
def test_the_digest_tells_histories_apart(
    one: list[HistoryEvent], other: list[HistoryEvent]
) -> None:
    """Two digests are equal exactly when the histories are."""
    assert (digest(one) == digest(other)) == (one == other)
