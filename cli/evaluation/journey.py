"""The Complete Journey: the demo's slice of a year of grocery purchases, bundled as a package."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import polars as pl

from interest_graph.item import item_text

from ..complete_journey import read_complete_journey
from .build import ItemFacts
from .events import tabular_data_set

if TYPE_CHECKING:
    from models.evaluation.data_set import DataSet

NAME = "complete-journey"
NOW = datetime(2018, 1, 1, tzinfo=UTC)  # the day after the data end: times as they were


def read_journey() -> DataSet:
    """The same items and purchases as in the demo."""
    journey = read_complete_journey(now=NOW)
    facts = {
        body["item_id"]: ItemFacts(
            body["item_id"],
            item_text(body.get("title"), None),
            tuple(tuple(path) for path in body["categories"]),
            body.get("brand"),
        )
        for body in journey.item_bodies()
    }
    rows = journey.purchases.select(
        user="user_id",
        item="item_id",
        time=pl.col("occurred_at").dt.epoch("ms") / 1000,
        event_type=pl.lit("purchase"),
    )
    return tabular_data_set(NAME, rows, facts, {"purchase": 1.0}, repeats=True)
