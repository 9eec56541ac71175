"""UCI Online Retail: a gift shop's purchases and cancellations, with descriptions of the items.

The key of an item is its description. Lines that are services, such as postage, are left out. A
cancellation is an event of its own type with a low weight, never what is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from .build import ItemFacts
from .errors import refuse
from .events import read_frame, tabular_data_set

if TYPE_CHECKING:
    from pathlib import Path

    from models.evaluation.data_set import DataSet

EVENTS, ITEMS = "events.parquet", "items.csv"
WEIGHTS = {"purchase": 1.0, "cancel": 0.1}


def read_online_retail(folder: Path) -> DataSet:
    """The data set in a folder.

    Raises:
        InvalidInputError: A file is missing or lacks columns.
    """
    if not (folder / ITEMS).is_file():
        refuse(f"{folder / ITEMS} is missing")
    items = read_frame(folder / ITEMS, ("item", "description", "is_service_line"))
    items = items.filter(~pl.col("is_service_line")).with_columns(pl.col("item").cast(pl.String))
    facts = {
        row["item"]: ItemFacts(row["item"], row["description"] or "")
        for row in items.iter_rows(named=True)
    }
    rows = read_frame(folder / EVENTS, ("customer", "item", "timestamp", "event"))
    rows = rows.filter(pl.col("customer").is_not_null()).select(
        user="customer",
        item=pl.col("item").cast(pl.String),
        time=pl.col("timestamp").dt.epoch("ms") / 1000,
        event_type="event",
    )
    rows = rows.filter(pl.col("item").is_in(list(facts)))
    return tabular_data_set(
        folder.name, rows, facts, WEIGHTS, repeats=True, target_types=("purchase",)
    )
