"""A folder with `events.parquet` or `events.csv`: users, items and times, perhaps event types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from interest_graph.settings import DEFAULT_EVENT_TYPES
from models.evaluation.data_set import DataSet

from .build import EventColumns, ItemFacts, build_graph, has_repeats
from .errors import refuse
from .items_file import read_items
from .sequences import ITEMS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

FILES = ("events.parquet", "events.csv")
COLUMNS = {
    "user": ("user_id", "user"),
    "item": ("item_id", "item"),
    "time": ("occurred_at", "time", "timestamp"),
    "event_type": ("event_type", "event"),
}
EVENT_WEIGHTS = {name: declared.weight for name, declared in DEFAULT_EVENT_TYPES.items()}
PROTOCOLS = (
    "temporal",
    "temporal_next",
    "leave_one_out",
    "cold_items",
    "cold_users",
    "prequential",
)
MILLISECONDS_FROM = 1e11  # as seconds the year 5138


def read_events(folder: Path) -> DataSet:
    """The data set in a folder; `items.jsonl` may be missing.

    Times are seconds or milliseconds since 1970, timestamps, or RFC 3339; equal ones keep the order
    of the file. Event types that the service knows have its weights, others the weight 1. Wanted
    are events that weigh at least half as much as the heaviest type.

    Raises:
        InvalidInputError: There are no events, or columns are missing.
    """
    path = next((folder / name for name in FILES if (folder / name).is_file()), None)
    if path is None:
        refuse(f"{folder} has neither {FILES[0]} nor {FILES[1]}")
    frame = read_frame(path, ())
    found = {
        name: next((column for column in columns if column in frame.columns), None)
        for name, columns in COLUMNS.items()
    }
    for name in ("user", "item", "time"):
        if found[name] is None:
            wanted = " or ".join(f"`{column}`" for column in COLUMNS[name])
            refuse(f"{path} has no column {wanted}; it has {', '.join(frame.columns)}")
    columns = {name: pl.col(column) for name, column in found.items() if column}
    columns.setdefault("event_type", pl.lit("interaction"))
    rows = frame.select(**columns).with_columns(time=_seconds(frame[str(found["time"])], path))
    kinds = sorted(rows["event_type"].cast(pl.String).unique().to_list())
    known = read_items(folder / ITEMS) if (folder / ITEMS).is_file() else {}
    weights = {kind: EVENT_WEIGHTS.get(kind, 1.0) for kind in kinds}
    return tabular_data_set(folder.name, rows, known, weights)


def read_frame(path: Path, columns: Sequence[str]) -> pl.DataFrame:
    """A file's rows.

    Raises:
        InvalidInputError: It is missing, cannot be read, or lacks one of the columns.
    """
    if not path.is_file():
        refuse(f"{path} is missing")
    try:
        frame = pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_csv(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        refuse(f"{path} cannot be read: {error}")
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        refuse(f"{path} lacks the columns {', '.join(missing)}")
    return frame


def tabular_data_set(
    name: str,
    rows: pl.DataFrame,
    items: Mapping[str, ItemFacts],
    event_types: dict[str, float],
    *,
    repeats: bool | None = None,
    target_types: tuple[str, ...] | None = None,
    protocols: tuple[str, ...] = PROTOCOLS,
) -> DataSet:
    """A data set from rows of events.

    Args:
        name: Its name.
        rows: Columns user, item, time (seconds), event_type.
        items: What is known of items, by id; items with events alone have no text.
        event_types: Weight by name, in code order.
        repeats: See `DataSet`; by default whether anybody has two events with an item.
        target_types: See `DataSet`.
        protocols: See `DataSet`.
    """
    rows = rows.with_columns(pl.col("user", "item", "event_type").cast(pl.String)).drop_nulls()
    users, user = _rows(rows["user"])
    unknown = [name for name in _rows(rows["item"])[0] if name not in items]
    facts = [*items.values(), *(ItemFacts(name) for name in unknown)]
    item_row = {item.item_id: row for row, item in enumerate(facts)}
    code = {kind: number for number, kind in enumerate(event_types)}
    events = EventColumns(
        user,
        np.array([item_row[name] for name in rows["item"].to_list()], np.int64),
        rows["time"].to_numpy().astype(np.float64),
        np.array([code[kind] for kind in rows["event_type"].to_list()], np.int64),
    )
    graph = build_graph(facts, users, events, event_types)
    again = has_repeats(graph) if repeats is None else repeats
    return DataSet(name, graph, protocols, again, target_types)


def _rows(names: pl.Series) -> tuple[list[str], Any]:
    """The distinct names in order, and the row of each name among them."""
    distinct = sorted(names.unique().to_list(), key=lambda name: (len(name), name))
    row = {name: place for place, name in enumerate(distinct)}
    return distinct, np.array([row[name] for name in names.to_list()], np.int64)


def _seconds(times: pl.Series, path: Path) -> pl.Series:
    """Times as seconds since 1970."""
    if times.dtype == pl.String:
        times = times.str.to_datetime(time_zone="UTC", strict=False)
        if times.null_count():
            refuse(f"{path}: column {times.name} holds what is no time")
    if times.dtype.is_temporal():
        return times.cast(pl.Datetime("ms")).dt.epoch("ms") / 1000
    if not times.dtype.is_numeric():
        refuse(f"{path}: column {times.name} holds what is no time")
    numbers = times.cast(pl.Float64)
    largest = numbers.max()
    return numbers / (1000 if isinstance(largest, float) and largest > MILLISECONDS_FROM else 1)
