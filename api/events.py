"""`POST /v1/events`: what users did."""

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from flask import Response, g, request
from flask_openapi.blueprint import APIBlueprint
from flask_openapi.models.tag import Tag

from interest_graph.accepted import Accepted, Status
from interest_graph.cleaning import Flag
from interest_graph.errors import Fault, InvalidEventError
from interest_graph.event import Event, EventInput, parse_event
from interest_graph.metrics import Metrics
from interest_graph.settings import Durability, Settings

from .access import scope
from .answer import answer
from .body import Rejected, faults_out, parse_entries, placed, read_entries
from .documentation import raises, reads_header, takes
from .error_handlers import invalid_parameters
from .problems import Code
from .schemas.event import AcceptedOut, FlaggedOut
from .wiring import services, wired

events = APIBlueprint(
    "events", __name__, url_prefix="/v1", abp_tags=[Tag(name="events", description="Write.")]
)

Parsed = list[tuple[int, Event]]
MAX_IDEMPOTENCY_KEY = 255
REFUSED = "interest_graph.refused"
"""Where the environment says why the log did not take the event: it was asked already."""
OTHER_BODY = Fault("Idempotency-Key", "was sent before with another body in this place")


@events.post("/events", operation_id="send_events", responses={202: AcceptedOut})
@scope("events:write")
@takes(EventInput, many=True, ndjson=True)
@reads_header("Idempotency-Key", "Events without an id get one that a retry gets again.")
@raises(Code.LOG_FULL)
def send_events() -> Response:
    """Send what users did: one event, a list, or one a line.

    A 202 survives the death of every process, and the user's very next list counts the event,
    unless it was flagged: bots, bursts and what cannot be are kept as facts and counted nowhere.
    Sending the same again changes nothing; an event at fault does not sink the others. With an
    `Idempotency-Key`, events without an id get one that a retry gets again.
    """
    if error := request.environ.get(REFUSED):
        raise error
    g.derived = set()
    parse = _parser(_idempotency_key(), wired().settings)
    entries, many = read_entries(ndjson=True)
    parsed, invalid = parse_entries(entries, parse, many=many)
    accepted = services().events.accept([event for _, event in parsed])
    rejected = [*invalid, *_refused(accepted, parsed, many=many)]
    count_events(wired().metrics, accepted, parsed, rejected)
    if len(rejected) == len(entries):
        raise InvalidEventError([fault for entry in rejected for fault in entry.faults])
    durability = wired().settings.durability
    return answer(outcome(len(entries), accepted, parsed, rejected, durability), 202)


def _parser(sent: str, settings: Settings) -> Callable[[int, Any], Event]:
    """What reads one event, with an id derived from the `Idempotency-Key` when it brings none."""
    key_id, derived = g.api_key.key_id, g.derived

    def parse(index: int, entry: Any) -> Event:
        if sent and entry.get("event_id") is None:
            seed = f"{key_id}\n{sent}\n{index}".encode()
            entry = {**entry, "event_id": f"k-{hashlib.blake2b(seed, digest_size=16).hexdigest()}"}
            derived.add(index)
        return parse_event(entry, settings)

    return parse


def _idempotency_key() -> str:
    """The `Idempotency-Key`, if one was sent.

    Raises:
        ProblemError: 422, names the header field: longer than documented, it would be kept for
            nothing.
    """
    sent = request.headers.get("Idempotency-Key", "")
    if len(sent) > MAX_IDEMPOTENCY_KEY:
        reason = f"must have at most {MAX_IDEMPOTENCY_KEY} characters"
        name = "Idempotency-Key"
        fault = {"in": "header", "pointer": f"/{name}", "field": name, "reason": reason}
        raise invalid_parameters([fault])
    return sent


def _refused(accepted: Accepted, parsed: Parsed, *, many: bool) -> list[Rejected]:
    """What the log refused: conflicts and events of deleted users."""
    refused = []
    for position, fault in accepted.rejected:
        index = parsed[position][0]
        if index in g.derived and fault.field == "event_id":
            fault = OTHER_BODY  # noqa: PLW2901 the client knows the header, not the id
        refused.append(Rejected(index, placed([fault], index, many=many)))
    return refused


def outcome(
    count: int,
    accepted: Accepted,
    parsed: Parsed,
    rejected: Sequence[Rejected],
    durability: Durability,
) -> AcceptedOut:
    """The answer: an id for every event that is in the log."""
    ids: list[str | None] = [None] * count
    counted = (Status.ACCEPTED, Status.DUPLICATE)
    for (index, event), status in zip(parsed, accepted.statuses, strict=True):
        ids[index] = event.event_id if status in counted else None
    return AcceptedOut(
        accepted=accepted.accepted,
        duplicates=accepted.duplicates,
        event_ids=ids,
        history_revision=accepted.history_revision,
        flagged=[
            FlaggedOut(index=parsed[position][0], reason=Flag(reason))
            for position, reason in accepted.flagged
        ],
        rejected=faults_out(rejected),
        durability=durability,
    )


def count_events(
    metrics: Metrics, accepted: Accepted, parsed: Parsed, rejected: Sequence[Rejected]
) -> None:
    """Measure."""
    fresh = [
        event
        for (_, event), status in zip(parsed, accepted.statuses, strict=True)
        if status is Status.ACCEPTED
    ]
    for event_type, count in Counter(event.event_type for event in fresh).items():
        metrics.events_accepted.labels(event_type).inc(count)
    if fresh:
        received_s = min(event.recorded_at_ms for event in fresh) / 1000
        metrics.event_to_list_seconds.observe(max(0.0, time.time() - received_s))
    metrics.events_duplicate.inc(accepted.duplicates)
    metrics.events_rejected.inc(len(rejected))
