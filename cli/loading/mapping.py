"""From a file's columns to the fields of a user, an item or an event."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Any

import orjson

from interest_graph.errors import Fault, InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

PROPERTIES = "properties"
STRUCTURED = ("categories", PROPERTIES)
TIMES = ("occurred_at", "available_from", "available_until")
NUMBERS = ("price", "value")
FLAGS = ("hidden",)
TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True, slots=True)
class FieldMapping:
    """Which column, or which constant, each field is taken from.

    Args:
        columns: Field to column; fields that are not named take the column of their own name.
        constants: Field to a value that every row has.
        assume_utc: Times without an offset are UTC.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    assume_utc: bool = False

    def apply(self, row: Mapping[str, Any], fields: Collection[str]) -> dict[str, Any]:
        """The fields of one row; empty ones are left out.

        Args:
            row: Column to value.
            fields: The fields that this kind of input has.
        """
        columns = {name: name for name in fields if name in row} | dict(self.columns)
        found = {name: row.get(column) for name, column in columns.items()}
        values: dict[str, Any] = {}
        for name, value in {**found, **self.constants}.items():
            if value is None or value == "":
                continue
            first, _, rest = name.partition(".")
            if rest:
                values.setdefault(first, {})[rest] = _plain(value)
            else:
                values[name] = self._value(name, value)
        return values

    def _value(self, name: str, value: Any) -> Any:
        """A value as JSON would carry it."""
        if name in STRUCTURED and isinstance(value, str):
            return _structured(name, value)
        if name in TIMES:
            return _time(value, assume_utc=self.assume_utc)
        if name.endswith("_id") and isinstance(value, int):
            return str(value)
        if isinstance(value, str):
            return _from_text(name, value)
        plain = _plain(value)
        # A column of flags in which some are missing has numbers.
        return bool(plain) if name in FLAGS and plain in (0, 1) else plain


def parse_mapping(
    mapping: Sequence[str],
    constants: Sequence[str],
    fields: Collection[str],
    *,
    assume_utc: bool = False,
) -> FieldMapping:
    """Read `field=column` and `field=value` as given on the command line.

    Raises:
        InvalidInputError: Names everything that is not `field=…`, and every unknown field.
    """
    faults: list[Fault] = []
    columns = _pairs("--mapping", mapping, fields, faults)
    values = _pairs("--set", constants, fields, faults)
    if faults:
        raise InvalidInputError(faults)
    return FieldMapping(columns, values, assume_utc)


def missing_columns(mapping: FieldMapping, columns: Collection[str]) -> list[Fault]:
    """The columns that the mapping names and the file does not have."""
    return [
        Fault("--mapping", f"the file has no column {column!r}; it has: {', '.join(columns)}")
        for column in mapping.columns.values()
        if column not in columns
    ]


def _pairs(
    option: str, given: Sequence[str], fields: Collection[str], faults: list[Fault]
) -> dict[str, str]:
    """`name=value` pairs of one option."""
    pairs: dict[str, str] = {}
    for pair in given:
        name, equals, value = pair.partition("=")
        if not equals or not value:
            faults.append(Fault(option, f"{pair!r} is not FIELD=…"))
        elif name.partition(".")[0] not in fields:
            faults.append(
                Fault(option, f"there is no field {name!r}; there are: {', '.join(fields)}")
            )
        else:
            pairs[name] = value
    return pairs


def _structured(name: str, text: str) -> Any:
    """JSON, or for categories `Home > Kitchen | Garden` (paths split by `|`).

    >>> _structured("categories", "Home > Kitchen | Garden")
    [['Home', 'Kitchen'], ['Garden']]
    """
    if text[0] in "[{":
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            return text
    if name == PROPERTIES:
        return text
    return [[level.strip() for level in path.split(">")] for path in text.split("|")]


def _from_text(name: str, text: str) -> Any:
    """A number or a flag from a file that has only text; what is neither stays as it is.

    >>> _from_text("price", "1.50"), _from_text("hidden", "yes"), _from_text("price", "dear")
    (1.5, True, 'dear')
    """
    if name in NUMBERS:
        try:
            return float(text)
        except ValueError:
            return text
    return TRUTH.get(text.strip().lower(), text) if name in FLAGS else text


def _time(value: Any, *, assume_utc: bool) -> Any:
    """RFC 3339; with `assume_utc`, a time without an offset gets one."""
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time.min)
    if assume_utc and isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return value
    if isinstance(value, datetime):
        if assume_utc and value.tzinfo is None:
            value = value.replace(tzinfo=UTC)
        return value.isoformat()
    return value


def _plain(value: Any) -> Any:
    """A value without types that JSON does not have."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    return value
