"""Events as clients send them: every bound, and every fault named with its place."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from interest_graph.errors import Fault, InvalidEventError
from interest_graph.event import EPOCH, Event, parse_event
from interest_graph.settings import Settings

SETTINGS = Settings()
LONG_ID = "x" * 40_000
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
FIELDS = (
    "event_id",
    "user_id",
    "item_id",
    "event_type",
    "occurred_at",
    "value",
    "session_id",
    "recommendation_id",
    "properties",
)


def sent(**fields: Any) -> dict[str, Any]:
    """A valid event with some fields of its own."""
    return {"user_id": "u-1", "item_id": "i-1", "event_type": "view"} | fields


def faults(body: object) -> tuple[Fault, ...]:
    """What is wrong with a body."""
    with pytest.raises(InvalidEventError) as caught:
        parse_event(body, SETTINGS)
    return caught.value.faults


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("user_id", ""),
        ("user_id", "x" * 129),
        ("user_id", LONG_ID),
        ("user_id", "with space"),
        ("user_id", "line\n"),
        ("user_id", "\ud800"),
        ("user_id", "nul\x00"),
        ("user_id", 7),
        ("user_id", None),
        ("item_id", LONG_ID),
        ("item_id", "bücher"),
        ("event_id", ""),
        ("event_id", "x" * 65),
        ("event_id", "a@b"),
        ("event_id", LONG_ID),
        ("event_type", "bought"),
        ("event_type", "VIEWED"),
        ("event_type", "x" * 1000),
        ("occurred_at", "1989-12-31T23:59:59Z"),
        ("occurred_at", "2024-01-31T12:00:00"),
        ("occurred_at", "2024-01-31"),
        ("occurred_at", "2024-02-30T00:00:00Z"),
        ("occurred_at", "yesterday"),
        ("occurred_at", "1700000000"),
        ("occurred_at", 1_700_000_000),
        ("occurred_at", True),
        ("occurred_at", "9999-12-31T23:59:59-14:00"),
        ("occurred_at", "0001-01-01T00:00:00+14:00"),
        ("value", float("nan")),
        ("value", float("inf")),
        ("value", -float("inf")),
        ("value", 2**70),
        ("value", 10**400),
        ("value", 1e300),
        ("value", True),
        ("value", "much"),
        ("value", [1]),
        ("session_id", ""),
        ("session_id", "x" * 201),
        ("session_id", "nul\x00"),
        ("session_id", "\udfff"),
        ("recommendation_id", "x" * 201),
        ("properties", "flat"),
        ("properties", []),
        ("properties", {f"key{n}": n for n in range(33)}),
        ("properties", {"nested": {"deep": 1}}),
        ("properties", {"nested": [[1]]}),
        ("properties", {"nested": [{"deep": 1}]}),
        ("properties", {"mixed": [1, "one"]}),
        ("properties", {"mixed": [True, 1]}),
        ("properties", {"long": ["x"] * 101}),
        ("properties", {"large": 2**63}),
        ("properties", {"large": -(2**63) - 1}),
        ("properties", {"large": [2**63]}),
        ("properties", {"number": float("nan")}),
        ("properties", {"number": [float("inf")]}),
        ("properties", {"text": "nul\x00"}),
        ("properties", {"text": "\ud800"}),
        ("properties", {"text": ["\ud800"]}),
        ("properties", {"text": "x" * 20_001}),
        ("properties", {f"key{n}": ["x" * 20_000] * 100 for n in range(32)}),
        ("properties", {f"key{n}": "\N{SNOWMAN}" * 20_000 for n in range(2)}),
        ("properties", {"\ud800": 1}),
        ("properties", {"nul\x00": 1}),
        ("properties", {"": 1}),
        ("properties", {"x" * 65: 1}),
        ("properties", {"nothing": None}),
    ],
)
def test_what_is_out_of_bounds_is_named(field: str, value: object) -> None:
    """A value out of bounds is refused, and the fault points at its field and gives a reason."""
    found = faults(sent(**{field: value}))
    assert {(fault.field, fault.pointer) for fault in found} == {(field, f"/{field}")}
    assert all(fault.reason.encode() for fault in found)


@pytest.mark.parametrize("field", ["user_id", "item_id", "event_type"])
def test_what_is_missing_is_named(field: str) -> None:
    """Without one of its three required fields an event is refused by the name of that field."""
    body = sent()
    del body[field]
    assert [fault.pointer for fault in faults(body)] == [f"/{field}"]


def test_a_time_more_than_five_minutes_ahead_is_refused() -> None:
    """Clocks may differ by four minutes, not by six."""
    now = datetime.now(UTC)
    ahead = parse_event(sent(occurred_at=(now + timedelta(minutes=4)).isoformat()), SETTINGS)
    assert ahead.occurred_at_ms > now.timestamp() * 1000
    found = faults(sent(occurred_at=(now + timedelta(minutes=6)).isoformat()))
    assert [fault.pointer for fault in found] == ["/occurred_at"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("user_id", "x" * 128),
        ("item_id", "A-z_0.9:@"),
        ("event_id", "x" * 64),
        ("occurred_at", "1990-01-01T00:00:00Z"),
        ("occurred_at", "1990-01-01T01:00:00+01:00"),
        ("value", 0),
        ("value", -3.5),
        ("session_id", "x" * 200),
        ("properties", {f"key{n}": n for n in range(32)}),
        ("properties", {"large": 2**63 - 1, "small": -(2**63)}),
        ("properties", {"list": ["a", "b"], "numbers": [1, 2], "flags": [True, False]}),
        ("properties", {"empty": [], "text": "ü \U0001f600"}),
    ],
)
def test_what_is_just_within_bounds_is_accepted(field: str, value: object) -> None:
    """The bounds themselves are allowed."""
    assert parse_event(sent(**{field: value}), SETTINGS).user_id


def test_every_fault_is_named_at_once() -> None:
    """An event with five faults is told all five."""
    body = {"user_id": "", "event_type": "nap", "value": True, "colour": "red"}
    pointers = {fault.pointer for fault in faults(body)}
    assert pointers == {"/user_id", "/item_id", "/event_type", "/value", "/colour"}


def test_a_pointer_escapes_what_json_pointers_escape() -> None:
    """An unknown field with a slash or a tilde is named as RFC 6901 says."""
    assert [fault.pointer for fault in faults(sent(**{"a/b~c": 1}))] == ["/a~1b~0c"]


@given(st.dictionaries(st.sampled_from(FIELDS) | st.text(), json_values) | json_values)
def test_no_body_raises_anything_else(body: object) -> None:
    """Any value that JSON can say is an event or a list of faults that can be sent as JSON."""
    named: list[list[str]] = []
    event = None
    try:
        event = parse_event(body, SETTINGS)
    except InvalidEventError as error:
        named = [[fault.field, fault.reason, fault.pointer] for fault in error.faults]
    assert orjson.loads(orjson.dumps(named)) == named
    assert bool(named) == (event is None)
    assert event is None or Event.from_json(event.to_json()) == event


@given(st.integers(631_238_400_000, 1_735_689_600_000), st.integers(-14 * 60, 14 * 60))
@example(1_084_632_034_248, 0)
@example(1_076_069_605_018, 90)
def test_a_time_is_kept_to_the_millisecond(at_ms: int, offset: int) -> None:
    """A time in any zone is stored as exactly its milliseconds since 1970."""
    zone = timezone(timedelta(minutes=offset))
    moment = (EPOCH + timedelta(milliseconds=at_ms)).astimezone(zone)
    assert parse_event(sent(occurred_at=moment.isoformat()), SETTINGS).occurred_at_ms == at_ms


def test_the_server_fills_in_what_is_missing() -> None:
    """Without id and time an event gets an id of its own and the time of acceptance."""
    now = datetime(2024, 5, 1, tzinfo=UTC)
    one, other = (parse_event(sent(), SETTINGS, now) for _ in range(2))
    assert one.event_id != other.event_id
    assert one.occurred_at_ms == one.recorded_at_ms == int(now.timestamp() * 1000)


def test_the_body_hash_tells_a_resend_from_a_conflict() -> None:
    """The same event said in another way hashes the same; another value does not."""
    one = parse_event(sent(occurred_at="2024-01-01T00:00:00Z", value=1), SETTINGS)
    same = parse_event(
        {"value": 1.0, "occurred_at": "2024-01-01T01:00:00+01:00", "session_id": None} | sent(),
        SETTINGS,
    )
    other = parse_event(sent(occurred_at="2024-01-01T00:00:00Z", value=2), SETTINGS)
    assert one.body_hash == same.body_hash != other.body_hash


@pytest.mark.parametrize("payload", [b"", b"{", b"[]", b"null", b'{"event_id": "e"}', b"\xff"])
def test_an_entry_that_is_no_event_is_refused(payload: bytes) -> None:
    """Bytes in the log that are not an event raise the error that buries them."""
    with pytest.raises(InvalidEventError):
        Event.from_json(payload)
