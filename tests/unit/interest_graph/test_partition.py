"""Which partition of the log an id belongs to."""

from __future__ import annotations

from collections import Counter

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interest_graph.partition import pages_of, partition_of, partition_of_entry

ids = st.text("abcXYZ019_.:@-", min_size=1, max_size=20)


def test_the_partition_of_an_id_never_changes() -> None:
    """A stored log relies on it: another hash would tear apart what waits in it."""
    assert [partition_of(f"user-{n}", 8) for n in range(8)] == [1, 0, 0, 5, 5, 1, 4, 1]
    assert partition_of("日本", 8) == 2


@given(identifier=ids, partitions=st.integers(1, 64))
def test_a_partition_is_one_of_those_there_are(identifier: str, partitions: int) -> None:
    """Whatever the id, and the same for its event, its document and its deletion."""
    found = partition_of(identifier, partitions)
    assert 0 <= found < partitions
    event = orjson.dumps({"user_id": identifier, "item_id": "another"})
    assert partition_of_entry("event", event, partitions) == found
    assert partition_of_entry("user", event, partitions) == found
    assert partition_of_entry("delete_user", identifier.encode(), partitions) == found
    item = orjson.dumps({"item_id": identifier, "user_id": "another"})
    assert partition_of_entry("item", item, partitions) == found
    assert partition_of_entry("delete_item", identifier.encode(), partitions) == found


@pytest.mark.parametrize("payload", [b"", b"no json", b"[]", b"7", b"{}", b"null", b'"x"'])
def test_what_cannot_be_read_has_a_partition_too(payload: bytes) -> None:
    """Poison is appended again by a replay or a restore; that must not fail."""
    assert partition_of_entry("event", payload, 8) == partition_of("", 8)


def test_ids_are_spread() -> None:
    """No partition gets more than half as much again as its share of ten thousand ids."""
    counted = Counter(partition_of(f"household-{number}", 8) for number in range(10_000))
    assert len(counted) == 8
    assert max(counted.values()) < 10_000 / 8 * 1.5


@given(sent=st.lists(ids, max_size=60), size=st.integers(1, 5))
def test_a_page_is_of_one_partition(sent: list[str], size: int) -> None:
    """Every id once, in pages no larger than asked for, each of one partition."""
    pages = [*pages_of(sent, 4, size)]
    assert sorted(one for page in pages for one in page) == sorted(set(sent))
    for page in pages:
        assert 0 < len(page) <= size
        assert len({partition_of(one, 4) for one in page}) == 1
