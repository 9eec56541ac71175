"""Events: what a user did with an item, as sent and as accepted."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .cleaning import flag_of
from .errors import Fault, InvalidEventError
from .field_types import (
    PROPERTIES_RULE,
    EventId,
    NodeId,
    Number,
    PastTime,
    Properties,
    ShortText,
    faults_of,
)
from .history import HistoryEvent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .settings import Settings

UNFLAGGED = b',"flagged":null}'
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class EventInput(BaseModel):
    """An event as a client sends it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    event_id: EventId | None = Field(
        None, description="Your id for this event: sending it again changes nothing."
    )
    user_id: NodeId = Field(description="Who did it.", examples=["household-42"])
    item_id: NodeId = Field(description="With which item.", examples=["product-1029743"])
    event_type: Annotated[str, Field(max_length=64)] = Field(
        description="One of the declared event types.", examples=["click"]
    )
    occurred_at: PastTime | None = Field(
        None, description="When, RFC 3339 with offset; by default now."
    )
    value: Number | None = Field(None, description="A rating, a quantity, an amount.")
    session_id: ShortText | None = Field(None, description="The visit it belongs to.")
    recommendation_id: ShortText | None = Field(
        None, description="The answer that showed the item."
    )
    properties: Properties | None = Field(None, description=PROPERTIES_RULE)


@dataclass(slots=True)
class Event:
    """An event ready to be accepted. Nothing changes one; to be frozen would cost 2 µs each.

    Args:
        event_id: Unique over all event types.
        event_type: Name of the event type; `event_code` is its position in the settings.
        occurred_at_ms: When it happened, milliseconds since 1970 (UTC).
        recorded_at_ms: When it was accepted.
        body_hash: Hash of what the client sent, to tell a resend from a conflict.
        flagged: A `cleaning.Flag`: why it is a fact that counts nowhere. What the accept script
            finds is in the entry of the log alone.
    """

    event_id: str
    user_id: str
    item_id: str
    event_type: str
    event_code: int
    occurred_at_ms: int
    recorded_at_ms: int
    body_hash: str
    value: float | None = None
    session_id: str | None = None
    recommendation_id: str | None = None
    properties: Mapping[str, Any] | None = None
    flagged: str | None = None

    @property
    def history_event(self) -> HistoryEvent:
        """What the user's history keeps of it."""
        return HistoryEvent(self.occurred_at_ms, self.event_id, self.item_id, self.event_code)

    def to_json(self) -> bytes:
        """The entry of the log; it says nothing of flags unless there is one."""
        entry = orjson.dumps(self)
        return entry if self.flagged else entry.removesuffix(UNFLAGGED) + b"}"

    @classmethod
    def from_json(cls, payload: bytes) -> Event:
        """Read an entry of the log.

        Raises:
            InvalidEventError: The entry is not an event.
        """
        try:
            return cls(**orjson.loads(payload))
        except (TypeError, orjson.JSONDecodeError) as error:
            raise InvalidEventError([Fault("payload", str(error))]) from error


def body_hash(sent: EventInput) -> str:
    """Hash of an event as sent: equal for a resend, different for a conflict."""
    body = sent.model_dump(mode="json", exclude={"event_id"}, exclude_none=True)
    canonical = orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(canonical, digest_size=8).hexdigest()


def milliseconds(moment: datetime) -> int:
    """Whole milliseconds since 1970, exact: a float of seconds is one off now and then.

    >>> milliseconds(datetime.fromisoformat("2004-05-15T15:07:14.248Z"))
    1084633634248
    """
    since = moment - EPOCH
    return (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000


def parse_event(body: object, settings: Settings, now: datetime | None = None) -> Event:
    """Validate one event as sent by a client.

    Args:
        body: The decoded JSON value.
        settings: Declares the event types.
        now: The time of acceptance; by default the clock's.

    Raises:
        InvalidEventError: Names every fault.
    """
    faults: list[Fault] = []
    sent = None
    try:
        sent = EventInput.model_validate(body)
    except ValidationError as error:
        faults = faults_of(error)
    named = body.get("event_type") if isinstance(body, dict) else None
    if isinstance(named, str) and named not in settings.event_types:
        names = ", ".join(settings.event_types)
        faults.append(Fault("event_type", f"must be one of: {names}", "/event_type"))
    if sent is None or faults:
        raise InvalidEventError(faults)
    return accepted_event(sent, settings, now or datetime.now(UTC))


def accepted_event(sent: EventInput, settings: Settings, now: datetime) -> Event:
    """Stamp a valid event with its id, code, times and body hash."""
    recorded_at_ms = milliseconds(now)
    occurred = sent.occurred_at
    return Event(
        event_id=sent.event_id or uuid.uuid4().hex,
        user_id=sent.user_id,
        item_id=sent.item_id,
        event_type=sent.event_type,
        event_code=settings.event_type_names.index(sent.event_type),
        occurred_at_ms=recorded_at_ms if occurred is None else milliseconds(occurred),
        recorded_at_ms=recorded_at_ms,
        body_hash=body_hash(sent),
        value=sent.value,
        session_id=sent.session_id,
        recommendation_id=sent.recommendation_id,
        properties=sent.properties or None,
        flagged=flag_of(sent, settings),
    )
