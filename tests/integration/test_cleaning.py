"""Flagged events on real servers: facts with a reason that count nowhere, whatever happens."""

from __future__ import annotations

import struct
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from interest_graph import redis_client as keys
from interest_graph.accepted import Status
from interest_graph.dead_letters import DeadLetters
from interest_graph.errors import NotFoundError, StreamFullError
from interest_graph.event import Event
from interest_graph.event_stream import EventStream
from interest_graph.history import unpack
from interest_graph.rebuild import ServingRebuild
from interest_graph.recommendation import Query as ListQuery
from interest_graph.redis_client import connect
from interest_graph.training_data import read_training_data
from tests.integration.log_reading import read_log, work_off
from tests.integration.shop import ITEMS, Shop
from tests.integration.test_refresh_users import Desk

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis

    from interest_graph.documents import Documents
    from interest_graph.graph.store import GraphStore
    from interest_graph.ingest import Ingested
    from interest_graph.settings import Settings
    from tests.integration.conftest import MakeEvent, Query

FOREVER_S = 10**9
"""A window that no test sees the end of."""
RATES = struct.Struct(">IIII")
FACTS = """
MATCH (u:User)-[e]->(:Item) WHERE e.event_id IS NOT NULL
RETURN e.event_id AS id, e.flagged AS flagged ORDER BY id"""
NODES = """
MATCH (n:User|Item)
RETURN coalesce(n.user_id, n.item_id) AS id, n.facts_revision AS facts,
  n.stale_since IS NULL AS fresh, coalesce(n.event_count, 0) AS events,
  coalesce(n.popularity, 0.0) AS popularity
ORDER BY id"""
OFF = {"bot_events": 0, "burst_events": 0, "repeat_events": 0}


@pytest.fixture
def drain(graph: GraphStore, events: EventStream, settings: Settings) -> Callable[[], Ingested]:
    """Brings the log into the graph."""

    def run() -> Ingested:
        return work_off(events, graph, settings)

    return run


def stream_with(log: redis.Redis, settings: Settings, **fields: Any) -> EventStream:
    """The log under rates of the test's own, all others off."""
    return EventStream(log, settings.model_copy(update=OFF | fields))


def history(log: redis.Redis, user_id: str = "u-1") -> list[str]:
    """Ids of the events of a history."""
    packed = log.hget(keys.user_key(user_id), "h")
    assert packed is None or isinstance(packed, bytes)
    return [event.event_id for event in unpack(packed or b"")]


def in_the_log(stream: EventStream) -> dict[str, str | None]:
    """Flag by event of what is in the log."""
    events = [Event.from_json(entry.payload) for entry in stream.entries()]
    return {event.event_id: event.flagged for event in events}


def test_what_exceeds_a_burst_is_flagged(
    log: redis.Redis, settings: Settings, make_event: MakeEvent
) -> None:
    """Whether in one request or several; other users are not touched, the next window is free."""
    stream = stream_with(log, settings, burst_events=3, burst_window_s=FOREVER_S)
    now = time.time()
    assert stream.accept([make_event("e-1", at=now), make_event("e-2", at=now)]).flagged == []
    sent = [make_event(f"e-{n}", at=now) for n in (3, 4, 5)]
    accepted = stream.accept([*sent, make_event("other", "u-2", at=now)])
    assert accepted.accepted == 4
    assert accepted.flagged == [(1, "burst"), (2, "burst")]
    assert in_the_log(stream) == dict.fromkeys(["e-1", "e-2", "e-3", "other"]) | dict.fromkeys(
        ["e-4", "e-5"], "burst"
    )
    assert history(log) == ["e-1", "e-2", "e-3"]
    rates = log.hget(keys.user_key("u-1"), "b")
    assert isinstance(rates, bytes)
    day, of_day, window, of_window = RATES.unpack(rates)
    assert (of_day, of_window) == (5, 5)
    log.hset(keys.user_key("u-1"), "b", RATES.pack(day, of_day, window - 1, of_window))
    assert stream.accept([make_event("e-6", at=now)]).flagged == []


def test_who_sends_more_in_a_day_than_anybody_is_a_bot(
    log: redis.Redis, settings: Settings, make_event: MakeEvent
) -> None:
    """However slowly; the next day begins anew."""
    stream = stream_with(log, settings, bot_events=2)
    now = time.time()
    yesterday = int(now // 86_400) - 1
    log.hset(keys.user_key("u-1"), "b", RATES.pack(yesterday, 99, 0, 99))
    sent = [make_event(f"e-{n}", at=now) for n in range(4)]
    assert stream.accept(sent).flagged == [(2, "bot"), (3, "bot")]


def test_the_same_again_and_again_is_flagged(
    log: redis.Redis, settings: Settings, make_event: MakeEvent
) -> None:
    """One user, item and type; another item or type, or a longer time, is not a repeat."""
    stream = stream_with(log, settings, repeat_events=2, repeat_window_s=100)
    now = float(int(time.time()))
    stream.accept([make_event("old", at=now - 150)])
    sent = [
        make_event("e-1", at=now - 99),  # the first within the window of the third
        make_event("e-2", at=now - 50),
        make_event("e-3", at=now),
        make_event("type", event_type="click", at=now),
        make_event("item", item_id="item-0", at=now),
        make_event("user", "u-2", at=now),
        make_event("e-4", at=now + 1),  # e-1 is 100 seconds before it
    ]
    assert stream.accept(sent).flagged == [(2, "repeat")]
    assert history(log) == ["old", "e-1", "e-2", "item", "type", "e-4"]


def test_an_id_within_another_is_no_repeat(
    log: redis.Redis, settings: Settings, make_event: MakeEvent
) -> None:
    """What is compared is the item, not the text of its id anywhere in the history."""
    stream = stream_with(log, settings, repeat_events=2, repeat_window_s=100)
    now = time.time()
    for number, item in enumerate(["ab", "b", "bab", "xb"]):
        assert not stream.accept([make_event(f"b-{number}", item_id=item, at=now)]).flagged
    assert not stream.accept([make_event("b-9", item_id="b", at=now)]).flagged
    assert stream.accept([make_event("last", item_id="b", at=now)]).flagged == [(0, "repeat")]


def test_history_is_never_a_burst(
    log: redis.Redis, settings: Settings, make_event: MakeEvent
) -> None:
    """What is told long after it happened, as a load does, has no rate; with everything at 1."""
    stream = stream_with(log, settings, bot_events=1, burst_events=1, repeat_events=1)
    then = time.time() - settings.live_s - 5
    sent = [make_event(f"e-{n}", at=then) for n in range(300)]
    assert stream.accept(sent).flagged == []
    now = [make_event(f"n-{n}", item_id=f"item-{n}", at=time.time()) for n in range(2)]
    assert stream.accept(now).flagged == [(1, "bot")]


def test_honest_traffic_is_not_flagged(events: EventStream, make_event: MakeEvent) -> None:
    """A page of a hundred views, a basket of two hundred lines and a reader's click, by default."""
    now = time.time()
    views = [make_event(f"v-{n}", item_id=f"i-{n}", at=now) for n in range(100)]
    basket = [
        make_event(f"p-{n}", item_id=f"i-{n}", event_type="purchase", at=now, value=2.0)
        for n in range(200)
    ]
    again = [make_event(f"c-{n}", event_type="click", at=now) for n in range(20)]
    assert events.accept([*views, *basket, *again]).flagged == []


def test_a_bound_holds_over_all_processes(
    log: redis.Redis,
    settings: Settings,
    make_event: MakeEvent,
    graph: GraphStore,
    events: EventStream,
    drain: Callable[[], Ingested],
    query: Query,
) -> None:
    """Eight senders at once: exactly the bound is counted, and stores agree on which."""
    limits = {"burst_events": 100, "burst_window_s": FOREVER_S}
    flagged: list[int] = []

    def send(sender: int) -> None:
        client = connect(settings.log_url, settings)
        stream = stream_with(client, settings, **limits)
        for number in range(0, 50, 5):
            sent = [make_event(f"s{sender}-{number + n}", at=time.time()) for n in range(5)]
            flagged.append(len(stream.accept(sent).flagged))
        client.close()

    threads = [threading.Thread(target=send, args=(sender,)) for sender in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(flagged) == 300
    assert drain().flagged == {"burst": 300}
    counted = {row["id"] for row in query(FACTS) if row["flagged"] is None}
    assert len(counted) == 100
    assert set(history(log)) == counted
    assert ServingRebuild(graph, log, events, settings, write=False).run().changed == 0


def test_a_resend_of_a_flagged_event_changes_nothing(
    log: redis.Redis, settings: Settings, make_event: MakeEvent
) -> None:
    """It is a duplicate, another body a conflict, and neither counts towards a rate."""
    stream = stream_with(log, settings, burst_events=1, burst_window_s=FOREVER_S)
    now = time.time()
    sent = [make_event("e-1", at=now), make_event("e-2", at=now)]
    assert stream.accept(sent).flagged == [(1, "burst")]
    rates = log.hget(keys.user_key("u-1"), "b")
    again = stream.accept([*sent, make_event("e-2", at=now, value=3)])
    assert again.statuses == (Status.DUPLICATE, Status.DUPLICATE, Status.CONFLICT)
    assert again.flagged == []
    assert log.hget(keys.user_key("u-1"), "b") == rates
    assert in_the_log(stream) == {"e-1": None, "e-2": "burst"}


def test_a_full_log_counts_no_rate(
    log: redis.Redis, settings: Settings, make_event: MakeEvent
) -> None:
    """A request that is refused leaves no trace; sent again, it is judged for the first time."""
    stream = stream_with(log, settings, max_log_entries=1, burst_events=1)
    now = time.time()
    sent = [make_event("e-1", at=now), make_event("e-2", at=now)]
    with pytest.raises(StreamFullError):
        stream.accept(sent)
    assert log.keys() == [keys.LOG_PARTITIONS.encode()] or log.keys() == []
    roomy = stream_with(log, settings, burst_events=1, burst_window_s=FOREVER_S)
    assert roomy.accept(sent).flagged == [(1, "burst")]


def test_a_flagged_event_is_a_fact_that_counts_nowhere(
    shop: Shop, graph: GraphStore, query: Query
) -> None:
    """Not in the list, the history, seen items, popularity, staleness or training."""
    desk = Desk(shop, graph)
    desk.send(("view", ITEMS[0]), ("purchase", ITEMS[1]))
    desk.refresh()
    process = shop.recommender()
    before = process.recommend("u-1", ListQuery(k=16, exclude_seen=True))
    nodes, kept = query(NODES), shop.serving.read("u-1")
    learned = read_training_data(graph, shop.settings).graph
    rubbish = shop.event("rubbish", "u-1", ITEMS[2], "purchase", value=-1)
    accepted = shop.events.accept([rubbish])
    assert accepted.flagged == [(0, "value")]
    desk.drain()
    after = process.recommend("u-1", ListQuery(k=16, exclude_seen=True))
    assert [(one.item_id, one.score) for one in after.items] == [
        (one.item_id, one.score) for one in before.items
    ]
    assert query(NODES) == nodes
    now = shop.serving.read("u-1")
    assert (now.user.history, set(now.user.seen)) == (kept.user.history, set(kept.user.seen))
    assert now.history_revision == accepted.history_revision
    trained = read_training_data(graph, shop.settings).graph
    assert trained.event_item.tolist() == learned.event_item.tolist()
    assert query(FACTS)[0] == {"id": "rubbish", "flagged": "value"}


def test_what_is_first_counts_after_the_duplicate_window(
    log: redis.Redis,
    settings: Settings,
    events: EventStream,
    graph: GraphStore,
    make_event: MakeEvent,
    drain: Callable[[], Ingested],
    query: Query,
) -> None:
    """A resend that would be judged otherwise is the fact that the graph holds, either way."""
    strict = stream_with(log, settings, burst_events=1, burst_window_s=FOREVER_S)
    now = time.time()
    sent = [make_event("e-1", at=now), make_event("e-2", at=now)]
    strict.accept(sent)
    drain()
    facts = query(FACTS)
    assert [row["flagged"] for row in facts] == [None, "burst"]
    log.delete(*(keys.event_key(event.event_id) for event in sent))
    log.hdel(keys.user_key("u-1"), "b")
    assert strict.accept(sent[::-1]).flagged == [(1, "burst")]
    done = drain()
    assert (done.events, done.flagged, done.doubtful_user_ids) == (0, {}, {"u-1"})
    ServingRebuild(graph, log, events, settings).users(["u-1"])
    assert query(FACTS) == facts
    assert history(log) == ["e-1"]


def test_a_replayed_dead_letter_keeps_its_flag(
    log: redis.Redis,
    settings: Settings,
    events: EventStream,
    make_event: MakeEvent,
    drain: Callable[[], Ingested],
    query: Query,
) -> None:
    """What was decided when it was accepted stays decided."""
    strict = stream_with(log, settings, burst_events=1, burst_window_s=FOREVER_S)
    now = time.time()
    strict.accept([make_event("e-1", at=now), make_event("e-2", at=now)])
    for entry in read_log(events):
        events.bury(entry, "because")
    letters = DeadLetters(log, settings)
    assert letters.replay([one.letter_id for one in letters.all()]) == 2
    drain()
    assert [row["flagged"] for row in query(FACTS)] == [None, "burst"]


def test_who_sent_nothing_else_can_be_erased(
    log: redis.Redis,
    users: Documents,
    events: EventStream,
    graph: GraphStore,
    settings: Settings,
    make_event: MakeEvent,
    drain: Callable[[], Ingested],
    query: Query,
) -> None:
    """Of a bot nothing is kept but that there is one, also after Redis was lost and rebuilt."""
    for user in ("bot-1", "bot-2"):
        events.accept([make_event(f"e-{user}", user, properties={"bot": True})])
    drain()
    assert query(FACTS) == [{"id": f"e-bot-{n}", "flagged": "bot"} for n in (1, 2)]
    users.delete("bot-1")
    drain()
    log.flushdb()
    ServingRebuild(graph, log, events, settings).run()
    assert ServingRebuild(graph, log, events, settings, write=False).run().changed == 0
    users.delete("bot-2")
    drain()
    assert query(FACTS) == []
    with pytest.raises(NotFoundError):
        users.delete("nobody")
