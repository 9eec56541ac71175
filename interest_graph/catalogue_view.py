"""Which items may be returned: the catalogue in memory, aligned with the item matrix's rows."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .errors import Fault, InvalidInputError
from .field_types import category_id
from .item import category_levels
from .redis_client import item_hash

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .item_matrix import ItemMatrix

Rows = npt.NDArray[np.bool_]


class Barrier(NamedTuple):
    """Which rows may be returned within a stretch of time.

    Args:
        values: (n,) float32, 0 for rows that may be returned and -inf for the others.
        since: Seconds since 1970 from which this holds.
        until: Seconds since 1970 before which this holds.
    """

    values: npt.NDArray[np.float32]
    since: float
    until: float


NO_BARRIER = Barrier(np.zeros(0, np.float32), np.inf, -np.inf)


class Entry(NamedTuple):
    """What a list needs of an item's document.

    Args:
        title: What it is called.
        hidden: Whether it is never shown.
        since: Seconds since 1970 from which it is available.
        until: Seconds since 1970 before which it is available.
        categories: Ids of every category it is in, from the top of each path.
    """

    title: str | None
    hidden: bool
    since: float
    until: float
    categories: tuple[str, ...]


class CatalogueView:
    """Eligibility, titles and categories of the items, by row of one item matrix.

    Rows without a document are stubs and never eligible.
    """

    def __init__(self) -> None:
        self.revision = 0
        self._entries: dict[str, Entry] = {}
        self._left: dict[str, tuple[str, ...]] = {}
        self._levels: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._matrix: ItemMatrix | None = None
        self._visible = np.zeros(0, dtype=np.bool_)
        self._from = np.zeros(0)
        self._until = np.zeros(0)
        self._hashes = np.zeros(0, dtype=np.int64)
        self._members: dict[str, set[int]] = {}
        self._names: dict[str, str] = {}
        self._by_hash = np.zeros(0, dtype=np.int64)
        self._barrier = NO_BARRIER

    def update(self, changes: Mapping[str, dict[str, Any] | None]) -> None:
        """Take over changed documents; `align` brings them into the rows.

        Whoever has taken over all of a revision sets `revision`.
        """
        for item_id, document in changes.items():
            if known := self._entries.pop(item_id, None):
                self._left[item_id] = self._left.get(item_id, ()) + known.categories
            if document is not None:
                self._entries[item_id] = self._entry(document)

    def align(self, matrix: ItemMatrix, changed: Sequence[str] = ()) -> None:
        """Follow the matrix: all rows of another matrix, new rows, and changed documents."""
        if matrix is not self._matrix:
            self._matrix = matrix
            self._members = {}
            self._left = {}
            self._barrier = NO_BARRIER
            self._resize(0)
        start = len(self._visible)
        if start < len(matrix.item_ids) or changed:
            self._barrier = NO_BARRIER
        if start < len(matrix.item_ids):
            self._resize(len(matrix.item_ids))
            for row in range(start, len(matrix.item_ids)):
                self._left.pop(matrix.item_ids[row], None)  # it was in no row
                self._hashes[row] = item_hash(matrix.item_ids[row])
                self._set(row, matrix.item_ids[row])
            self._by_hash = np.argsort(self._hashes)
        for item_id in changed:
            row = matrix.row_of.get(item_id, start)
            if row < start:
                for category in self._left.pop(item_id, ()):
                    self._members.get(category, set()).discard(row)
                self._set(row, item_id)

    def eligible(self, now: float) -> Rows:
        """Rows that may be returned at a time (seconds since 1970)."""
        return self._visible & (self._from <= now) & (now < self._until)

    def barrier(self, now: float) -> npt.NDArray[np.float32]:
        """(n,) float32, 0 for rows that may be returned at a time and -inf for the others.

        Computed anew when the catalogue has changed, or when an item's time begins or ends.
        """
        if not self._barrier.since <= now < self._barrier.until:
            values = np.where(self.eligible(now), np.float32(0), np.float32(-np.inf))
            times = np.concatenate([self._from, self._until])
            since = times.max(initial=-np.inf, where=times <= now)
            until = times.min(initial=np.inf, where=times > now)
            self._barrier = Barrier(values, float(since), float(until))
        return self._barrier.values

    def eligible_entry(self, item_id: str, now: float) -> Entry | None:
        """An item's document if it may be returned, by itself: what `eligible` must agree with."""
        entry = self._entries.get(item_id)
        if entry is None or entry.hidden or not entry.since <= now < entry.until:
            return None
        return entry

    def in_category(self, category: str) -> Rows:
        """Rows in a category or below it.

        Args:
            category: A category_id, or a path such as `Grocery > Yogurt`.

        Raises:
            InvalidInputError: There is no such category.
        """
        identifier = category
        if category not in self._names:
            identifier = category_id([name.strip() for name in category.split(">")])
        if identifier not in self._names:
            raise InvalidInputError([Fault("category", "there is no such category", "/category")])
        return self.in_categories([identifier])

    def in_categories(self, identifiers: Sequence[str]) -> Rows:
        """Rows in any of these categories."""
        rows = np.zeros(len(self._visible), dtype=np.bool_)
        for identifier in identifiers:
            members = self._members.get(identifier)
            if members:
                rows[list(members)] = True
        return rows

    def seen(
        self, members: npt.NDArray[np.int64], event_types: Sequence[int]
    ) -> npt.NDArray[np.int64]:
        """Row numbers that a user's seen set names with one of these event types."""
        asked = np.zeros(16, dtype=np.bool_)
        asked[list(event_types)] = True
        chosen = members[asked[members & 15]] >> 4
        if not len(chosen) or not len(self._hashes):
            return np.zeros(0, dtype=np.int64)
        places = np.searchsorted(self._hashes, chosen, sorter=self._by_hash)
        rows = self._by_hash[np.minimum(places, len(self._by_hash) - 1)]
        return np.asarray(rows[self._hashes[rows] == chosen])

    def title(self, item_id: str) -> str | None:
        """What an item is called; None for a stub."""
        entry = self._entries.get(item_id)
        return entry.title if entry else None

    def category_name(self, identifier: str) -> str:
        """Path of a category as text."""
        return self._names.get(identifier, identifier)

    def likes(self, declared: Sequence[str], item_id: str) -> bool:
        """Whether an item is in one of the declared categories or below it."""
        entry = self._entries.get(item_id)
        return entry is not None and any(one in declared for one in entry.categories)

    def _entry(self, document: Mapping[str, Any]) -> Entry:
        """What is kept of a document."""
        paths = [tuple(path) for path in document.get("categories") or []]
        categories = [category for path in paths for category in self._categories(path)]
        return Entry(
            document.get("title"),
            bool(document.get("hidden")),
            _seconds(document.get("available_from"), -np.inf),
            _seconds(document.get("available_until"), np.inf),
            tuple(dict.fromkeys(categories)),
        )

    def _categories(self, path: tuple[str, ...]) -> tuple[str, ...]:
        """Ids of the categories on a path, from the top; hashed once a path."""
        if path not in self._levels:
            levels = [*category_levels(list(path))]
            self._levels[path] = tuple(str(level["category_id"]) for level in levels)
            for level in levels:
                self._names.setdefault(str(level["category_id"]), str(level["path"]))
        return self._levels[path]

    def _resize(self, count: int) -> None:
        """Grow the arrays; new rows are stubs."""
        missing = count - len(self._visible)
        if missing <= 0:
            count, missing = 0, 0
            self._visible, self._from = np.zeros(0, dtype=np.bool_), np.zeros(0)
            self._until, self._hashes = np.zeros(0), np.zeros(0, dtype=np.int64)
            return
        self._visible = np.append(self._visible, np.zeros(missing, dtype=np.bool_))
        self._from = np.append(self._from, np.full(missing, -np.inf))
        self._until = np.append(self._until, np.full(missing, np.inf))
        self._hashes = np.append(self._hashes, np.zeros(missing, dtype=np.int64))

    def _set(self, row: int, item_id: str) -> None:
        """Write what an item's document says into its row."""
        entry = self._entries.get(item_id)
        self._visible[row] = entry is not None and not entry.hidden
        if entry is None:
            return
        self._from[row], self._until[row] = entry.since, entry.until
        for category in entry.categories:
            self._members.setdefault(category, set()).add(row)


def _seconds(time: str | None, otherwise: float) -> float:
    """A time in seconds since 1970."""
    return datetime.fromisoformat(time).timestamp() if time else otherwise
