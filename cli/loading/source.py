"""Reads rows from CSV, JSON Lines and Parquet, each with the place it came from."""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from interest_graph.errors import Fault, InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

PARQUET_BATCH = 10_000
LONGEST_FIELD = 1_000_000


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a file.

    Args:
        line: Line on which it ends (CSV, JSON Lines) or number of the row (Parquet), from 1.
        values: Column to value; None when the row cannot be read.
        fault: Why it cannot be read.
    """

    line: int
    values: Mapping[str, Any] | None
    fault: str = ""


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of a file, by its ending; a row that cannot be read does not stop the others.

    Raises:
        InvalidInputError: The ending is none of `.csv`, `.jsonl`, `.ndjson`, `.parquet`.
    """
    return _reader(path)(path)


def _reader(path: Path) -> Callable[[Path], Iterator[Row]]:
    readers = {
        ".csv": _read_csv,
        ".jsonl": _read_json_lines,
        ".ndjson": _read_json_lines,
        ".parquet": _read_parquet,
    }
    if path.suffix.lower() not in readers:
        reason = f"must end in one of: {', '.join(readers)}"
        raise InvalidInputError([Fault("FILE", reason)])
    return readers[path.suffix.lower()]


def digest_of(path: Path) -> str:
    """Digest of a file's content: names its progress and the ids of events without one."""
    digest = hashlib.blake2b(digest_size=8)
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _read_csv(path: Path) -> Iterator[Row]:
    """CSV with a heading; line numbers stay right where a field spans lines."""
    csv.field_size_limit(LONGEST_FIELD)
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        reader = csv.reader(file, strict=True)
        headings = next(reader, [])
        while True:
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield Row(reader.line_num, None, str(error))
                continue
            if len(fields) == len(headings):
                yield Row(reader.line_num, dict(zip(headings, fields, strict=True)))
            elif fields:
                reason = f"has {len(fields)} fields; the heading has {len(headings)}"
                yield Row(reader.line_num, None, reason)


def _read_json_lines(path: Path) -> Iterator[Row]:
    """One JSON object a line; empty lines are skipped."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                values = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                yield Row(number, None, f"is not JSON: {error}")
                continue
            if isinstance(values, dict):
                yield Row(number, values)
            else:
                yield Row(number, None, "must be a JSON object")


def _read_parquet(path: Path) -> Iterator[Row]:
    """Parquet through polars, in batches."""
    import polars as pl

    frame = pl.scan_parquet(path)
    number = 0
    while True:
        batch = frame.slice(number, PARQUET_BATCH).collect()
        for values in batch.iter_rows(named=True):
            number += 1
            yield Row(number, values)
        if batch.height < PARQUET_BATCH:
            return
