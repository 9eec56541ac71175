"""`load`: users, items and events from CSV, JSON Lines and Parquet files."""

import hashlib
from contextlib import closing
from dataclasses import asdict
from enum import StrEnum
from itertools import chain, islice
from pathlib import Path
from typing import Annotated, Any

import typer

from .options import DataDir, Json
from .output import FAULT, as_json, data, note
from .progress import ProgressBars

NAMED_BAD_ROWS = 20


class Rows(StrEnum):
    """What a file holds."""

    ITEMS = "items"
    USERS = "users"
    EVENTS = "events"


def load(
    kind: Annotated[Rows, typer.Argument(help="What the file holds.", show_default=False)],
    file: Annotated[
        Path,
        typer.Argument(
            exists=True, dir_okay=False, help=".csv (with a heading), .jsonl, .ndjson or .parquet"
        ),
    ],
    mapping: Annotated[
        list[str] | None,
        typer.Option("--mapping", "-m", metavar="FIELD=COLUMN", help="Take a field from a column."),
    ] = None,
    constants: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="Give every row the same value."),
    ] = None,
    assume_utc: Annotated[
        bool, typer.Option("--assume-utc", help="Times without an offset are UTC.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check every row and write nothing.")
    ] = False,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Load a file: good rows are kept, bad ones named with their line and reason.

    Loading goes on where it stopped when the same file is loaded again. Ends with 1 when there
    were bad rows. Columns with the name of a field are taken by themselves.

    Example: interest-graph load events sales.csv -m user_id=customer -m item_id=sku
    -m occurred_at=sold_at --set event_type=purchase --assume-utc
    """
    from interest_graph.services import build_services

    from .loading.loader import LoadOptions
    from .loading.loader import load as load_rows
    from .loading.mapping import parse_mapping
    from .loading.progress_file import ProgressFile
    from .loading.sink import sink_of
    from .loading.source import digest_of
    from .local_stack.paths import stack_paths
    from .settings import read_settings

    paths = stack_paths(data_dir)
    with closing(build_services(read_settings(paths))) as services:
        sink = sink_of(kind.value, services)
        fields = parse_mapping(mapping or (), constants or (), sink.fields, assume_utc=assume_utc)
        digest = digest_of(file)
        way = hashlib.blake2b(repr((kind.value, fields)).encode(), digest_size=4).hexdigest()
        progress_file = ProgressFile(paths.data_dir / "loads", f"{digest}-{way}")
        options = LoadOptions(
            what=f"{'Checking' if dry_run else 'Loading'} {file.name}",
            mapping=fields,
            event_id_prefix=f"load-{digest}" if kind is Rows.EVENTS else "",
            total=_count(file),
            dry_run=dry_run,
        )
        bad = _BadRows()
        with ProgressBars(quiet=json) as report:
            rows = _checked(file, fields)
            progress = load_rows(rows, sink, options, progress_file, report, name_bad=bad)
    _summarise(asdict(progress), bad, progress_file.rejected_path, dry_run=dry_run, json=json)
    if progress.bad:
        raise typer.Exit(FAULT)


class _BadRows:
    """Names the first bad rows and counts the rest."""

    def __init__(self) -> None:
        self.named: list[dict[str, Any]] = []

    def __call__(self, line: int, reason: str) -> None:
        if len(self.named) < NAMED_BAD_ROWS:
            self.named.append({"line": line, "reason": reason})


def _checked(file: Path, fields: Any) -> Any:
    """The rows of the file, after a look at whether it has the columns that are asked for."""
    from interest_graph.errors import InvalidInputError

    from .loading.mapping import missing_columns
    from .loading.source import read_rows

    rows = read_rows(file)
    first = list(islice(rows, 1))
    if first and first[0].values is not None and file.suffix.lower() in {".csv", ".parquet"}:
        faults = missing_columns(fields, first[0].values)
        if faults:
            raise InvalidInputError(faults)
    return chain(first, rows)


def _count(file: Path) -> int:
    """About how many rows a text file has, for the bar; 0 where that is not known."""
    if file.suffix.lower() == ".parquet":
        return 0
    with file.open("rb") as lines:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: lines.read(1 << 20), b""))


def _summarise(
    progress: dict[str, int], bad: _BadRows, rejected: Path, *, dry_run: bool, json: bool
) -> None:
    """Say what became of the file."""
    if json:
        as_json({**progress, "dry_run": dry_run, "rejected": bad.named})
        return
    for row in bad.named:
        note(f"✗ line {row['line']}: {row['reason']}")
    if progress["bad"] > len(bad.named):
        where = "" if dry_run else f"; all of them are in {rejected}"
        note(f"  … {progress['bad']} bad rows altogether{where}")
    done = "good" if dry_run else "new"
    data(
        f"{progress['rows']} rows: {progress['new']} {done}, "
        f"{progress['duplicates']} loaded before, {progress['bad']} bad"
    )
