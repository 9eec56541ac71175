"""RetailRocket: a web shop's views, carts and buys (`events.csv`); what is asked for is a buy.

Items have no text. A view or a cart never rules an item out of the ranking.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from .events import EVENT_WEIGHTS, read_frame, tabular_data_set

if TYPE_CHECKING:
    from pathlib import Path

    from models.evaluation.data_set import DataSet

EVENTS = "events.csv"
KINDS = {"view": "view", "cart": "add_to_cart", "buy": "purchase"}


def read_retailrocket(folder: Path) -> DataSet:
    """The data set in a folder.

    Raises:
        InvalidInputError: The file is missing or lacks columns.
    """
    rows = read_frame(folder / EVENTS, ("user", "item", "event", "timestamp")).select(
        "user",
        "item",
        time=pl.col("timestamp").cast(pl.Float64),
        event_type=pl.col("event").replace(KINDS),
    )
    return tabular_data_set(
        folder.name,
        rows,
        {},
        {kind: EVENT_WEIGHTS[kind] for kind in KINDS.values()},
        repeats=True,
        target_types=("purchase",),
        protocols=("temporal_next", "temporal", "prequential"),
    )
