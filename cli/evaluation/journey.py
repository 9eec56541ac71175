"""The Complete Journey, bundled as a package: the demo's slice of a year of groceries, or all."""

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
ALL = "complete-journey-all"
NOW = datetime(2018, 1, 1, tzinfo=UTC)  # the day after the data end: times as they were


def read_journey(*, everything: bool = False) -> DataSet:
    """The same items and purchases as in the demo; or all households, items and purchases."""
    journey = read_complete_journey(everything=everything, now=NOW)
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
    name = ALL if everything else NAME
    return tabular_data_set(name, rows, facts, {"purchase": 1.0}, repeats=True)
