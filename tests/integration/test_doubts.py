"""Who is in doubt: noted with what leaves the log, and forgotten only when put right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from interest_graph import redis_client as keys
from interest_graph.doubts import Doubts, doubts_of
from interest_graph.errors import LeaseLostError
from interest_graph.rebuild import Rebuilt
from tests.integration.log_reading import read_log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import redis

    from interest_graph.event_stream import EventStream
    from interest_graph.rebuild import ServingRebuild
    from tests.integration.conftest import MakeEvent


@pytest.fixture
def doubts(log: redis.Redis) -> Doubts:
    """Nobody is in doubt."""
    return Doubts(log)


@pytest.fixture
def no_memory(log: redis.Redis) -> Iterator[Callable[[], object]]:
    """Takes its memory from Redis, until the test ends."""
    yield lambda: log.config_set("maxmemory", 1)
    log.config_set("maxmemory", 0)


class Rebuilding:
    """Notes whom it is to rebuild; something happens meanwhile."""

    def __init__(self, meanwhile: Callable[[], object] = str, given_up: Iterable[str] = ()) -> None:
        self.rebuilt: list[str] = []
        self._meanwhile, self._given_up = meanwhile, list(given_up)

    def users(self, ids: list[str]) -> Rebuilt:
        """As ServingRebuild."""
        self.rebuilt += ids
        self._meanwhile()
        return Rebuilt(given_up=self._given_up)

    def items(self, ids: list[str]) -> Rebuilt:
        """As ServingRebuild."""
        self.rebuilt += ids
        return Rebuilt()


def put_right(doubts: Doubts, rebuilding: Rebuilding) -> int:
    """Put right with it."""
    return doubts.put_right(cast("ServingRebuild", rebuilding))


def noted(log: redis.Redis) -> set[bytes]:
    """Who is in doubt."""
    return set(cast("Any", log.hkeys(keys.DOUBTS)))


def test_whoever_is_left_in_doubt_is_noted_in_the_same_step(
    events: EventStream, log: redis.Redis, doubts: Doubts, make_event: MakeEvent
) -> None:
    """By an acknowledgement of several partitions, and by a burial."""
    users = [f"u-{number}" for number in range(9)]
    events.accept([make_event(f"e-{user}", user) for user in users])
    last, *entries = sorted(read_log(events), key=lambda entry: entry.payload)
    events.acknowledge(entries, doubts=doubts_of(users[1:]))
    events.bury(last, "because", doubts=doubts_of(users[:1]))
    assert noted(log) == {f"user {user}".encode() for user in users}
    rebuilding = Rebuilding()
    assert put_right(doubts, rebuilding) == len(users)
    assert sorted(rebuilding.rebuilt) == users
    assert doubts.count() == 0
    assert put_right(doubts, Rebuilding()) == 0


def test_who_is_in_doubt_again_stays_so(
    events: EventStream, log: redis.Redis, doubts: Doubts, make_event: MakeEvent
) -> None:
    """While a rebuild goes on another entry may leave the log, which it has not seen the end of."""
    events.accept([make_event("e-1"), make_event("e-2"), make_event("e-3", "u-2")])
    first, *rest = sorted(read_log(events), key=lambda entry: entry.payload)
    events.bury(first, "because", doubts=["user u-1"])
    events.acknowledge(rest[1:], doubts=["user u-2"])

    def meanwhile() -> None:
        events.bury(rest[0], "because", doubts=["user u-1"])

    assert put_right(doubts, Rebuilding(meanwhile)) == 1
    assert noted(log) == {b"user u-1"}
    assert put_right(doubts, Rebuilding(given_up=["u-1"])) == 0
    assert put_right(doubts, Rebuilding()) == 1


def test_who_lost_the_lease_notes_nobody(
    events: EventStream, log: redis.Redis, doubts: Doubts, make_event: MakeEvent
) -> None:
    """Whoever has the partition finds out."""
    events.accept([make_event("e-1")])
    (entry,) = read_log(events)
    log.hset(keys.LEASES, str(entry.partition), "9 somebody")
    with pytest.raises(LeaseLostError):
        events.acknowledge([entry], "frozen", ["user u-1"])
    with pytest.raises(LeaseLostError):
        events.bury(entry, "because", "frozen", ["user u-1"])
    assert (doubts.count(), events.length()) == (0, 1)


def test_without_memory_entries_leave_the_log_all_the_same(
    events: EventStream,
    doubts: Doubts,
    make_event: MakeEvent,
    no_memory: Callable[[], object],
) -> None:
    """Or a Redis that the log has filled would stay full."""
    events.accept([make_event("e-1"), make_event("e-2")])
    first, second = read_log(events)
    no_memory()
    events.acknowledge([first], doubts=["user u-1", "item item-00"])
    events.bury(second, "because", doubts=["user u-2"])
    assert (events.length(), events.dead_letters()) == (0, 1)
    assert doubts.count() == 2  # no entry of the item's partition was acknowledged
