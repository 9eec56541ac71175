"""What an event says of itself: which are flagged, at each bound."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from interest_graph.cleaning import Flag, is_live
from interest_graph.event import Event, parse_event
from interest_graph.settings import EventTypeSettings, Settings

SETTINGS = Settings()
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def parsed(settings: Settings = SETTINGS, **fields: Any) -> Event:
    """A valid event with some fields of its own."""
    body = {"user_id": "u-1", "item_id": "i-1", "event_type": "view"} | fields
    return parse_event(body, settings, NOW)


@pytest.mark.parametrize(
    ("event_type", "value", "flagged"),
    [
        ("purchase", -0.01, Flag.VALUE),
        ("purchase", 0, None),
        ("purchase", 1e9, None),
        ("purchase", 1e9 + 1, Flag.VALUE),
        ("add_to_cart", -1, Flag.VALUE),
        ("rate", -100, None),
        ("rate", 100, None),
        ("rate", 100.5, Flag.VALUE),
        ("view", -(2.0**63), None),
        ("purchase", None, None),
    ],
)
def test_a_value_outside_the_range_of_its_type_is_flagged(
    event_type: str, value: float | None, flagged: Flag | None
) -> None:
    """The bounds themselves are possible; a type without a range takes anything."""
    assert parsed(event_type=event_type, value=value).flagged == flagged


@pytest.mark.parametrize(
    ("occurred_at", "flagged"),
    [
        ("1994-12-31T23:59:59.999Z", Flag.CLOCK),
        ("1995-01-01T00:00:00Z", None),
        ("1995-01-01T00:30:00+01:00", Flag.CLOCK),
        ("1999-12-31T23:59:59.999Z", None),
        ("2000-01-01T00:00:00Z", Flag.CLOCK),
        ("2000-01-02T00:30:00+01:00", Flag.CLOCK),
        ("2000-01-02T00:00:00Z", None),
        ("2001-01-01T03:00:00Z", Flag.CLOCK),
        (None, None),
    ],
)
def test_times_of_clocks_that_nobody_set_are_flagged(
    occurred_at: str | None, flagged: Flag | None
) -> None:
    """From before any shop, or on the day on which such clocks begin, in UTC."""
    assert parsed(occurred_at=occurred_at).flagged == flagged


@pytest.mark.parametrize(
    ("properties", "flagged"),
    [
        ({"bot": True}, Flag.BOT),
        ({"bot": "TRUE"}, Flag.BOT),
        ({"bot": False}, None),
        ({"bot": "untrue"}, None),
        ({"robot": True}, None),
        ({"user_agent": "Mozilla/5.0 (compatible; Googlebot/2.1)"}, Flag.BOT),
        ({"user_agent": ["a", "AdsBot-Google"]}, Flag.BOT),
        ({"user_agent": "Mozilla/5.0 (Linux; Android 9; CUBOT NOTE 7)"}, None),
        ({}, None),
    ],
)
def test_who_says_to_be_a_bot_is_flagged(properties: dict[str, Any], flagged: Flag | None) -> None:
    """By a property that a pattern is declared for, whatever kind of value it has."""
    assert parsed(properties=properties).flagged == flagged


def test_the_first_reason_counts() -> None:
    """A bot that sends the impossible is a bot."""
    everything = {"event_type": "purchase", "value": -1, "occurred_at": "1990-01-01T00:00:00Z"}
    assert parsed(**everything, properties={"bot": True}).flagged == Flag.BOT
    assert parsed(**everything).flagged == Flag.VALUE


def test_every_rule_can_be_turned_off_or_moved() -> None:
    """By settings of the shop's own."""
    off = Settings(
        event_types={"buy": EventTypeSettings(relationship="BOUGHT")},
        seen_event_types=("buy",),
        earliest_occurred_at=datetime(1990, 1, 1, tzinfo=UTC),
        clock_zeros=(),
        bot_patterns={},
    )
    body = {"event_type": "buy", "value": -1, "properties": {"bot": True}}
    for day in ("1990-01-01", "2000-01-01"):
        assert parsed(off, **body, occurred_at=f"{day}T00:00:00Z").flagged is None
    moved = off.model_copy(
        update={
            "earliest_occurred_at": datetime(2020, 5, 1, tzinfo=UTC),
            "clock_zeros": (date(2021, 1, 1),),
            "bot_patterns": {"agent": re.compile("^curl")},
        }
    )
    assert parsed(moved, **body, occurred_at="2020-04-30T23:00:00Z").flagged == Flag.CLOCK
    assert parsed(moved, **body, occurred_at="2021-01-01T23:00:00Z").flagged == Flag.CLOCK
    assert parsed(moved, event_type="buy", properties={"agent": "curl/8"}).flagged == Flag.BOT


def test_the_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """As JSON, and a pattern that is none is refused."""
    monkeypatch.setenv("INTEREST_GRAPH_BOT_PATTERNS", '{"agent": "^curl"}')
    monkeypatch.setenv("INTEREST_GRAPH_CLOCK_ZEROS", '["1999-11-30"]')
    monkeypatch.setenv("INTEREST_GRAPH_EARLIEST_OCCURRED_AT", "1998-01-01T00:00:00Z")
    settings = Settings()
    assert parsed(settings, properties={"agent": "curl/8"}).flagged == Flag.BOT
    assert parsed(settings, occurred_at="1999-11-30T05:00:00Z").flagged == Flag.CLOCK
    monkeypatch.setenv("INTEREST_GRAPH_BOT_PATTERNS", '{"agent": "("}')
    with pytest.raises(ValidationError, match="bot_patterns"):
        Settings()


@pytest.mark.parametrize(
    ("seconds_ago", "live"), [(-60, True), (0, True), (300, True), (301, False)]
)
def test_what_is_told_late_is_history(seconds_ago: int, live: bool) -> None:  # noqa: FBT001
    """Rates are judged of live events alone."""
    occurred = NOW - timedelta(seconds=seconds_ago)
    assert is_live(parsed(occurred_at=occurred.isoformat()), SETTINGS) == live


def test_a_flag_travels_in_the_entry_and_is_no_part_of_the_body() -> None:
    """A resend under other settings is the same body; an entry without a flag does not name it."""
    lax = SETTINGS.model_copy(update={"bot_patterns": {}})
    flagged, free = (parsed(one, properties={"bot": True}) for one in (SETTINGS, lax))
    assert flagged.body_hash == free.body_hash
    assert Event.from_json(flagged.to_json()).flagged == Flag.BOT
    assert "flagged" not in orjson.loads(free.to_json())
    assert Event.from_json(free.to_json()).flagged is None
