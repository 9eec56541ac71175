"""Who owns which partition: fair shares, handing over, and a fence that holds whoever woke up."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
import redis

from interest_graph import redis_client as keys
from interest_graph.errors import GraphUnavailableError, LeaseLostError, SettingsError
from interest_graph.graph import facts, fences
from interest_graph.ingest import ingest
from interest_graph.lease import read_leases
from interest_graph.leases import Changes, Leases
from tests.integration.log_reading import read_log

if TYPE_CHECKING:
    from interest_graph.documents import Documents
    from interest_graph.event_stream import EventStream
    from interest_graph.graph.store import GraphStore
    from interest_graph.settings import Settings
    from tests.integration.conftest import MakeEvent, Query

ALL = set(range(8))


@pytest.fixture
def make(log: redis.Redis, graph: GraphStore, settings: Settings) -> Any:
    """Makes the leases of a worker of that name."""

    def leases(owner: str, **changes: Any) -> Leases:
        return Leases(log, graph, settings.model_copy(update=changes), owner)

    return leases


def end_leases(log: redis.Redis, owner: str) -> None:
    """The owner has not been heard of for longer than a lease."""
    for number, lease in log.hgetall(keys.LEASES).items():  # type: ignore[union-attr]
        if lease.endswith(f" {owner}".encode()):
            log.hset(keys.LEASES, number, f"1 {owner}")  # type: ignore[arg-type]
    log.zadd(keys.INGEST_WORKERS, {owner: 1})


def settle(*workers: Leases) -> list[set[int]]:
    """Let workers keep their leases until all know of each other and have what is theirs."""
    for _ in range(3):
        for worker in workers:
            worker.keep()
    return [worker.partitions for worker in workers]


def test_a_redis_without_memory_has_an_owner_for_its_log(
    make: Any, log: redis.Redis, events: EventStream
) -> None:
    """Whoever comes takes what is free and keeps it: nobody else would empty what is full."""
    log.config_set("maxmemory", 1)
    try:
        with pytest.raises(redis.OutOfMemoryError):
            log.set("more", 1)
        events.settle_partitions()
        newcomer = make("a")
        assert newcomer.keep().taken == [*range(8)]
        assert newcomer.keep() == Changes()
    finally:
        log.config_set("maxmemory", 0)


def test_one_worker_alone_owns_all(make: Any) -> None:
    """It takes everything at once, and keeps it."""
    alone = make("a")
    assert alone.keep().taken == [*range(8)]
    changes = alone.keep()
    assert (changes.taken, changes.given_back, changes.lost) == ([], [], [])
    assert alone.partitions == ALL


@pytest.mark.parametrize(
    ("workers", "shares"), [(2, [4, 4]), (3, [2, 3, 3]), (5, [1, 1, 2, 2, 2]), (9, [0, *[1] * 8])]
)
def test_workers_have_fair_shares(make: Any, workers: int, shares: list[int]) -> None:
    """Whoever comes gets a share of those who are there; every partition has one owner."""
    everyone: list[Leases] = []
    for number in range(workers):
        everyone.append(make(f"w-{number}"))
        owned = settle(*everyone)
        assert sum(map(len, owned)) == 8
        assert set().union(*owned) == ALL
    assert sorted(map(len, owned)) == shares


def test_a_clean_stop_hands_over_at_once(make: Any, log: redis.Redis) -> None:
    """What a worker gives back is taken by the next renewal of another, without a wait."""
    one, two = make("one"), make("two")
    settle(one, two)
    given_back = one.partitions
    one.release()
    assert set(two.keep().taken) == given_back
    assert two.partitions == ALL
    assert {lease.owner for lease in read_leases(log).values()} == {"two"}


def test_a_worker_that_is_not_heard_of_loses_its_partitions(make: Any, log: redis.Redis) -> None:
    """Others take them when the lease is over, not before; it learns of it when it wakes."""
    frozen, other = make("frozen"), make("other")
    settle(frozen, other)
    half = frozen.partitions
    assert not other.keep().taken
    end_leases(log, "frozen")
    assert set(other.keep().taken) == half
    changes = frozen.keep()
    assert set(changes.lost) == half
    assert not frozen.partitions
    settle(frozen, other)
    assert len(frozen.partitions) == len(other.partitions) == 4


def test_a_lease_that_is_over_and_that_nobody_took_goes_on(make: Any, log: redis.Redis) -> None:
    """A worker that was slow for a moment is not punished when nobody needed its partitions."""
    alone = make("a")
    alone.keep()
    end_leases(log, "a")
    changes = alone.keep()
    assert (changes.taken, changes.lost, alone.partitions) == ([], [], ALL)


def test_whoever_wakes_after_a_takeover_writes_nothing(
    make: Any,
    log: redis.Redis,
    graph: GraphStore,
    events: EventStream,
    items: Documents,
    users: Documents,
    settings: Settings,
    make_event: MakeEvent,
    query: Query,
) -> None:
    """What it has in hand is neither written, acknowledged nor buried; nothing older comes back.

    The graph is made to forget its revisions, so that nothing but the fence can stop it.
    """
    items.put([{"item_id": "i-1", "title": "old"}])
    users.put([{"user_id": "u-1", "properties": {"plan": "old"}}])
    events.accept([make_event("e-1")])
    frozen, other = make("frozen"), make("other")
    frozen.keep()
    in_hand = read_log(events)
    end_leases(log, "frozen")
    other.keep()
    items.put([{"item_id": "i-1", "title": "new"}])
    users.put([{"user_id": "u-1", "properties": {"plan": "new"}}])
    ingest(read_log(events), graph, events, settings, leases=other)
    query("MATCH (n) WHERE n.catalog_revision IS NOT NULL SET n.catalog_revision = 0")
    state = "MATCH (n:Item|User) RETURN properties(n) AS state ORDER BY elementId(n)"
    before = query(state)
    assert {row["state"].get("title", "new") for row in before} == {"new"}
    for entry in in_hand:  # as if nothing of it were done yet
        log.xadd(
            keys.partition_key(entry.partition),
            {"kind": entry.kind, "payload": entry.payload, "revision": entry.revision},
        )

    with pytest.raises(LeaseLostError) as caught:
        ingest(in_hand, graph, events, settings, leases=frozen)
    assert set(caught.value.partitions) == {entry.partition for entry in in_hand}
    with pytest.raises(LeaseLostError):
        events.acknowledge(read_log(events), "frozen")
    for entry in read_log(events):
        with pytest.raises(LeaseLostError):
            events.bury(entry, "because", "frozen")
    assert query(state) == before
    assert (events.length(), events.dead_letters()) == (len(in_hand), 0)


def test_the_fence_holds_though_every_lease_was_lost(
    make: Any,
    log: redis.Redis,
    graph: GraphStore,
    events: EventStream,
    settings: Settings,
    make_event: MakeEvent,
) -> None:
    """A Redis that forgot its leases gives one partition twice; the graph lets one write."""
    first, second = make("first"), make("second")
    first.keep()
    log.delete(keys.LEASES, keys.INGEST_WORKERS)
    second.keep()
    assert first.partitions == second.partitions == ALL
    events.accept([make_event("e-1")])
    entries = read_log(events)
    with pytest.raises(LeaseLostError):
        ingest(entries, graph, events, settings, leases=first)
    assert ingest(entries, graph, events, settings, leases=second).events == 1
    assert events.length() == 0


def test_taking_over_waits_for_a_transaction_that_goes_on(
    make: Any, graph: GraphStore, log: redis.Redis, query: Query
) -> None:
    """Frozen between its check and its commit, an owner keeps others out until it has ended."""
    frozen, other = make("frozen", log_partitions=1), make("other", log_partitions=1)
    frozen.keep()
    end_leases(log, "frozen")
    inside, wake = threading.Event(), threading.Event()

    def work(tx: Any) -> None:
        assert fences.hold_fences(tx, {0: 1}, "frozen") == {0}
        inside.set()
        assert wake.wait(60)
        tx.run("CREATE (:Item {item_id: 'written'})")

    thread = threading.Thread(target=graph.write, args=(work,))
    thread.start()
    assert inside.wait(60)
    assert other.keep().taken == []
    assert other.partitions == set()
    wake.set()
    thread.join(60)
    assert query("MATCH (i:Item) RETURN i.item_id AS id") == [{"id": "written"}]
    assert other.keep().taken == [0]
    assert query("MATCH (p:Partition) RETURN p.fence AS fence, p.owner AS owner") == [
        {"fence": 2, "owner": "other"}
    ]


def test_a_worker_of_other_settings_owns_nothing(make: Any, events: EventStream) -> None:
    """Nor does it count among those who share."""
    events.settle_partitions()
    with pytest.raises(SettingsError, match="not 3 partitions"):
        make("strange", log_partitions=3).keep()
    assert len(make("right").keep().taken) == 8


@pytest.mark.parametrize("error", [GraphUnavailableError("away"), SettingsError("no password")])
def test_what_was_taken_before_a_fence_failed_is_read(
    make: Any, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Every partition is told of as taken once, whatever Neo4j says in the middle."""
    original, failing = fences.raise_fence, [error]

    def raise_fence(tx: Any, number: int, owner: str) -> int:
        if number == 3 and failing:
            raise failing.pop()
        return original(tx, number, owner)

    monkeypatch.setattr(fences, "raise_fence", raise_fence)
    worker = make("w")
    taken = [worker.keep().taken, worker.keep().taken]
    assert taken == [[0, 1, 2], [4, 5, 6, 7, 3]]
    assert worker.partitions == ALL


def test_a_hot_item_is_touched_once_a_batch(
    make: Any,
    graph: GraphStore,
    events: EventStream,
    settings: Settings,
    make_event: MakeEvent,
    monkeypatch: pytest.MonkeyPatch,
    query: Query,
) -> None:
    """Two hundred events of forty users with one item: one row for the item, one for each user."""
    rows: list[tuple[str, int]] = []
    for name in ("touch_items", "touch_users"):
        original = getattr(facts, name)
        monkeypatch.setattr(
            facts,
            name,
            lambda tx, given, *rest, n=name, o=original: (
                rows.append((n, len(given))),
                o(tx, given, *rest),
            )[1],
        )
    events.accept([make_event(f"e-{n}", f"u-{n % 40}", "hot") for n in range(200)])
    worker = make("w")
    worker.keep()
    assert ingest(read_log(events), graph, events, settings, leases=worker).events == 200
    assert rows == [("touch_users", 40), ("touch_items", 1)]
    assert query("MATCH (i:Item) RETURN i.facts_revision AS n, i.event_count AS events") == [
        {"n": 200, "events": 200}
    ]


def test_deadlocks_are_tried_again_and_counted(graph: GraphStore, query: Query) -> None:
    """Two transactions that lock two items in opposite order both end well; one was repeated."""
    query("CREATE (:Item {item_id: 'a', n: 0}), (:Item {item_id: 'b', n: 0})")
    retried: list[int] = []
    graph.on_retry = lambda: retried.append(1)
    both = threading.Barrier(2)

    def work(first: str, second: str) -> None:
        attempts: list[int] = []

        def step(tx: Any) -> None:
            tx.run("MATCH (i:Item {item_id: $id}) SET i.n = i.n + 1", id=first).consume()
            attempts.append(1)
            if len(attempts) == 1:
                both.wait(60)
            tx.run("MATCH (i:Item {item_id: $id}) SET i.n = i.n + 1", id=second).consume()

        graph.write(step)

    threads = [threading.Thread(target=work, args=pair) for pair in (("a", "b"), ("b", "a"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert retried
    assert query("MATCH (i:Item) RETURN i.n AS n") == [{"n": 2}, {"n": 2}]
