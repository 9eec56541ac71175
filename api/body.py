"""Reading bodies: JSON or NDJSON, one or many, with a position for what is malformed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeVar

import orjson
from flask import request
from pydantic import BaseModel, ValidationError
from werkzeug.exceptions import RequestEntityTooLarge

from interest_graph.errors import Fault, InvalidInputError
from interest_graph.field_types import faults_of

from .problems import Code, ProblemError, body_faults
from .schemas.answer_model import RejectedOut

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
NDJSON = "application/x-ndjson"
MAX_BODY_BYTES = 5 * 1024 * 1024
MAX_ENTRIES = 1000
BODY_FAULT = "interest_graph.body_fault"
"""Where the gateway says in the environment why a body is not there."""

Input = TypeVar("Input", bound=BaseModel)
Parsed = TypeVar("Parsed")


class BodyFault(Enum):
    """Why the gateway did not wait for the whole body."""

    LATE = "the body did not arrive in time"
    BUSY = "too many bodies wait for their answer already"


@dataclass(frozen=True, slots=True)
class Malformed:
    """A line of NDJSON that is not JSON; the other lines still count."""

    reason: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """An entry that is at fault: its position in the body and what is wrong with it."""

    index: int
    faults: tuple[Fault, ...]


def _media_type(accepted: Sequence[str]) -> str:
    """The body's media type, which must be one of `accepted`.

    Raises:
        ProblemError: It is another, or the body is compressed.
    """
    wanted = " or ".join(accepted)
    encoding = request.headers.get("Content-Encoding", "identity").lower()
    if encoding != "identity":
        raise ProblemError(
            Code.UNSUPPORTED_MEDIA_TYPE, f"the content encoding must be identity, not {encoding!r}"
        )
    if request.mimetype not in accepted:
        detail = f"the content type must be {wanted}, not {request.mimetype or 'absent'!r}"
        raise ProblemError(Code.UNSUPPORTED_MEDIA_TYPE, detail, headers={"Accept": wanted})
    return request.mimetype


def _raw() -> bytes:
    """The body.

    Raises:
        ProblemError: It is larger than 5 MiB, or it did not arrive.
    """
    if fault := request.environ.get(BODY_FAULT):
        late = fault is BodyFault.LATE
        raise ProblemError(Code.BODY_TIMEOUT if late else Code.UNAVAILABLE, fault.value)
    try:
        raw = request.get_data(cache=False)
    except RequestEntityTooLarge:
        raw = None
    # A body without a length is cut at the bound in silence: the bound has one byte to spare.
    if raw is None or len(raw) > MAX_BODY_BYTES:
        detail = f"a body has at most {MAX_BODY_BYTES} bytes"
        raise ProblemError(Code.BODY_TOO_LARGE, detail)
    return raw


def decode(raw: bytes) -> Any:
    """Decode a JSON value.

    Raises:
        ProblemError: It is not JSON; says line, column and byte.
    """
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        detail = f"line {error.lineno}, column {error.colno}: {error.msg}"
        fault = Fault("body", f"{error.msg} at character {error.pos}")
        raise ProblemError(Code.MALFORMED_JSON, detail, faults=body_faults([fault])) from error


def _lines(raw: bytes) -> list[Any]:
    """The values of an NDJSON body; empty lines are skipped, malformed ones kept as such."""
    values: list[Any] = []
    for number, line in enumerate(raw.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            values.append(orjson.loads(line))
        except orjson.JSONDecodeError as error:
            reason = f"line {number}, column {error.colno}: {error.msg}"
            values.append(Malformed(reason))
    return values


def read_entries(*, ndjson: bool = False) -> tuple[list[Any], bool]:
    """The entries of the body, and whether it was a list.

    Args:
        ndjson: Whether one JSON value a line is accepted too.

    Raises:
        ProblemError: Wrong content type, malformed JSON, no or too many entries.
    """
    media_type = _media_type((JSON, NDJSON) if ndjson else (JSON,))
    raw = _raw()
    value = _lines(raw) if media_type == NDJSON else decode(raw)
    entries = value if isinstance(value, list) else [value]
    if not 1 <= len(entries) <= MAX_ENTRIES:
        reason = f"must hold between 1 and {MAX_ENTRIES} entries, not {len(entries)}"
        raise InvalidInputError([Fault("body", reason)])
    return entries, isinstance(value, list)


def parse_entries(
    entries: Sequence[Any], parse: Callable[[int, Any], Parsed], *, many: bool
) -> tuple[list[tuple[int, Parsed]], list[Rejected]]:
    """Parse each entry for itself: one at fault does not sink the others.

    Args:
        entries: The decoded values.
        parse: Makes an input of one value and its index.
        many: Whether the body was a list, so that pointers carry an index.

    Raises:
        InvalidInputError: Every entry is at fault.
    """
    good: list[tuple[int, Parsed]] = []
    rejected: list[Rejected] = []
    for index, entry in enumerate(entries):
        try:
            _check(entry)
            good.append((index, parse(index, entry)))
        except InvalidInputError as error:
            rejected.append(Rejected(index, placed(error.faults, index, many=many)))
        except ValidationError as error:
            rejected.append(Rejected(index, placed(faults_of(error), index, many=many)))
    if not good:
        raise InvalidInputError([fault for entry in rejected for fault in entry.faults])
    return good, rejected


def _check(entry: object) -> None:
    """What no input model sees: a malformed line, a value that is not an object."""
    if isinstance(entry, Malformed):
        raise InvalidInputError([Fault("body", entry.reason)])
    if not isinstance(entry, dict):
        raise InvalidInputError([Fault("body", "must be a JSON object")])


def placed(faults: Sequence[Fault], index: int, *, many: bool) -> tuple[Fault, ...]:
    """The faults with pointers from the top of the body."""
    prefix = f"/{index}" if many else ""
    return tuple(Fault(fault.field, fault.reason, prefix + fault.pointer) for fault in faults)


def faults_out(rejected: Sequence[Rejected]) -> list[RejectedOut]:
    """The rejected entries as an answer lists them: one line a fault, by position."""
    return [
        RejectedOut(
            index=entry.index, field=fault.field, reason=fault.reason, pointer=fault.pointer
        )
        for entry in sorted(rejected, key=lambda entry: entry.index)
        for fault in entry.faults
    ]


def read_patch(model: type[Input]) -> Input:
    """The body as one `model`: a JSON merge patch (RFC 7396) of the fields it names.

    Raises:
        ProblemError: Wrong content type or malformed JSON.
        InvalidInputError: It does not validate.
    """
    _media_type((JSON, MERGE_PATCH))
    value = decode(_raw())
    _check(value)
    return valid(lambda: model.model_validate(value))


def valid(make: Callable[[], Parsed]) -> Parsed:
    """What `make` makes, with pydantic's faults as ours.

    Raises:
        InvalidInputError: Names every fault.
    """
    try:
        return make()
    except ValidationError as error:
        raise InvalidInputError(faults_of(error)) from error
