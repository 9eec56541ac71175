"""Dead letters on a real Redis and Neo4j: seen with their reason, replayed, dropped, bounded."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from interest_graph.dead_letters import DeadLetters
from interest_graph.documents import Documents
from interest_graph.errors import NotFoundError, StreamFullError
from interest_graph.event_stream import EventStream
from interest_graph.pending import read_pending
from interest_graph.redis_client import partition_key
from tests.integration.log_reading import read_log, work_off

if TYPE_CHECKING:
    import redis

    from interest_graph.graph.store import GraphStore
    from interest_graph.settings import Settings
    from tests.integration.conftest import MakeEvent, Query


@pytest.fixture
def letters(log: redis.Redis, settings: Settings) -> DeadLetters:
    """No dead letter yet."""
    return DeadLetters(log, settings)


def without(settings: Settings, event_type: str) -> Settings:
    """The settings of a worker that does not know an event type."""
    types = {name: one for name, one in settings.event_types.items() if name != event_type}
    return settings.model_copy(update={"event_types": types})


def test_a_letter_says_what_and_why_and_its_replay_writes_it(
    letters: DeadLetters,
    events: EventStream,
    graph: GraphStore,
    settings: Settings,
    make_event: MakeEvent,
    query: Query,
) -> None:
    """An event of an undeclared type is buried alone; once it is declared a replay writes it."""
    events.accept([make_event("e-1"), make_event("e-2", event_type="review"), make_event("e-3")])
    work_off(events, graph, without(settings, "review"))
    (letter,) = letters.all()
    assert (letter.kind, letter.payload["event_id"]) == ("event", "e-2")
    assert letter.reason == "event_type: review is not declared"
    assert letters.get(letter.letter_id) == letter

    assert letters.replay([letter.letter_id]) == 1
    assert letters.replay([letter.letter_id]) == 0
    work_off(events, graph, settings)
    assert not [*letters.all()]
    facts = "MATCH (:User)-[e:VIEWED|REVIEWED]->(:Item) RETURN e.event_id AS id ORDER BY id"
    assert [row["id"] for row in query(facts)] == ["e-1", "e-2", "e-3"]


@pytest.mark.parametrize(
    "fields",
    [
        {"payload": "{}"},
        {"kind": "event"},
        {"kind": b"\xff", "payload": "{}"},
        {"kind": "event", "payload": "{}", "revision": "new"},
    ],
)
def test_an_entry_that_is_none_is_buried(
    letters: DeadLetters,
    events: EventStream,
    log: redis.Redis,
    graph: GraphStore,
    settings: Settings,
    make_event: MakeEvent,
    fields: dict[Any, Any],
) -> None:
    """Whoever writes into Redis past the service stops nobody: neither ingest nor a rebuild."""
    log.xadd(partition_key(0), fields)
    events.accept([make_event("e-1")])
    assert len(read_pending(events).events["u-1"]) == 1
    assert work_off(events, graph, settings).events == 1
    (letter,) = letters.all()
    assert (letter.kind, letter.reason) == ("unreadable", "unknown kind of entry: unreadable")
    assert events.length() == 0


def test_whose_owner_is_erased_is_erased_too(
    letters: DeadLetters,
    events: EventStream,
    log: redis.Redis,
    graph: GraphStore,
    settings: Settings,
    make_event: MakeEvent,
) -> None:
    """Letters hold what users did: erasing one leaves those of others, and what is nobody's."""
    users = Documents(log, settings, "user")
    users.put([{"user_id": "u-1", "properties": {"name": "Ann"}}])
    work_off(events, graph, settings)
    gone = [make_event(f"e-{n}", user_id="u-1", event_type="review") for n in range(3)]
    stays = make_event("e-9", user_id="u-2", event_type="review")
    events.accept([*gone, stays])
    log.xadd(partition_key(0), {"kind": "event", "payload": "[1]"})
    work_off(events, graph, without(settings, "review"))
    assert len([*letters.all()]) == 5

    events.accept([make_event("e-8", user_id="u-1", event_type="review")])
    users.delete("u-1")
    work_off(events, graph, without(settings, "review"))  # one batch: it would be buried after
    left = [letter.payload for letter in letters.all()]
    assert [one["event_id"] if isinstance(one, dict) else one for one in left] in (
        ["e-9", [1]],
        [[1], "e-9"],
    )


def test_who_came_again_keeps_what_was_buried_since(
    letters: DeadLetters,
    events: EventStream,
    log: redis.Redis,
    graph: GraphStore,
    settings: Settings,
    make_event: MakeEvent,
) -> None:
    """An erasure that is told late, or again, takes what was before it and nothing of after."""
    users = Documents(log, settings, "user")
    users.put([{"user_id": "u-1"}])
    events.accept([make_event("e-1", user_id="u-1", event_type="review")])
    work_off(events, graph, without(settings, "review"))
    time.sleep(0.01)
    users.delete("u-1")
    users.put([{"user_id": "u-1"}])
    time.sleep(0.01)
    now = datetime.now(UTC).isoformat()
    events.accept([make_event("e-2", user_id="u-1", event_type="review", occurred_at=now)])
    work_off(events, graph, without(settings, "review"))
    assert [letter.payload["event_id"] for letter in letters.all()] == ["e-2"]
    assert letters.drop_those_of({"u-1", "u-2"}) == 0


def test_what_is_still_wrong_comes_back(
    letters: DeadLetters,
    events: EventStream,
    graph: GraphStore,
    settings: Settings,
    make_event: MakeEvent,
) -> None:
    """A replay of what is not repaired ends here again, under a new id."""
    events.accept([make_event("e-1", event_type="review")])
    ignorant = without(settings, "review")
    work_off(events, graph, ignorant)
    (letter,) = letters.all()
    letters.replay([letter.letter_id])
    work_off(events, graph, ignorant)
    (again,) = letters.all()
    assert again.letter_id != letter.letter_id
    assert (again.payload, again.reason) == (letter.payload, letter.reason)


def test_pages_hold_every_letter_once(
    letters: DeadLetters, events: EventStream, make_event: MakeEvent
) -> None:
    """Oldest first, and the deletion of a user shows the id, whatever it looks like."""
    events.accept([make_event(f"e-{number}") for number in range(5)])
    for entry in read_log(events):
        events.bury(entry, "because")
    first = letters.page(2)
    rest = letters.page(100, first[-1].letter_id)
    found = [letter.payload["event_id"] for letter in (*first, *rest)]
    assert found == [letter.payload["event_id"] for letter in letters.all()]
    assert found == [f"e-{number}" for number in range(5)]


def test_burying_twice_is_once(
    letters: DeadLetters, events: EventStream, make_event: MakeEvent
) -> None:
    """As when the answer was lost and the client sends it again."""
    events.accept([make_event("e-1")])
    (entry,) = read_log(events)
    assert events.bury(entry, "because")
    assert events.bury(entry, "because")
    assert len([*letters.all()]) == 1


def test_an_id_that_looks_like_a_number_stays_one(
    letters: DeadLetters, events: EventStream, log: redis.Redis
) -> None:
    """The payload of a deletion is an id, not JSON."""
    log.xadd(partition_key(0), {"kind": "delete_user", "payload": "42", "revision": 7})
    for entry in read_log(events):
        events.bury(entry, "because")
    (letter,) = letters.all()
    assert letter.payload == "42"
    letters.replay([letter.letter_id])
    (entry,) = read_log(events)
    assert (entry.kind, entry.payload, entry.revision) == ("delete_user", b"42", 7)


def test_a_dropped_letter_is_gone(
    letters: DeadLetters, events: EventStream, make_event: MakeEvent
) -> None:
    """And whatever is no id of a letter names none."""
    events.accept([make_event("e-1")])
    (entry,) = read_log(events)
    events.bury(entry, "because")
    (letter,) = letters.all()
    assert letters.drop([letter.letter_id, letter.letter_id, "nonsense"]) == 1
    for gone in (letter.letter_id, "nonsense", "-", "9" * 30 + "-1"):
        with pytest.raises(NotFoundError):
            letters.get(gone)


def test_a_full_log_takes_no_letter_back(
    letters: DeadLetters,
    events: EventStream,
    log: redis.Redis,
    settings: Settings,
    make_event: MakeEvent,
) -> None:
    """All of a replay or nothing: what does not fit stays here."""
    events.accept([make_event("e-1"), make_event("e-2")])
    for entry in read_log(events):
        events.bury(entry, "because")
    tight = DeadLetters(log, settings.model_copy(update={"max_log_entries": 1}))
    with pytest.raises(StreamFullError):
        tight.replay([letter.letter_id for letter in letters.all()])
    assert (events.length(), events.dead_letters()) == (0, 2)


def test_beyond_the_bound_nothing_is_buried(
    log: redis.Redis,
    graph: GraphStore,
    settings: Settings,
    make_event: MakeEvent,
) -> None:
    """What cannot be written then stays in the log, and the rest of its batch is written."""
    changes: dict[str, Any] = {"max_dead_letters": 1}
    stream = EventStream(log, settings.model_copy(update=changes))
    poison = [make_event(f"e-{number}", event_type="review") for number in range(2)]
    stream.accept([*poison, make_event("e-9")])
    work_off(stream, graph, without(settings, "review"))
    assert (stream.length(), stream.dead_letters()) == (1, 1)
