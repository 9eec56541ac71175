"""The types of the fields that come from outside, with the bounds that Neo4j and Redis need.

Nested maps, integers beyond 64 bits, lone surrogates and very long ids crash the Neo4j driver, so
nothing reaches it that did not pass through here.
"""

from __future__ import annotations

import hashlib
import math
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, TypeAlias

import orjson
from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from .errors import Fault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import ValidationError

Scalar: TypeAlias = str | bool | int | float
PropertyValue: TypeAlias = Scalar | list[Scalar]

EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
MAX_AHEAD = timedelta(minutes=5)
MAX_PROPERTIES = 32
MAX_NAME = 64
MAX_STRING = 20_000
MAX_LIST = 100
MAX_PROPERTIES_BYTES = 64 * 1024
"""Of all properties together as JSON: the other bounds alone would let an event have 5 MiB."""
MAX_ENTRY_BYTES = 288 * 1024
"""What no event and no document of an item or a user exceeds as JSON, by the bounds here."""
PROPERTIES_RULE = (
    f"At most {MAX_PROPERTIES} scalars or lists of one kind, "
    f"together at most {MAX_PROPERTIES_BYTES} bytes as JSON in UTF-8."
)
MIN_INTEGER, MAX_INTEGER = -(2**63), 2**63 - 1
WHITE_SPACE = r"\x09-\x0d\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
"""By its code points: `\\s` is another set in each dialect of regular expressions."""
URL_PATTERN = rf"^https?://[^{WHITE_SPACE}]+$"
_URL = re.compile(URL_PATTERN)
_LOOKS_LIKE_A_TIME = re.compile(r"\d{4}-\d{2}-\d{2}")


def _text(value: str) -> str:
    """UTF-8 without NUL."""
    if "\x00" in value:
        msg = "must not contain NUL"
        raise ValueError(msg)
    try:
        value.encode()
    except UnicodeEncodeError as error:
        msg = "must be valid UTF-8 (it contains a lone surrogate)"
        raise ValueError(msg) from error
    return value


def _address(value: str) -> str:
    """What a browser can fetch."""
    if not _URL.fullmatch(value):
        msg = "must begin with http:// or https:// and hold no white space"
        raise ValueError(msg)
    return value


def _not_numeric(value: object) -> object:
    """A time is a date with a clock: a bare number is ambiguous (seconds or milliseconds?)."""
    if isinstance(value, bool | int | float) or (
        isinstance(value, str) and not _LOOKS_LIKE_A_TIME.match(value)
    ):
        msg = "must be an RFC 3339 string such as 2026-01-31T12:00:00Z"
        raise ValueError(msg)
    return value


def _time(value: datetime) -> datetime:
    """RFC 3339 with an offset, from 1990 on, brought to UTC."""
    if value.tzinfo is None:
        msg = "must carry an offset, such as Z or +01:00"
        raise ValueError(msg)
    if value < EARLIEST:
        msg = "must not be before 1990"
        raise ValueError(msg)
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        msg = "must not be after the year 9999"
        raise ValueError(msg) from error


def _past(value: datetime) -> datetime:
    """At most five minutes ahead of this machine's clock."""
    if value > datetime.now(UTC) + MAX_AHEAD:
        msg = "must not be more than five minutes ahead"
        raise ValueError(msg)
    return value


def _scalar(key: str, value: object) -> None:
    """One property value or list element."""
    if isinstance(value, str):
        if len(value) > MAX_STRING:
            msg = f"{key}: must have at most {MAX_STRING} characters"
            raise ValueError(msg)
        _text(value)
    elif isinstance(value, bool):
        return
    elif isinstance(value, int):
        if not MIN_INTEGER <= value <= MAX_INTEGER:
            msg = f"{key}: must fit in 64 bits"
            raise ValueError(msg)
    elif isinstance(value, float):
        if not math.isfinite(value):
            msg = f"{key}: must be finite"
            raise ValueError(msg)
    else:
        msg = f"{key}: must be a string, a number, a boolean, or a list of one of these"
        raise ValueError(msg)  # noqa: TRY004 pydantic turns only ValueError into a fault


def _properties(value: object) -> object:
    """Flat: at most 32 scalars or lists of one kind, bounded together in bytes as well."""
    if not isinstance(value, dict):
        return value
    if len(value) > MAX_PROPERTIES:
        msg = f"must have at most {MAX_PROPERTIES} entries"
        raise ValueError(msg)
    for key, entry in value.items():
        if not isinstance(key, str) or not 1 <= len(key) <= MAX_NAME:
            msg = f"names must have 1 to {MAX_NAME} characters"
            raise ValueError(msg)
        _text(key)
        if isinstance(entry, list):
            if len(entry) > MAX_LIST or len({type(element) for element in entry}) > 1:
                msg = f"{key}: a list must have at most {MAX_LIST} elements of one kind"
                raise ValueError(msg)
            for element in entry:
                _scalar(key, element)
        else:
            _scalar(key, entry)
    if len(orjson.dumps(value)) > MAX_PROPERTIES_BYTES:
        msg = f"must have at most {MAX_PROPERTIES_BYTES} bytes as JSON"
        raise ValueError(msg)
    return value


def _no_bool(value: object) -> object:
    """A boolean is not a number, although Python says so."""
    if isinstance(value, bool):
        msg = "must be a number"
        raise ValueError(msg)  # noqa: TRY004 pydantic turns only ValueError into a fault
    return value


NodeId = Annotated[
    str, StringConstraints(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9_.:@-]+$")
]
"""Id of a user or an item."""
EventId = Annotated[
    str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.:-]+$")
]
Title = Annotated[str, Field(max_length=1000), AfterValidator(_text)]
Description = Annotated[str, Field(max_length=20_000), AfterValidator(_text)]
CategoryName = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_text)]
CategoryPath = Annotated[list[CategoryName], Field(min_length=1, max_length=8)]
Categories = Annotated[list[CategoryPath], Field(max_length=8)]
ShortText = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_text)]
Url = Annotated[
    str,
    Field(max_length=2048, json_schema_extra={"pattern": URL_PATTERN}),
    AfterValidator(_address),
    AfterValidator(_text),
]
Number = Annotated[
    float,
    Field(ge=-(2.0**63), le=2.0**63, allow_inf_nan=False),
    BeforeValidator(_no_bool),
]
Price = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False), BeforeValidator(_no_bool)]
Time = Annotated[datetime, BeforeValidator(_not_numeric), AfterValidator(_time)]
PastTime = Annotated[
    datetime, BeforeValidator(_not_numeric), AfterValidator(_time), AfterValidator(_past)
]
Properties = Annotated[
    dict[str, PropertyValue],
    BeforeValidator(_properties),
    Field(
        json_schema_extra={
            "maxProperties": MAX_PROPERTIES,
            "propertyNames": {"minLength": 1, "maxLength": MAX_NAME},
        }
    ),
]


def category_id(path: Sequence[str]) -> str:
    """The id of a category: a hash of its path, so that categories cannot form a cycle.

    >>> category_id(["Home"]) == category_id(["Home", "Kitchen"])
    False
    """
    return hashlib.blake2b("\x1f".join(path).encode(), digest_size=8).hexdigest()


def faults_of(error: ValidationError, prefix: str = "") -> list[Fault]:
    """Every fault of a pydantic error, with field, reason and JSON pointer.

    Args:
        error: What pydantic raised.
        prefix: JSON pointer of the validated value in the body.
    """
    faults = []
    for fault in error.errors(include_url=False, include_context=False, include_input=False):
        path = [str(part) for part in fault["loc"]]
        pointer = "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in path)
        reason = fault["msg"].removeprefix("Value error, ")
        faults.append(Fault(".".join(path) or "body", reason, prefix + pointer))
    return faults
