"""From the log into a real Neo4j: exactly once, in any order, nothing acknowledged too early."""

from __future__ import annotations

import hashlib
import random
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import neo4j
import orjson
import pytest
import redis

from interest_graph import ingest as ingest_module
from interest_graph import redis_client as keys
from interest_graph.entry import Entry
from interest_graph.errors import GraphUnavailableError
from interest_graph.graph import facts, reads
from interest_graph.graph.facts import what_is_left
from interest_graph.graph.store import GraphStore
from interest_graph.history import digest, unpack
from interest_graph.ingest import Ingested, ingest
from tests.integration.log_reading import read_log

if TYPE_CHECKING:
    from collections.abc import Sequence

    from interest_graph.documents import Documents
    from interest_graph.event import Event
    from interest_graph.event_stream import EventStream
    from interest_graph.settings import Settings


class Loop:
    """Moves what is in the log, as the ingest worker does."""

    def __init__(self, events: EventStream, graph: GraphStore, settings: Settings) -> None:
        self.events, self.graph, self.settings = events, graph, settings

    def drain(self) -> Ingested:
        """Ingest everything that is new."""
        return self.ingest(read_log(self.events))

    def ingest(self, entries: Sequence[Entry]) -> Ingested:
        """Ingest these entries as one batch; those made by hand are put into the log first."""
        for entry in entries:
            fields = {"kind": entry.kind, "payload": entry.payload, "revision": entry.revision}
            with suppress(redis.ResponseError):  # it is there
                self.events._client.xadd(
                    keys.partition_key(entry.partition), fields, id=entry.entry_id
                )  # type: ignore[arg-type]
        return ingest(entries, self.graph, self.events, self.settings)


@pytest.fixture
def loop(events: EventStream, graph: GraphStore, settings: Settings) -> Loop:
    return Loop(events, graph, settings)


@pytest.fixture
def digest_of_the_graph(query: Any) -> Any:
    """Hashes everything ingest writes but the clock's times."""

    def run() -> str:
        rows = [
            query(
                "MATCH (u:User)-[e]->(i:Item) WHERE e.event_id IS NOT NULL "
                "RETURN type(e) AS type, e{.*, recorded_at: null, occurred_at: "
                "e.occurred_at.epochMillis} AS fact, u.user_id AS u, i.item_id AS i ORDER BY "
                "e.event_id, type, u, i"
            ),
            query(
                "MATCH (u:User) RETURN u.user_id AS id, u.facts_revision AS revision, "
                "u.known AS known, u.stale_since IS NULL AS fresh ORDER BY id"
            ),
            query(
                "MATCH (i:Item) RETURN i.item_id AS id, i.facts_revision AS revision, "
                "i.known AS known, i.event_count AS events, "
                "round(i.popularity, 9) AS popularity, "
                "i.popularity_at.epochMillis AS popularity_at ORDER BY id"
            ),
        ]
        return hashlib.sha256(orjson.dumps(rows)).hexdigest()

    return run


def entry_of(event: Event, number: int = 1, deliveries: int = 1) -> Entry:
    """An entry of the log as the worker is handed it."""
    return Entry(f"{number}-1", "event", event.to_json(), 0, deliveries)


def some_events(make_event: Any, count: int = 60) -> list[Event]:
    """Events of few users and items over all types, some at the same moment."""
    rng = random.Random(5)
    kinds = ["view", "click", "add_to_cart", "purchase", "rate", "review"]
    return [
        make_event(
            f"e-{number}",
            f"u-{rng.randrange(4)}",
            f"item-{rng.randrange(7)}",
            rng.choice(kinds),
            at=1_700_000_000 + rng.randrange(20) * 3600.5,
            value=rng.choice([None, 1, 4.5]),
            properties=rng.choice([None, {"page": "home", "tags": ["a", "b"]}]),
        )
        for number in range(count)
    ]


def test_an_event_becomes_a_fact_with_stubs(loop: Loop, make_event: Any, query: Any) -> None:
    """An event of the unknown stands between stubs, with all it says, and makes both stale."""
    event = make_event(
        "e-1", "u-9", "item-x", "rate", 1_700_000_000.123, value=4, session_id="s",
        recommendation_id="r", properties={"page": "home", "tags": ["a"]},
    )  # fmt: skip
    loop.events.accept([event])
    done = loop.drain()
    assert (done.events, done.user_ids, done.item_ids) == (1, {"u-9"}, {"item-x"})
    ((fact,),) = [
        [
            row["fact"]
            for row in query("MATCH (:User)-[e:RATED]->(:Item) RETURN properties(e) AS fact")
        ]
    ]
    assert fact["occurred_at"].to_native().timestamp() == 1_700_000_000.123
    assert fact.pop("recorded_at")
    del fact["occurred_at"]
    assert fact == {
        "event_id": "e-1",
        "value": 4.0,
        "session_id": "s",
        "recommendation_id": "r",
        "body_hash": event.body_hash,
        "history_of": "u-9",
        "property_page": "home",
        "property_tags": ["a"],
    }
    (nodes,) = query(
        "MATCH (u:User {user_id: 'u-9'}), (i:Item {item_id: 'item-x'}) RETURN u.known AS user, "
        "i.known AS item, u.facts_revision AS u, u.refreshed_revision AS r, i.facts_revision AS i, "
        "u.stale_since IS NOT NULL AND i.stale_since IS NOT NULL AS stale"
    )
    assert nodes == {"user": False, "item": False, "u": 1, "r": 0, "i": 1, "stale": True}
    assert loop.events.length() == 0


def test_replay_and_order_change_nothing(
    loop: Loop, make_event: Any, digest_of_the_graph: Any, neo4j_driver: Any
) -> None:
    """Any order, any batches, everything twice: facts, revisions and popularity are the same."""
    sent = some_events(make_event)
    entries = [entry_of(event, number) for number, event in enumerate(sent, 1)]
    loop.ingest(entries)
    expected = digest_of_the_graph()
    assert loop.ingest(entries).duplicates == len(entries)
    assert digest_of_the_graph() == expected
    neo4j_driver.execute_query("MATCH (n) DETACH DELETE n")
    twice = entries + entries
    random.Random(7).shuffle(twice)
    total = 0
    for start in range(0, len(twice), 13):
        total += loop.ingest(twice[start : start + 13]).events
    assert total == len(entries)
    assert digest_of_the_graph() == expected


def test_a_resend_leaves_popularity_and_revisions(
    loop: Loop, make_event: Any, query: Any, settings: Settings
) -> None:
    """An item's popularity is the sum over its events once each, whatever is sent again."""
    sent = some_events(make_event, 20)
    entries = [entry_of(event, number) for number, event in enumerate(sent, 1)]
    for batch in (entries, entries[::-1], entries[:5] + entries[:5]):
        loop.ingest(batch)
    newest: dict[str, int] = {}
    for event in sent:
        newest[event.item_id] = max(newest.get(event.item_id, 0), event.occurred_at_ms)
    expected: dict[str, float] = {}
    for event in sent:
        weight = settings.event_types[event.event_type].weight
        age_ms = newest[event.item_id] - event.occurred_at_ms
        left = what_is_left(age_ms, settings.popularity_half_life_days)
        expected[event.item_id] = expected.get(event.item_id, 0.0) + weight * left
    rows = query(
        "MATCH (i:Item) RETURN i.item_id AS id, i.popularity AS popularity, "
        "i.popularity_at.epochMillis AS at"
    )
    assert {row["id"]: row["popularity"] for row in rows} == pytest.approx(expected)
    assert {row["id"]: row["at"] for row in rows} == newest


def test_the_history_in_redis_is_the_one_in_the_graph(
    loop: Loop, make_event: Any, settings: Settings, log: redis.Redis
) -> None:
    """The digest of a history is the same in Redis and in the graph, for each user."""
    sent = some_events(make_event, 80)
    for start in range(0, len(sent), 9):
        loop.events.accept(sent[start : start + 9])
        if start % 2:
            loop.drain()
    loop.drain()
    codes = {name: code for code, name in enumerate(settings.relationships)}
    user_ids = sorted({event.user_id for event in sent})
    for newest in (7, settings.history_events):
        held = loop.graph.read(
            lambda tx, newest=newest: reads.fetch_user_events(tx, user_ids, newest, codes)
        )
        for user_id in user_ids:
            history = unpack(log.hget(keys.user_key(user_id), "h"))  # type: ignore[arg-type]
            assert digest(history[-newest:]) == digest(held[user_id])


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("other", [{"event_type": "purchase"}, {"value": 3}])
def test_the_same_id_with_another_body_is_buried_alone(
    loop: Loop,
    make_event: Any,
    query: Any,
    together: bool,  # noqa: FBT001
    other: dict[str, Any],
) -> None:
    """One id under two types, or with two bodies: the first stays, the second alone is buried."""
    entries = [
        entry_of(make_event("e-1"), 1),
        entry_of(make_event("e-0", "u-2"), 2),
        entry_of(make_event("e-1", **other), 3),
        entry_of(make_event("e-2", "u-3"), 4),
    ]
    batches = [entries] if together else [entries[:1], entries[1:]]
    buried = sum(loop.ingest(batch).buried for batch in batches)
    assert buried == loop.events.dead_letters() == 1
    rows = query("MATCH ()-[e]->(:Item) RETURN e.event_id AS id, type(e) AS type ORDER BY id")
    assert [(row["id"], row["type"]) for row in rows] == [
        ("e-0", "VIEWED"),
        ("e-1", "VIEWED"),
        ("e-2", "VIEWED"),
    ]


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (Entry("9-1", "vote", b"{}"), b"unknown kind"),
        (Entry("9-1", "event", b"not json"), b"payload"),
        (Entry("9-1", "event", b'{"event_id": "e"}'), b"payload"),
    ],
)
def test_poison_is_buried_alone_with_its_reason(
    loop: Loop, make_event: Any, log: redis.Redis, entry: Entry, reason: bytes
) -> None:
    """What can never be a fact goes to the dead letters while its neighbours land."""
    done = loop.ingest([entry_of(make_event("e-1"), 1), entry, entry_of(make_event("e-2"), 2)])
    assert (done.events, done.buried) == (2, 1)
    ((_, fields),) = log.xrange(keys.DEAD_LETTERS)
    assert reason in fields[b"reason"]
    assert fields[b"payload"] == entry.payload


def test_poison_costs_the_others_nothing(
    loop: Loop, make_event: Any, query: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much of a batch is poison, the rest of it is written in one transaction."""
    entries = [entry_of(make_event(f"e-{number}"), number) for number in range(60)]
    for number in range(0, 60, 6):
        entries[number] = Entry(f"{number}-1", "event", b"no event %d" % number)
    entries[9] = entry_of(make_event("e-8", value=5), 9)
    entries[13] = Entry("13-1", "vote", b"{}")
    transactions, write = [], loop.graph.write
    monkeypatch.setattr(loop.graph, "write", lambda work: transactions.append(1) or write(work))
    done = loop.ingest(entries)
    assert len(transactions) == 1
    assert (done.events, done.buried, loop.events.dead_letters()) == (48, 12, 12)
    assert query("MATCH ()-[e]->(:Item) RETURN count(e) AS n") == [{"n": 48}]


def test_an_undeclared_type_is_buried_and_makes_no_relationship(
    loop: Loop, make_event: Any, query: Any
) -> None:
    """A type that settings no longer declare never reaches the graph as a relationship."""
    strange = replace(make_event("e-1"), event_type="wish")
    done = loop.ingest([entry_of(strange, 1), entry_of(make_event("e-2"), 2)])
    assert (done.events, done.buried) == (1, 1)
    assert query("MATCH ()-[e]->() RETURN count(e) AS n") == [{"n": 1}]


def test_what_fails_is_delivered_five_times_and_then_buried(loop: Loop, settings: Settings) -> None:
    """An entry that fails without being poison stays in the log until its fifth delivery."""
    broken = {"kind": "item", "payload": b"{}", "revision": 1}
    loop.events._client.xadd(keys.partition_key(0), broken)  # type: ignore[arg-type]
    (entry,) = read_log(loop.events)
    for deliveries in range(1, settings.max_deliveries):
        assert loop.ingest([replace(entry, deliveries=deliveries)]).buried == 0
        assert loop.events.length() == 1
    assert loop.ingest([replace(entry, deliveries=settings.max_deliveries)]).buried == 1
    assert (loop.events.length(), loop.events.dead_letters()) == (0, 1)


@pytest.mark.parametrize("statement", ["record_events", "touch_users", "touch_items"])
def test_lost_rows_stop_the_acknowledgement(
    loop: Loop, make_event: Any, query: Any, monkeypatch: pytest.MonkeyPatch, statement: str
) -> None:
    """When a statement wrote fewer rows than given, nothing is kept and nothing acknowledged."""
    original = getattr(facts, statement)
    monkeypatch.setattr(ingest_module.facts, statement, lambda *given: original(*given[:-1], []))
    loop.events.accept([make_event("e-1")])
    assert loop.drain().events == 0
    assert loop.events.length() == 1
    assert query("MATCH (n) RETURN count(n) AS n") == [{"n": 0}]
    monkeypatch.undo()
    assert loop.ingest(read_log(loop.events)).events == 1
    assert loop.events.length() == 0


def test_without_neo4j_nothing_is_acknowledged(
    loop: Loop, make_event: Any, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Neo4j that is away leaves every entry in the log and buries none."""
    connect = neo4j.GraphDatabase.driver
    impatient = {"max_transaction_retry_time": 0.2}
    monkeypatch.setattr(
        neo4j.GraphDatabase, "driver", lambda *given, **named: connect(*given, **named | impatient)
    )
    away = GraphStore(settings.model_copy(update={"neo4j_uri": "bolt://127.0.0.1:1"}))
    loop.events.accept([make_event("e-1")])
    entries = [replace(entry, deliveries=9) for entry in read_log(loop.events)]
    with pytest.raises(GraphUnavailableError):
        ingest(entries, away, loop.events, settings)
    away.close()
    assert (loop.events.length(), loop.events.dead_letters()) == (1, 0)


def test_an_item_s_document_becomes_its_node(loop: Loop, items: Documents, query: Any) -> None:
    """Properties, category paths and brand of the last document stand in the graph."""
    items.put([{"item_id": "i-1", "title": "Old", "brand": "Lux", "properties": {"a": 1, "b": 2},
                "categories": [["Home"], ["Sale", "Lamps"]], "hidden": False}])  # fmt: skip
    items.put([{"item_id": "i-1", "title": "New", "properties": {"b": 3}, "hidden": True,
                "available_from": "2024-01-01T00:00:00Z",
                "categories": [["Home", "Kitchen"]]}])  # fmt: skip
    loop.drain()
    (row,) = query(
        "MATCH (i:Item {item_id: 'i-1'}) RETURN i.title AS title, i.known AS known, "
        "i.hidden AS hidden, i.property_a AS a, i.property_b AS b, i.available_from.year AS year, "
        "i.facts_revision > 0 AS stale, "
        "[(i)-[:IN_CATEGORY]->(c) | c.path] AS paths, [(i)-[:MADE_BY]->(b) | b.name] AS brands, "
        "[(i)-[:IN_CATEGORY]->(c)-[:CHILD_OF]->(p) | p.name] AS parents"
    )
    assert row == {
        "title": "New",
        "known": True,
        "hidden": True,
        "a": None,
        "b": 3,
        "year": 2024,
        "stale": True,
        "paths": ["Home > Kitchen"],
        "brands": [],
        "parents": ["Home"],
    }


@pytest.mark.parametrize("kind", ["item", "user"])
def test_an_older_document_does_not_replace_a_newer(loop: Loop, query: Any, kind: str) -> None:
    """Documents that arrive in the wrong order leave the newest; nothing older makes stale."""

    def entry(revision: int, plan: str) -> Entry:
        document = {f"{kind}_id": "x-1", "properties": {"plan": plan}, "categories": [[plan]]}
        return Entry(f"{revision}-1", kind, orjson.dumps(document), revision)

    state = (
        f"MATCH (n {{{kind}_id: 'x-1'}}) RETURN n.property_plan AS plan, "
        "n.facts_revision AS revision, [(n)-[:IN_CATEGORY|PREFERS]->(c) | c.name] AS categories"
    )
    loop.ingest([entry(5, "new")])
    before = query(state)
    assert (before[0]["plan"], before[0]["categories"]) == ("new", ["new"])
    loop.ingest([entry(4, "old")])
    loop.ingest([entry(5, "again")])
    assert query(state) == before
    loop.ingest([entry(6, "newest")])
    assert query(state)[0]["plan"] == "newest"


def test_a_deleted_item_becomes_a_stub(
    loop: Loop, items: Documents, make_event: Any, query: Any
) -> None:
    """Of a deleted item only the facts are left, and a late event does not bring it back."""
    items.put([{"item_id": "item-00", "title": "Lamp", "brand": "Lux", "categories": [["Home"]],
                "properties": {"colour": "red"}}])  # fmt: skip
    loop.events.accept([make_event("e-1")])
    items.delete("item-00")
    loop.events.accept([make_event("e-2")])
    loop.drain()
    (row,) = query(
        "MATCH (i:Item) RETURN i.known AS known, i.title AS title, i.property_colour AS colour, "
        "i.event_count AS events, COUNT { (i)-[:IN_CATEGORY|MADE_BY]->() } AS described"
    )
    assert row == {"known": False, "title": None, "colour": None, "events": 2, "described": 0}


def test_an_item_deleted_before_its_document_arrives_stays_a_stub(loop: Loop, query: Any) -> None:
    """A document that arrives after a later deletion does not describe the item again."""
    loop.ingest([Entry("2-1", "delete_item", b"i-1", 2)])
    loop.ingest([Entry("1-1", "item", b'{"item_id": "i-1", "title": "Lamp"}', 1)])
    assert query("MATCH (i:Item) RETURN i.known AS known, i.title AS title") == [
        {"known": False, "title": None}
    ]


def test_a_deleted_user_leaves_nothing(
    loop: Loop, users: Documents, make_event: Any, query: Any
) -> None:
    """Deleting a user takes every fact and edge of theirs out of the graph; items stay."""
    users.put([{"user_id": "u-1", "categories": [["Home"]]}])
    loop.events.accept([make_event("e-1"), make_event("e-2", "u-2")])
    users.delete("u-1")
    loop.drain()
    assert query("MATCH (u:User) RETURN u.user_id AS id") == [{"id": "u-2"}]
    assert query("MATCH ()-[e]->(:Item) RETURN e.event_id AS id") == [{"id": "e-2"}]


@pytest.mark.parametrize("known", [True, False])
def test_late_entries_do_not_bring_a_deleted_user_back(
    loop: Loop,
    make_event: Any,
    query: Any,
    known: bool,  # noqa: FBT001
) -> None:
    """Events and older documents that arrive after a user's deletion are dropped, others land."""
    if known:
        loop.ingest([entry_of(make_event("e-0"), 1)])
    loop.ingest([Entry("3-1", "delete_user", b"u-1", 3)])
    late = [
        entry_of(make_event("e-1", item_id="item-only-here"), 4),
        Entry("2-1", "user", b'{"user_id": "u-1", "properties": {"plan": "gold"}}', 2),
        entry_of(make_event("e-2", "u-2"), 5),
    ]
    done = loop.ingest(late)
    assert (done.events, done.buried) == (1, 0)
    assert query("MATCH (u:User) RETURN u.user_id AS id") == [{"id": "u-2"}]
    assert query("MATCH (i:Item {item_id: 'item-only-here'}) RETURN i") == []
    loop.ingest([Entry("6-1", "user", b'{"user_id": "u-1"}', 4)])
    assert loop.ingest([entry_of(make_event("e-3"), 7)]).events == 1
    assert query("MATCH (u:User {user_id: 'u-1'})-[e]->() RETURN e.event_id AS id") == [
        {"id": "e-3"}
    ]


def test_of_two_documents_the_newer_counts_whatever_comes_last(loop: Loop, query: Any) -> None:
    """A dead letter that is replayed behind a newer document replaces nothing."""
    newer = Entry("1-1", "item", b'{"item_id": "i-1", "title": "New"}', 10)
    older = Entry("2-1", "item", b'{"item_id": "i-1", "title": "Old"}', 5)
    loop.ingest([newer, older])
    assert query("MATCH (i:Item) RETURN i.title AS title") == [{"title": "New"}]


def test_overtaken_entries_bring_no_past_back(loop: Loop, make_event: Any, query: Any) -> None:
    """Whatever order they come in: what happened before a user was created again is no fact."""
    past, now = make_event("e-1", "u-1"), make_event("e-2", "u-1", at=1_760_000_000)
    loop.ingest([entry_of(past, 1)])
    again = Entry("2-1", "user", b'{"user_id": "u-1"}', 6, since_ms=1_750_000_000_000)
    loop.ingest([again, entry_of(now, 3)])
    loop.ingest(
        [entry_of(replace(past, event_id="e-3"), 4), Entry("5-1", "delete_user", b"u-1", 5)]
    )
    assert query("MATCH (:User)-[e]->(:Item) RETURN e.event_id AS id") == [{"id": "e-2"}]


@pytest.mark.parametrize("half_life_days", [0.1, 1.5])
def test_popularity_of_any_half_life_stays_a_number(
    loop: Loop, make_event: Any, query: Any, settings: Settings, half_life_days: float
) -> None:
    """Events five years apart, in either order: the newest counts whole, the oldest nothing."""
    loop.settings = settings.model_copy(update={"popularity_half_life_days": half_life_days})
    newest, number = 1_700_000_000, 0
    for item, ages in (("forth", (2000, 1, 0)), ("back", (0, 1, 2000))):
        for age in ages:
            number += 1
            event = make_event(f"e-{number}", "u-1", item, "purchase", newest - age * 86_400)
            loop.ingest([entry_of(event, number)])
    rows = query("MATCH (i:Item) RETURN i.popularity AS sum, i.popularity_at.epochMillis AS at")
    assert [row["at"] for row in rows] == [newest * 1000, newest * 1000]
    weight = settings.event_types["purchase"].weight
    expected = weight * (1 + 0.5 ** (1 / half_life_days))
    assert [row["sum"] for row in rows] == pytest.approx([expected, expected])
