"""Loads rows in batches: good rows kept, bad ones named, back pressure respected."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from interest_graph.errors import InvalidInputError, StreamFullError, StreamUnavailableError

from .progress_file import Progress
from .sink import Written

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ..local_stack.report import Report
    from .mapping import FieldMapping
    from .progress_file import ProgressFile
    from .sink import Sink
    from .source import Row

BATCH = 1000
TRIES = 6
FIRST_WAIT_S = 0.5


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """How a file is loaded.

    Args:
        what: The name of the progress bar.
        mapping: Columns to fields.
        event_id_prefix: Begins the ids of events without one, so that a second load of the same
            file changes nothing; empty for other kinds.
        total: Rows of the file, 0 when unknown.
        dry_run: Validate only.
    """

    what: str
    mapping: FieldMapping
    event_id_prefix: str = ""
    total: int = 0
    dry_run: bool = False


def load(
    rows: Iterable[Row],
    sink: Sink[Any],
    options: LoadOptions,
    progress_file: ProgressFile,
    report: Report,
    *,
    name_bad: Callable[[int, str], None],
) -> Progress:
    """Load every row that has not been dealt with before.

    Args:
        rows: All rows of the file, from its beginning.
        sink: Takes them.
        options: How.
        progress_file: What was dealt with before, and is from now on.
        report: Hears how far it is.
        name_bad: Hears line number and reason of every bad row.

    Raises:
        StreamUnavailableError: Redis did not answer for half a minute; loading again goes on.
    """
    progress = Progress() if options.dry_run else progress_file.read()
    remaining = islice(iter(rows), progress.rows, None)
    while batch := list(islice(remaining, BATCH)):
        good, bad = _parse(batch, sink, options)
        written = _write(sink, [parsed for _, parsed in good], options, report)
        bad += [(good[index][0], reason) for index, reason in written.rejected]
        progress = Progress(
            rows=progress.rows + len(batch),
            new=progress.new + written.new,
            duplicates=progress.duplicates + written.duplicates,
            bad=progress.bad + len(bad),
        )
        for line, reason in sorted(bad):
            name_bad(line, reason)
        if not options.dry_run:
            progress_file.reject(sorted(bad))
            progress_file.write(progress)
        report(options.what, progress.rows, max(options.total, progress.rows + 1))
    report(options.what, max(progress.rows, 1), max(progress.rows, 1))
    return progress


def _parse(
    batch: list[Row], sink: Sink[Any], options: LoadOptions
) -> tuple[list[tuple[int, Any]], list[tuple[int, str]]]:
    """The good rows, validated, and the bad ones with their reasons; both with line numbers."""
    good: list[tuple[int, Any]] = []
    bad: list[tuple[int, str]] = []
    for row in batch:
        if row.values is None:
            bad.append((row.line, row.fault))
            continue
        body = options.mapping.apply(row.values, sink.fields)
        if options.event_id_prefix:
            body.setdefault("event_id", f"{options.event_id_prefix}-{row.line}")
        try:
            good.append((row.line, sink.parse(body)))
        except InvalidInputError as error:
            bad.append((row.line, str(error)))
    return good, bad


def _write(sink: Sink[Any], batch: list[Any], options: LoadOptions, report: Report) -> Written:
    """Write a batch, waiting while the log is full and trying again when Redis is away."""
    if not batch or options.dry_run:
        return Written(len(batch))
    failures = 0
    while True:
        try:
            return sink.write(batch)
        except StreamFullError as error:
            report("Waiting for the graph to catch up")
            time.sleep(error.retry_after_s)
        except StreamUnavailableError:
            if failures == TRIES:
                raise
            time.sleep(FIRST_WAIT_S * 2**failures)
            failures += 1
