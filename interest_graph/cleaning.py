"""Which events say nothing about a user: kept as facts, flagged with a reason, counted nowhere.

What an event says of itself is judged here; how fast a user's events come is judged by the accept
script (`lua/accept_events.lua`), which alone sees them in one order. Either way once, when the
event is accepted: the flag travels with the event and never depends on what comes later.
"""

from __future__ import annotations

from datetime import UTC
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .event import Event, EventInput
    from .settings import EventTypeSettings, Settings


class Flag(StrEnum):
    """Why an event is flagged; the first reason that holds, in this order."""

    BOT = "bot"
    VALUE = "value"
    CLOCK = "clock"
    BURST = "burst"
    REPEAT = "repeat"


def flag_of(sent: EventInput, settings: Settings) -> Flag | None:
    """What is wrong with a valid event by itself, if anything."""
    if sent.properties and _names_a_bot(sent.properties, settings):
        return Flag.BOT
    if sent.value is not None and _is_impossible(sent.value, settings.event_types[sent.event_type]):
        return Flag.VALUE
    occurred = sent.occurred_at
    if occurred is not None and (
        occurred < settings.earliest_occurred_at
        or occurred.astimezone(UTC).date() in settings.clock_zeros
    ):
        return Flag.CLOCK
    return None


def is_live(event: Event, settings: Settings) -> bool:
    """Whether an event is told when it happens: how fast history is told says nothing."""
    return event.recorded_at_ms - event.occurred_at_ms <= settings.live_s * 1000


def _names_a_bot(properties: Mapping[str, Any], settings: Settings) -> bool:
    """Whether a property holds what only bots say of themselves."""
    return any(
        pattern.search(str(properties[name]))
        for name, pattern in settings.bot_patterns.items()
        if name in properties
    )


def _is_impossible(value: float, declared: EventTypeSettings) -> bool:
    """Whether a value lies outside the range of its event type."""
    least, most = declared.least_value, declared.most_value
    return (least is not None and value < least) or (most is not None and value > most)
