"""The serving state is rebuilt from Neo4j and the log, byte for byte, and under load."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from interest_graph import redis_client as keys
from interest_graph.accepted import Status
from interest_graph.event_stream import EventStream
from interest_graph.history import HistoryEvent, pack, unpack
from interest_graph.item import ItemInput
from interest_graph.rebuild import ServingRebuild
from interest_graph.user import UserInput
from tests.integration.log_reading import read_log, work_off

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis

    from interest_graph.documents import Documents
    from interest_graph.graph.store import GraphStore
    from interest_graph.serving_state import ServingState
    from interest_graph.settings import Settings
    from tests.integration.conftest import MakeEvent, Query

NOW = 1_700_000_000
PAUSE_S = 0.005


@pytest.fixture
def rebuild(
    graph: GraphStore, log: redis.Redis, events: EventStream, settings: Settings
) -> Callable[..., Any]:
    """Rebuilds, or with `write=False` only counts what differs."""

    def run(**options: bool) -> Any:
        return ServingRebuild(graph, log, events, settings, **options).run()

    return run


@pytest.fixture
def drain(graph: GraphStore, events: EventStream, settings: Settings) -> Callable[[], None]:
    """Brings the log into the graph."""

    def run() -> None:
        work_off(events, graph, settings)

    return run


@pytest.fixture
def busy_shop(
    items: Documents, users: Documents, events: EventStream, make_event: MakeEvent
) -> float:
    """Items and users, some deleted and one of them sent again; events of many kinds.

    Returns:
        When the event of the user who was sent again happened.
    """
    chance = random.Random(1)
    items.put(
        [
            ItemInput(
                item_id=f"item-{number:02d}",
                title=f"Lampe Nº {number} 「é」",
                categories=[["Home", "Light"], ["Gifts", f"For {number % 3}"]],
                brand="ACME" if number % 2 else "Acme",
                price=number / 3,
                available_until="2030-01-01T00:00:00+02:00",
                properties={"colours": ["red", "blue"], "size": number},
            ).document
            for number in range(20)
        ]
    )
    users.put([UserInput(user_id=f"u-{n}", categories=[["Home"]]).document for n in range(5)])
    events.accept(
        [
            make_event(
                f"e-{number}",
                f"u-{chance.randrange(12)}",
                f"item-{chance.randrange(24):02d}",
                chance.choice(["view", "purchase", "purchase", "add_to_cart"]),
                NOW - chance.randrange(10_000),
            )
            for number in range(400)
        ]
    )
    for number in range(40):  # impossible, and of a bot: facts, and nothing else
        user, value = f"u-{number % 8}", -1.0
        events.accept([make_event(f"f-{number}", user, "item-01", "purchase", NOW, value=value)])
    events.accept([make_event("f-bot", "u-bot", "item-01", properties={"bot": True})])
    items.delete("item-03")
    users.delete("u-3")
    users.delete("u-7")
    users.put([UserInput(user_id="u-7", properties={"again": True}).document])
    later = time.time() + 60
    assert events.accept([make_event("late", "u-7", "item-04", "purchase", later)]).accepted
    return later


def state(client: redis.Redis) -> dict[str, Any]:
    """Everything of the serving state that a rebuild restores, without counters and stamps."""
    found: dict[str, Any] = {
        "items": client.hgetall(keys.ITEMS),
        "revisions": client.zrange(keys.ITEM_REVISIONS, 0, -1, withscores=True),
        "ids": client.zrange(keys.ITEM_IDS, 0, -1),
        "user ids": client.zrange(keys.USER_IDS, 0, -1),
        "user revisions": client.zrange(keys.USER_REVISIONS, 0, -1, withscores=True),
    }
    for key in sorted(client.scan_iter("ig:user:*")):
        fields = client.hgetall(key)
        history = unpack(fields.pop(b"h", b""))
        for stamp in (b"r", b"b", b"v"):  # counters that go on from where they are, and the stamp
            fields.pop(stamp, None)
        found[key.decode()] = (fields, history)
    for key in sorted(client.scan_iter("ig:seen:*")):
        found[key.decode()] = client.smembers(key)
    return found


def window(client: redis.Redis) -> dict[bytes, Any]:
    """The duplicate window: the hash of each event's body."""
    return {key: client.get(key) for key in client.scan_iter("ig:event:*")}


def test_a_lost_redis_is_rebuilt_byte_for_byte(
    busy_shop: float,
    log: redis.Redis,
    drain: Callable[[], None],
    rebuild: Callable[..., Any],
    events: EventStream,
    make_event: MakeEvent,
    query: Query,
) -> None:
    """Documents, histories, seen items, tombstones, revisions and the duplicate window."""
    drain()
    before, remembered = state(log), window(log)
    revisions = [int(log.get(name) or 0) for name in (keys.CATALOG_REVISION, keys.USERS_REVISION)]
    answered = int(log.get(keys.HISTORY_REVISION) or 0)
    log.flushdb()

    done = rebuild()
    assert state(log) == before
    assert done.changed > 30
    assert not done.given_up
    assert not done.missing_documents
    again = rebuild()
    assert (again.changed, again.users, again.items) == (0, done.users, done.items)
    assert rebuild(write=False).changed == 0
    assert [int(log.get(n) or 0) for n in (keys.CATALOG_REVISION, keys.USERS_REVISION)] == revisions
    assert int(log.get(keys.HISTORY_REVISION) or 0) > answered

    facts = query("MATCH (:User)-[e]->(:Item) WHERE e.event_id IS NOT NULL RETURN e.event_id AS id")
    held = {keys.event_key(row["id"]).encode() for row in facts}
    assert window(log) == {key: body for key, body in remembered.items() if key in held}
    resent = events.accept([make_event("late", "u-7", "item-04", "purchase", busy_shop)])
    assert resent.statuses == (Status.DUPLICATE,)
    earlier = events.accept([make_event("early", "u-7", "item-04", "purchase")])
    assert earlier.statuses == (Status.BEFORE_CREATED_AGAIN,)
    refused = events.accept([make_event("new", "u-3", "item-04")])
    assert refused.statuses == (Status.DELETED_USER,)


def test_what_is_in_the_log_alone_is_not_forgotten(
    busy_shop: float, log: redis.Redis, rebuild: Callable[..., Any]
) -> None:
    """Nothing was brought into the graph: all there is stands in the log."""
    del busy_shop
    before = state(log)
    kept = {keys.HISTORY_REVISION, keys.CATALOG_REVISION, keys.USERS_REVISION}
    for key in log.scan_iter("ig:*"):
        if key.decode() not in kept and not key.startswith(b"ig:log:"):
            log.delete(key)
    rebuild()
    assert state(log) == before


def test_poison_that_waits_stops_no_rebuild(
    busy_shop: float, log: redis.Redis, rebuild: Callable[..., Any]
) -> None:
    """What can never be written says nothing of any user or item."""
    del busy_shop
    before = state(log)
    for kind, payload in (("item", "no item"), ("user", "[1]"), ("user", "{}"), ("event", "{}")):
        log.xadd(keys.partition_key(0), {"kind": kind, "payload": payload})
    assert rebuild().changed == 0
    assert state(log) == before


def test_what_nobody_knows_is_removed(
    busy_shop: float, log: redis.Redis, drain: Callable[[], None], rebuild: Callable[..., Any]
) -> None:
    """A history, a document and a seen item that neither graph nor log holds are errors."""
    del busy_shop
    drain()
    before = state(log)
    false = HistoryEvent(NOW * 1000, "never", "item-01", 0)
    log.hset(keys.user_key("nobody"), mapping={"h": pack([false]), "n": 1, "r": 3})
    log.hset(keys.user_key("u-1"), mapping={"h": pack([false]), "n": 1})
    log.sadd(keys.seen_key("u-2"), keys.seen_member("item-99", 3))
    log.hset(keys.ITEMS, "item-77", b"{}")
    log.hset(keys.ITEMS, "item-01", b"{}")
    assert rebuild(write=False).changed == 5
    assert rebuild().changed == 5
    assert state(log) == before


def test_what_is_newer_than_the_graph_stays(
    busy_shop: float,
    log: redis.Redis,
    users: Documents,
    items: Documents,
    events: EventStream,
    drain: Callable[[], None],
    rebuild: Callable[..., Any],
) -> None:
    """Redis outlived a graph that was restored from before: nobody who was erased comes back."""
    del busy_shop
    drain()
    users.delete("u-1")
    users.put([UserInput(user_id="u-2", properties={"new": True}).document])
    items.put([ItemInput(item_id="item-01", title="New").document])
    users.delete("u-4")
    users.put([UserInput(user_id="u-4").document])
    before = state(log)
    events.acknowledge(read_log(events))  # the graph never heard of it
    rebuild()
    after = state(log)
    assert after["ig:user:u-1"] == before["ig:user:u-1"]
    assert after["ig:user:u-2"][0] == before["ig:user:u-2"][0]
    assert after["ig:user:u-4"] == before["ig:user:u-4"], "the past of who was created again"
    assert after["items"] == before["items"]


def test_a_check_writes_nothing(
    busy_shop: float, log: redis.Redis, drain: Callable[[], None], rebuild: Callable[..., Any]
) -> None:
    """It counts what differs."""
    del busy_shop
    drain()
    log.delete(keys.user_key("u-1"), keys.seen_key("u-2"), keys.ITEMS)
    before = state(log)
    done = rebuild(write=False)
    assert (done.changed_users, done.changed_items) == (2, 19)
    assert state(log) == before


def test_stamps_of_what_is_kept_stay(
    busy_shop: float,
    log: redis.Redis,
    serving: ServingState,
    drain: Callable[[], None],
    rebuild: Callable[..., Any],
) -> None:
    """An answer given before can be explained afterwards: its events keep their revisions."""
    del busy_shop
    drain()
    history = serving.read("u-1").user.history
    log.hset(keys.user_key("u-1"), mapping={"h": pack(history[1:]), "n": len(history) - 1})
    rebuild()
    rebuilt = serving.read("u-1")
    assert rebuilt.user.history == history
    assert [one.revision for one in rebuilt.user.history[1:]] == [
        one.revision for one in history[1:]
    ]
    assert rebuilt.history_revision > 0


@dataclass
class Load:
    """Senders of events and documents, and an ingest loop, until they are told to stop."""

    log: redis.Redis
    settings: Settings
    items: Documents
    make_event: MakeEvent
    drain: Callable[[], None]
    stop: threading.Event = field(default_factory=threading.Event)
    sent: list[str] = field(default_factory=list)

    def send(self, sender: int) -> None:
        """Send events of random users, and now and then another title of an item."""
        chance, stream, number = random.Random(sender), EventStream(self.log, self.settings), 0
        while not self.stop.wait(PAUSE_S):
            number += 1
            user, item = f"u-{chance.randrange(4, 30)}", f"item-{chance.randrange(20):02d}"
            kind = chance.choice(["view", "purchase"])
            event = self.make_event(f"s{sender}-{number}", user, item, kind, NOW + number)
            if stream.accept([event]).accepted:  # of who was created again nothing from before is
                self.sent.append(event.event_id)
            if number % 20 == 0:
                self.items.put([ItemInput(item_id="item-05", title=f"{sender} {number}").document])

    def move(self) -> None:
        """Bring the log into the graph."""
        while not self.stop.is_set():
            self.drain()


@pytest.mark.slow
def test_a_rebuild_under_load_loses_nothing(
    busy_shop: float,
    log: redis.Redis,
    items: Documents,
    drain: Callable[[], None],
    rebuild: Callable[..., Any],
    make_event: MakeEvent,
    settings: Settings,
    query: Query,
) -> None:
    """Events, documents and deletions go on coming while it runs again and again."""
    del busy_shop
    load, chance = Load(log, settings, items, make_event, drain), random.Random(9)
    with ThreadPoolExecutor(4) as pool:
        work = [pool.submit(load.send, sender) for sender in range(3)] + [pool.submit(load.move)]
        try:
            for _ in range(4):
                for user in chance.sample(range(4, 30), 8):
                    log.hdel(keys.user_key(f"u-{user}"), "h", "n", "r")
                assert not rebuild().given_up
        finally:
            load.stop.set()
        for one in work:
            one.result()
    drain()
    rebuild()
    assert rebuild(write=False).changed == 0
    facts = query("MATCH (:User)-[e:VIEWED|PURCHASED]->(:Item) RETURN e.event_id AS id")
    assert {row["id"] for row in facts} >= set(load.sent)
