"""The log on a real Redis: all or none, in order, exactly once within the window."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from interest_graph import redis_client as keys
from interest_graph.accepted import Status
from interest_graph.api_key import ApiKeyStore
from interest_graph.dead_letters import DeadLetters
from interest_graph.documents import Documents
from interest_graph.errors import (
    RevokedKeyError,
    SettingsError,
    StreamFullError,
    StreamUnavailableError,
)
from interest_graph.event_stream import EventStream
from interest_graph.history import HistoryEvent, unpack
from interest_graph.log_reader import LogReader, is_full
from interest_graph.partition import partition_of_entry
from interest_graph.redis_client import connect
from tests.integration.log_reading import read_log

if TYPE_CHECKING:
    import redis

    from interest_graph.event import Event
    from interest_graph.serving_state import ServingState
    from interest_graph.settings import Settings

KEEP = 5
sent_events = st.lists(
    st.tuples(
        st.integers(0, 12),  # event id: now and then the same
        st.integers(0, 4),  # second
        st.sampled_from(["u-1", "u-2"]),
        st.sampled_from(["item-a", "item-b"]),
        st.sampled_from(["view", "purchase"]),
    ),
    max_size=24,
)


def stream_with(log: redis.Redis, settings: Settings, **fields: Any) -> EventStream:
    """The log under settings of the test's own."""
    return EventStream(log, settings.model_copy(update=fields))


def stored(log: redis.Redis, user_id: str) -> list[HistoryEvent]:
    """A user's history as Redis has it."""
    packed = log.hget(keys.user_key(user_id), "h")
    assert packed is None or isinstance(packed, bytes)
    return list(unpack(packed or b""))


@given(sent=sent_events, sizes=st.lists(st.integers(1, 6), min_size=30, max_size=30))
@hypothesis(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_histories_are_the_newest_in_order(
    log: redis.Redis, settings: Settings, make_event: Any, sent: list[Any], sizes: list[int]
) -> None:
    """Whatever arrives in whatever order, a history is the newest N by (occurred_at, event_id).

    The model beside it is a dict: the first body under an id counts, the same again is a duplicate,
    another is a conflict; only events that count reach history, seen set and log.
    """
    log.flushdb()
    stream = stream_with(log, settings, history_events=KEEP)
    made = [
        make_event(f"e-{number:02}", user, item, kind, at=1_700_000_000 + second)
        for number, second, user, item, kind in sent
    ]
    first: dict[str, Event] = {}
    revision = 0
    while made:
        batch, made = made[: sizes[0]], made[sizes[0] :]
        sizes = sizes[1:]
        expected = []
        for event in batch:
            held = first.setdefault(event.event_id, event)
            expected.append(
                Status.ACCEPTED
                if held is event
                else Status.DUPLICATE
                if held.body_hash == event.body_hash
                else Status.CONFLICT
            )
        accepted = stream.accept(batch)
        assert list(accepted.statuses) == expected
        fresh = Status.ACCEPTED in expected
        assert accepted.history_revision == revision + fresh
        revision += fresh
    for user_id in ("u-1", "u-2"):
        own = [event for event in first.values() if event.user_id == user_id]
        assert stored(log, user_id) == sorted(event.history_event for event in own)[-KEEP:]
        bought = {
            keys.seen_member(event.item_id, event.event_code)
            for event in own
            if event.event_type == "purchase"
        }
        assert {int(member) for member in log.smembers(keys.seen_key(user_id))} == bought
    assert stream.length() == len(first)


def test_ids_are_ordered_by_bytes(log: redis.Redis, events: EventStream, make_event: Any) -> None:
    """Events of one millisecond stand in the order of their ids' bytes, as Python sorts them."""
    ids = ["a", "B", "a-", "a.", "aa", "A", "_", "9", "Z:", "z", "a" * 64]
    for event_id in ids:
        events.accept([make_event(event_id)])
    assert [event.event_id for event in stored(log, "u-1")] == sorted(ids)


def test_a_full_log_accepts_none_of_a_request(
    log: redis.Redis, settings: Settings, make_event: Any
) -> None:
    """At its bound the log refuses a whole request and leaves no trace of it."""
    stream = stream_with(log, settings, max_log_entries=3)
    stream.accept([make_event("e-1"), make_event("e-2")])
    before = {key: log.dump(key) for key in log.keys()}  # noqa: SIM118 Redis is no dict
    with pytest.raises(StreamFullError) as caught:
        stream.accept([make_event("e-3"), make_event("e-4", "u-2", event_type="purchase")])
    assert caught.value.retry_after_s > 0
    assert {key: log.dump(key) for key in log.keys()} == before  # noqa: SIM118
    assert stream.accept([make_event("e-3")]).accepted == 1
    assert stream.accept([make_event("e-1"), make_event("e-3")]).duplicates == 2


@pytest.mark.parametrize("change", ["revoked", "rotated", "forgotten"])
def test_a_recalled_key_is_confirmed_where_its_events_are_accepted(
    log: redis.Redis, events: EventStream, make_event: Any, change: str
) -> None:
    """Nothing is accepted by a key whose record is not what it was, whoever changed it."""
    mine, elsewhere = ApiKeyStore(log), ApiKeyStore(log)
    token = mine.create(["events:write"])
    key = mine.recall(token)
    assert key is not None
    assert events.accept([make_event("e-0")], mine.check(token)).accepted == 1
    if change == "rotated":
        elsewhere.rotate(key.key_id, overlap_s=60)  # the token is good, the record another
    elif change == "forgotten":
        mine.revoke(key.key_id)
    else:
        elsewhere.revoke(key.key_id)
    before = read_log(events)
    with pytest.raises(RevokedKeyError):
        events.accept([make_event("e-1")], mine.check(token))
    assert read_log(events) == before
    assert bool(mine.recall(token)) == (change != "forgotten")
    assert bool(mine.verify(token)) == (change == "rotated")


def test_one_bad_event_does_not_sink_the_others(
    log: redis.Redis, events: EventStream, make_event: Any
) -> None:
    """In one request a duplicate, two conflicts and a new event are told apart by index."""
    events.accept([make_event("e-1")])
    accepted = events.accept(
        [
            make_event("e-1"),
            make_event("e-1", value=4),
            make_event("e-2"),
            make_event("e-2", item_id="item-09"),
        ]
    )
    assert list(accepted.statuses) == [
        Status.DUPLICATE,
        Status.CONFLICT,
        Status.ACCEPTED,
        Status.CONFLICT,
    ]
    assert [(index, fault.pointer) for index, fault in accepted.rejected] == [
        (1, "/event_id"),
        (3, "/event_id"),
    ]
    assert [event.item_id for event in stored(log, "u-1")] == ["item-00", "item-00"]


def test_a_resend_after_the_window_does_not_count_twice(
    log: redis.Redis, events: EventStream, make_event: Any
) -> None:
    """An id that the history still holds stays one event, also with another time or body."""
    events.accept([make_event("e-1", at=1_700_000_000), make_event("e-10", at=1_700_000_001)])
    before = stored(log, "u-1")
    log.delete(keys.event_key("e-1"))
    events.accept([make_event("e-1", item_id="item-09", at=1_700_000_900)])
    assert stored(log, "u-1") == before


def test_an_id_within_another_is_another_event(
    log: redis.Redis, events: EventStream, make_event: Any
) -> None:
    """That one id is part of another, or of an item's id, does not make them the same."""
    for event_id in ("abc", "b", "item-00", "bc"):
        events.accept([make_event(event_id)])
    assert [event.event_id for event in stored(log, "u-1")] == ["abc", "b", "bc", "item-00"]


def test_events_of_a_deleted_user_are_refused(
    events: EventStream, users: Any, serving: ServingState, make_event: Any
) -> None:
    """After a user's deletion their events are refused, until the shop sends the user again."""
    events.accept([make_event("e-1")])
    users.delete("u-1")
    accepted = events.accept([make_event("e-2"), make_event("e-3", "u-2")])
    assert list(accepted.statuses) == [Status.DELETED_USER, Status.ACCEPTED]
    assert accepted.rejected[0][1].pointer == "/user_id"
    assert not serving.read("u-1").user.history
    users.put([{"user_id": "u-1"}])
    assert events.accept([make_event("e-4", at=time.time() + 60)]).accepted == 1


def test_an_answer_carries_the_revision_of_the_next_list(
    events: EventStream, serving: ServingState, make_event: Any
) -> None:
    """The revision of an accepted event is the one the user's next request reads."""
    one = events.accept([make_event("e-1")]).history_revision
    two = events.accept([make_event("e-2", "u-2")]).history_revision
    assert serving.read("u-1").history_revision == one
    assert serving.read("u-2").history_revision == two > one
    assert events.accept([make_event("e-1")]).history_revision >= two


def test_the_seen_set_is_bounded(log: redis.Redis, settings: Settings, make_event: Any) -> None:
    """A user's seen set never grows beyond its bound."""
    stream = stream_with(log, settings, seen_items=100)
    for start in range(0, 150, 50):
        stream.accept(
            [
                make_event(f"e-{n}", item_id=f"item-{n}", event_type="purchase")
                for n in range(start, start + 50)
            ]
        )
    assert log.scard(keys.seen_key("u-1")) == 100


def test_an_entry_stays_until_it_is_acknowledged(events: EventStream, make_event: Any) -> None:
    """What was read and not acknowledged is read again, by whoever reads."""
    events.accept([make_event("e-1"), make_event("e-2")])
    first = read_log(events)
    assert read_log(events) == first
    events.acknowledge(first[:1])
    assert read_log(events) == first[1:]
    events.acknowledge(first)
    assert (events.length(), read_log(events)) == (0, [])


def test_what_failed_is_left_out_until_it_is_tried_again(
    events: EventStream, settings: Settings, make_event: Any
) -> None:
    """What comes behind it is read meanwhile; its next attempt says the how manyeth it is."""
    reader = LogReader(events, range(settings.log_partitions))
    events.accept([make_event("e-1"), make_event("e-2")])
    first, second = reader.read(10, 10)
    reader.set_aside([first])
    events.acknowledge([second])
    events.accept([make_event("e-3")])
    (third,) = reader.read(10, 10)
    assert b"e-3" in third.payload
    reader.try_again()
    again, _ = reader.read(10, 10)
    assert (again, again.deliveries) == (first, 2)
    reader.stop(first.partition)
    assert reader.read(10, 10) == []


def test_a_read_is_bounded_in_bytes_too(
    events: EventStream, settings: Settings, make_event: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However large entries are, a read ends after the page that made it large enough, and is full.

    A worker that took it for the end of the log would stop working off its backlog.
    """
    monkeypatch.setattr("interest_graph.log_reader.PAGE", 8)
    monkeypatch.setattr("interest_graph.log_reader.READ_BYTES", 5000)
    sent = [make_event(f"e-{n}", f"u-{n % 5}", properties={"text": "x" * 900}) for n in range(60)]
    events.accept(sent)
    reader = LogReader(events, range(settings.log_partitions))
    order: list[str] = []
    full: list[bool] = []
    while page := reader.read(40, 10):
        assert len(page) <= 5 + 8
        full.append(is_full(page, 40))
        order += [orjson.loads(entry.payload)["event_id"] for entry in page]
        events.acknowledge(page)
    for user in range(5):
        assert [one for one in order if int(one[2:]) % 5 == user] == [
            f"e-{n}" for n in range(user, 60, 5)
        ]
    assert len(order) == 60
    assert full == [*([True] * (len(full) - 1)), full[-1]]
    assert len(full) > 5


def test_a_read_takes_the_whole_of_a_batch_from_one_partition(
    events: EventStream, settings: Settings, make_event: Any
) -> None:
    """Where only one user is busy, a batch is as large as ever, and no larger than asked for."""
    events.accept([make_event(f"e-{n}") for n in range(600)])
    reader = LogReader(events, range(settings.log_partitions))
    assert len(reader.read(500, 10)) == 500
    assert len(reader.read(1000, 10)) == 600


def test_a_buried_entry_leaves_the_log_with_its_reason(
    log: redis.Redis, events: EventStream, make_event: Any
) -> None:
    """A buried entry is in the dead letters, whole and with its reason, and nowhere else."""
    events.accept([make_event("e-1")])
    (entry,) = read_log(events)
    events.bury(entry, "because")
    ((_, fields),) = log.xrange(keys.DEAD_LETTERS)
    assert (fields[b"payload"], fields[b"reason"]) == (entry.payload, b"because")
    assert (events.length(), events.dead_letters()) == (0, 1)


def test_without_redis_nothing_is_accepted(settings: Settings, make_event: Any) -> None:
    """A Redis that is away is an error of our own that a client may retry on."""
    client = connect("redis://127.0.0.1:1/0", settings)
    with pytest.raises(StreamUnavailableError):
        EventStream(client, settings).accept([make_event("e-1")])
    client.close()


def test_an_id_keeps_its_partition_and_its_order(
    events: EventStream, items: Any, users: Any, settings: Settings, make_event: Any
) -> None:
    """A user's document, events and deletion lie in one partition in order; so does an item's."""
    for number in range(20):
        users.put([{"user_id": f"u-{number}"}])
        items.put([{"item_id": f"i-{number}"}])
    soon = time.time() + 60
    events.accept([make_event(f"e-{n}", f"u-{n}", f"i-{n % 3}", at=soon) for n in range(20)])
    for number in range(20):
        users.delete(f"u-{number}")
        items.delete(f"i-{number}")
    kinds: dict[str, list[str]] = {}
    for entry in events.entries():
        found = partition_of_entry(entry.kind, entry.payload, settings.log_partitions)
        assert entry.partition == found
        name = entry.payload.decode()
        if not entry.kind.startswith("delete"):
            body = orjson.loads(entry.payload)
            name = body["item_id" if entry.kind == "item" else "user_id"]
        kinds.setdefault(name, []).append(entry.kind)
    assert len(events.lengths()) - events.lengths().count(0) > 5
    for number in range(20):
        assert kinds[f"u-{number}"] == ["user", "event", "delete_user"]
        assert kinds[f"i-{number}"] == ["item", "delete_item"]


def test_reading_several_partitions_goes_by_time(events: EventStream, make_event: Any) -> None:
    """What many users did is read as it was accepted, as far as the clock tells them apart."""
    for number in range(40):
        events.accept([make_event(f"e-{number}", f"u-{number}")])
    entries = read_log(events)
    places = [entry.place for entry in entries]
    assert places == sorted(places)
    assert len({entry.partition for entry in entries}) > 4


def test_another_number_of_partitions_needs_an_empty_log(
    log: redis.Redis, events: EventStream, settings: Settings, items: Any, make_event: Any
) -> None:
    """Until it is empty nobody with another number writes, reads or changes it."""
    events.accept([make_event("e-1")])
    other = stream_with(log, settings, log_partitions=3)
    fewer = settings.model_copy(update={"log_partitions": 3})
    with pytest.raises(SettingsError, match="1 entries and has not 3 partitions"):
        other.settle_partitions()
    with pytest.raises(StreamUnavailableError, match="not 3 partitions"):
        other.accept([make_event("e-2")])
    with pytest.raises(StreamUnavailableError, match="not 3 partitions"):
        Documents(log, fewer, "item").put([{"item_id": "i-1"}])
    (entry,) = read_log(events)
    events.bury(entry, "because")
    letters = DeadLetters(log, fewer)
    with pytest.raises(StreamUnavailableError, match="not 3 partitions"):
        letters.replay([letter.letter_id for letter in letters.all()])
    other.settle_partitions()
    other.settle_partitions()
    assert letters.replay([letter.letter_id for letter in letters.all()]) == 1
    assert (other.length(), len(other.lengths())) == (1, 3)
    with pytest.raises(StreamUnavailableError, match="not 8 partitions"):
        events.accept([make_event("e-3")])


def test_a_log_from_before_partitions_is_not_passed_over(
    log: redis.Redis, events: EventStream
) -> None:
    """Its entries would never be read; nothing is done until they are gone."""
    log.xadd(keys.UNPARTITIONED_LOG, {"kind": "event", "payload": "x"})
    with pytest.raises(SettingsError, match="the version that wrote it"):
        events.settle_partitions()
    log.delete(keys.UNPARTITIONED_LOG)
    events.settle_partitions()


def test_a_resend_answers_a_revision_that_its_users_lists_reach(
    events: EventStream, serving: ServingState, make_event: Any
) -> None:
    """Whoever waits for the revision of a 202 sees it, after a resend too; histories stay."""
    events.accept([make_event("e-1", "u-1"), make_event("e-2", "u-2")])
    events.accept([make_event("e-3", "u-3")])
    before = {user: serving.read(user).user.history for user in ("u-1", "u-2", "u-4")}
    resent = events.accept([make_event("e-1", "u-1"), make_event("e-2", "u-2")])
    mixed = events.accept([make_event("e-2", "u-2"), make_event("e-4", "u-4")])
    assert resent.accepted == 0
    assert serving.read("u-1").history_revision >= resent.history_revision
    for user in ("u-2", "u-4"):
        assert serving.read(user).history_revision >= mixed.history_revision
    for user in ("u-1", "u-2"):
        assert serving.read(user).user.history == before[user]


def test_a_user_created_again_has_no_past(
    events: EventStream, users: Any, serving: ServingState, make_event: Any
) -> None:
    """What happened before is refused, by its own reason; what happens from then on counts."""
    events.accept([make_event("e-1", "u-1")])
    users.delete("u-1")
    users.put([{"user_id": "u-1"}])
    users.put([{"user_id": "u-1", "properties": {"again": True}}])
    early, late = make_event("e-2", "u-1"), make_event("e-3", "u-1", at=time.time() + 60)
    accepted = events.accept([early, late])
    assert accepted.statuses == (Status.BEFORE_CREATED_AGAIN, Status.ACCEPTED)
    ((index, fault),) = accepted.rejected
    assert (index, fault.field) == (0, "occurred_at")
    history = serving.read("u-1").user.history
    assert [event.event_id for event in history] == ["e-3"]
