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


class CatalogueView:
    """Eligibility, titles and categories of the items, by row of one item matrix.

    Rows without a document are stubs and never eligible.
    """

    def __init__(self) -> None:
        self.revision = 0
        self.documents: dict[str, dict[str, Any]] = {}
        self._matrix: ItemMatrix | None = None
        self._visible = np.zeros(0, dtype=np.bool_)
        self._from = np.zeros(0)
        self._until = np.zeros(0)
        self._hashes = np.zeros(0, dtype=np.int64)
        self._members: dict[str, set[int]] = {}
        self._names: dict[str, str] = {}
        self._by_hash = np.zeros(0, dtype=np.int64)
        self._barrier = NO_BARRIER

    def update(self, revision: int, changes: Mapping[str, dict[str, Any] | None]) -> None:
        """Take over changed documents; `align` brings them into the rows."""
        for item_id, document in changes.items():
            if document is None:
                self.documents.pop(item_id, None)
                continue
            self.documents[item_id] = document
            for level in _levels(document):
                self._names.setdefault(str(level["category_id"]), str(level["path"]))
        self.revision = revision

    def align(self, matrix: ItemMatrix, changed: Sequence[str] = ()) -> None:
        """Follow the matrix: all rows of another matrix, new rows, and changed documents."""
        if matrix is not self._matrix:
            self._matrix = matrix
            self._members = {}
            self._barrier = NO_BARRIER
            self._resize(0)
        start = len(self._visible)
        if start < len(matrix.item_ids) or changed:
            self._barrier = NO_BARRIER
        if start < len(matrix.item_ids):
            self._resize(len(matrix.item_ids))
            for row in range(start, len(matrix.item_ids)):
                self._hashes[row] = item_hash(matrix.item_ids[row])
                self._set(row, matrix.item_ids[row])
            self._by_hash = np.argsort(self._hashes)
        for item_id in changed:
            row = matrix.row_of.get(item_id, start)
            if row < start:
                self._forget(row)
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

    def is_eligible(self, item_id: str, now: float) -> bool:
        """The same of one item, from its document: what `eligible` must agree with."""
        document = self.documents.get(item_id)
        return (
            document is not None
            and not document.get("hidden")
            and _seconds(document.get("available_from"), -np.inf) <= now
            and now < _seconds(document.get("available_until"), np.inf)
        )

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
        document = self.documents.get(item_id)
        return document.get("title") if document else None

    def category_name(self, identifier: str) -> str:
        """Path of a category as text."""
        return self._names.get(identifier, identifier)

    def likes(self, declared: Sequence[str], item_id: str) -> bool:
        """Whether an item is in one of the declared categories or below it."""
        levels = _levels(self.documents.get(item_id, {}))
        return any(level["category_id"] in declared for level in levels)

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

    def _forget(self, row: int) -> None:
        """Take a row out of every category."""
        for members in self._members.values():
            members.discard(row)

    def _set(self, row: int, item_id: str) -> None:
        """Write what an item's document says into its row."""
        document = self.documents.get(item_id)
        self._visible[row] = document is not None and not document.get("hidden")
        if document is None:
            return
        self._from[row] = _seconds(document.get("available_from"), -np.inf)
        self._until[row] = _seconds(document.get("available_until"), np.inf)
        for level in _levels(document):
            self._members.setdefault(str(level["category_id"]), set()).add(row)


def _levels(document: Mapping[str, Any]) -> list[dict[str, str | None]]:
    """Every category a document is in, from the top of each path."""
    return [level for path in document.get("categories") or [] for level in category_levels(path)]


def _seconds(time: str | None, otherwise: float) -> float:
    """A time in seconds since 1970."""
    return datetime.fromisoformat(time).timestamp() if time else otherwise
