"""What belongs into one transaction: entries and bytes are bounded, what failed comes alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from interest_graph.entry import Entry
from interest_graph.ingest import MAX_TRANSACTION_BYTES, first_batch

MEBIBYTE = b"x" * 1024 * 1024
entries_of = st.lists(
    st.builds(
        lambda size, deliveries: Entry("1-1", "event", MEBIBYTE[: size << 18], 0, deliveries),
        st.integers(0, 4),
        st.sampled_from([1, 1, 1, 2, 9]),
    ),
    max_size=50,
)


@given(entries_of, st.integers(1, 30))
def test_a_batch_is_bounded_and_nothing_is_left_out(entries: list[Entry], count: int) -> None:
    """In order, each once, within both bounds, and as much as they allow."""
    left, batches = entries, []
    while left:
        batch = first_batch(left, count)
        assert batch
        batches.append(batch)
        left = left[len(batch) :]
    assert [entry for batch in batches for entry in batch] == entries
    for batch, following in zip(batches, [*batches, []][1:], strict=True):
        size = sum(len(entry.payload) for entry in batch)
        assert len(batch) <= count
        assert size <= MAX_TRANSACTION_BYTES
        alone = [entry.deliveries > 1 for entry in [*batch, *following[:1]]]
        assert len(batch) == 1 or not any(alone[: len(batch)])
        assert (
            not following
            or len(batch) == count
            or any(alone)
            or size + len(following[0].payload) > MAX_TRANSACTION_BYTES
        )


def test_one_that_is_larger_is_a_batch() -> None:
    """A log of before the bounds may hold what is larger than a batch: it is tried all the same."""
    huge = Entry("1-1", "event", MEBIBYTE * 9)
    assert first_batch([huge, huge], 10) == [huge]
