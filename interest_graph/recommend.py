"""Recommendations: read the user, score every item, check each one, return the best."""

from __future__ import annotations

import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import structlog

from .catalogue_view import CatalogueView
from .errors import ModelNotReadyError, NotFoundError, TransientError
from .field_types import category_id
from .interest import Contributions, Interest, contributions_of_all, interest, scores
from .recommendation_id import AnswerContext, context_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .documents import Documents
    from .published_model import ModelShelf, PublishedModel
    from .serving_state import Manifest, RequestState, Rider, ServingState
    from .settings import Settings

logger = structlog.get_logger(__name__)

DECLARED_CATEGORY = 1.0
"""What a category the user declared adds to an item's score before there are events."""


@dataclass(frozen=True, slots=True)
class Because:
    """The one event that says most for an item."""

    event_id: str
    event_type: str
    item_id: str
    title: str | None


@dataclass(frozen=True, slots=True)
class RecommendedItem:
    """One item of a list.

    Args:
        item_id: The item.
        title: What it is called.
        score: The sum of its contributions; None where there is no score.
        chosen: personal, cold_start, popular or similar.
        because: The event that contributes most, for personal items.
    """

    item_id: str
    title: str | None
    score: float
    chosen: str
    because: Because | None = None


@dataclass(frozen=True, slots=True)
class WhyEmpty:
    """How many items each rule took away from an empty list."""

    candidates: int
    hidden: int
    already_seen: int
    excluded: int


@dataclass(frozen=True, slots=True)
class Recommendations:
    """An answer.

    Args:
        recommendation_id: Names the answer, for events and explanations.
        model_version: The one model that computed all of it.
        history_revision: The newest change of the user's history that it reflects.
        items: Best first.
        why_empty: Set when `items` is empty.
        degraded: What is missing, when something is.
        ineligible: Items that the last check took out again: anything but 0 is a fault of ours.
    """

    recommendation_id: str
    model_version: str
    history_revision: int
    items: list[RecommendedItem]
    why_empty: WhyEmpty | None = None
    degraded: tuple[str, ...] = ()
    ineligible: int = 0


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked for.

    Args:
        k: Length of the list.
        exclude_seen: Leave out what the user has seen (the settings say after which events).
        category: Only items in this category or below it: a category_id or `Home > Kitchen`.
        exclude: Items to leave out.
    """

    k: int = 10
    exclude_seen: bool = True
    category: str | None = None
    exclude: Sequence[str] = field(default_factory=tuple)


class Recommender:
    """Answers from memory and one read of Redis; the only state is a cache of what is published."""

    def __init__(
        self,
        settings: Settings,
        serving: ServingState,
        items: Documents,
        shelf: ModelShelf,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings
        self.shelf = shelf
        self.view = CatalogueView()
        self.lock = threading.RLock()
        self.clock = clock
        self._serving = serving
        self._items = items
        self._last: Manifest | None = None

    def recommend(self, user_id: str, query: Query, rider: Rider | None = None) -> Recommendations:
        """The best items for a user now.

        Args:
            user_id: The user.
            query: Which list.
            rider: What else is to be asked of Redis; not asked while it is away.

        Raises:
            ModelNotReadyError: No model has been published yet.
            InvalidInputError: The category does not exist.
            ServingStateUnavailableError: Redis is away and nothing was loaded before.
        """
        try:
            state = self._serving.read(user_id, with_seen=query.exclude_seen, rider=rider)
            with self.lock:
                model = self.synchronise(state.manifest, state.catalog_revision)
                return self._answer(user_id, query, state, model)
        except TransientError:
            return self._degraded(query)

    def synchronise(self, manifest: Manifest | None, catalog_revision: int) -> PublishedModel:
        """Bring model and catalogue in memory to what Redis says; the caller holds the lock."""
        model = self.shelf.current(manifest)
        if catalog_revision < self.view.revision:
            self.view = CatalogueView()  # the serving state was rebuilt
        changed: list[str] = []
        if catalog_revision > self.view.revision:
            reached, changes = self._items.changed_since(self.view.revision)
            self.view.update(reached, changes)
            changed = list(changes)
        self.view.align(model.matrix, changed)
        self._last = manifest
        return model

    def popular(self, k: int, category: str | None = None) -> list[RecommendedItem]:
        """What is popular among eligible items."""
        manifest, revision = self._serving.head()
        with self.lock:
            model = self.synchronise(manifest, revision)
            allowed = self.view.eligible(self.clock())
            if category:
                allowed &= self.view.in_category(category)
            return [
                self._item(model, row, float(model.matrix.bias[row]), "popular")
                for row in top_k(model.matrix.bias, allowed, k)
            ]

    def similar(self, item_id: str, k: int) -> list[RecommendedItem]:
        """Eligible items most like an item: its SIMILAR_TO first, then the nearest embeddings.

        Raises:
            NotFoundError: The model does not know the item.
        """
        manifest, revision = self._serving.head()
        with self.lock:
            model = self.synchronise(manifest, revision)
            matrix = model.matrix
            if item_id not in matrix.row_of:
                msg = f"there is no item {item_id}, or its embedding is not computed yet"
                raise NotFoundError(msg)
            row = matrix.row_of[item_id]
            lengths = np.linalg.norm(matrix.embeddings, axis=1) * np.linalg.norm(
                matrix.embeddings[row]
            )
            values = (matrix.embeddings @ matrix.embeddings[row]) / np.maximum(lengths, 1e-12)
            linked = matrix.neighbor_rows[row] >= 0
            values[matrix.neighbor_rows[row][linked]] += 1.0 + matrix.neighbor_weights[row][linked]
            allowed = self.view.eligible(self.clock())
            allowed[row] = False
            return [
                self._item(model, found, float(values[found]), "similar")
                for found in top_k(values, allowed, k)
            ]

    def _answer(
        self, user_id: str, query: Query, state: RequestState, model: PublishedModel
    ) -> Recommendations:
        """The list, under an id that says what it was computed from."""
        now = self.clock()
        as_of = int(now) // 60 * 60
        felt = interest(model.encoder, model.matrix, state.history, as_of)
        declared = declared_categories(state.document)
        values = scores(model.matrix, felt)
        bonus = declared_amount(felt)
        liked = self.view.in_categories(declared)
        values[liked] += bonus
        allowed, why = self._allowed(model, query, state, now)
        rows = top_k(values, allowed, query.k)
        terms = contributions_of_all(model.matrix, model.encoder, felt, rows)
        items = [
            self._scored(model, felt, row, one, bonus if liked[row] else 0.0)
            for row, one in zip(rows, terms, strict=True)
        ]
        items.sort(key=lambda item: (-item.score, item.item_id))
        eligible = [item for item in items if self.view.is_eligible(item.item_id, now)]
        context = AnswerContext(
            model_version=model.model_version,
            epoch=model.matrix.epoch,
            as_of=as_of,
            history_revision=state.history_revision,
            catalog_revision=self.view.revision,
            digest=context_digest(user_id, felt.events),
            declared=tuple(declared),
        )
        return Recommendations(
            recommendation_id=context.new_id(),
            model_version=model.model_version,
            history_revision=state.history_revision,
            items=eligible,
            why_empty=None if eligible else why,
            ineligible=len(items) - len(eligible),
        )

    def _allowed(
        self, model: PublishedModel, query: Query, state: RequestState, now: float
    ) -> tuple[npt.NDArray[np.bool_], WhyEmpty]:
        """The one final check: which rows may be returned, and what each rule took away."""
        eligible = self.view.eligible(now)
        candidates = np.ones(len(eligible), dtype=np.bool_)
        if query.category:
            candidates = self.view.in_category(query.category)
        codes = [self.settings.event_type_names.index(n) for n in self.settings.seen_event_types]
        seen = self.view.seen(state.seen, codes)
        excluded = np.zeros(len(eligible), dtype=np.bool_)
        for item_id in query.exclude:
            if item_id in model.matrix.row_of:
                excluded[model.matrix.row_of[item_id]] = True
        why = WhyEmpty(
            candidates=int(candidates.sum()),
            hidden=int((candidates & ~eligible).sum()),
            already_seen=int((candidates & eligible & seen).sum()),
            excluded=int((candidates & eligible & ~seen & excluded).sum()),
        )
        return candidates & eligible & ~seen & ~excluded, why

    def _scored(
        self,
        model: PublishedModel,
        felt: Interest,
        row: int,
        terms: Contributions,
        bonus: float,
    ) -> RecommendedItem:
        """An item with its exact score: the sum of its contributions."""
        score = terms.score + bonus
        if not felt.events:
            return self._item(model, row, score, "cold_start" if bonus else "popular")
        best = int(np.argmax(terms.interest + terms.item_graph))
        event = felt.events[best]
        because = Because(
            event_id=event.event_id,
            event_type=self.settings.event_type_names[event.event_type],
            item_id=event.item_id,
            title=self.view.title(event.item_id),
        )
        return self._item(model, row, score, "personal", because)

    def _item(
        self,
        model: PublishedModel,
        row: int,
        score: float,
        chosen: str,
        because: Because | None = None,
    ) -> RecommendedItem:
        """An item of a list."""
        item_id = model.matrix.item_ids[row]
        return RecommendedItem(item_id, self.view.title(item_id), score, chosen, because)

    def _degraded(self, query: Query) -> Recommendations:
        """Popular items from memory while the serving state is away, marked as such."""
        logger.warning("recommendations_degraded")
        with self.lock:
            if self._last is None:
                msg = "the serving state does not answer, and nothing was loaded before"
                raise ModelNotReadyError(msg)
            model = self.shelf.current(self._last)
            self.view.align(model.matrix)
            allowed = self.view.eligible(self.clock())
            if query.category:
                allowed &= self.view.in_category(query.category)
            for item_id in query.exclude:
                if item_id in model.matrix.row_of:
                    allowed[model.matrix.row_of[item_id]] = False
            items = [
                self._item(model, row, float(model.matrix.bias[row]), "popular")
                for row in top_k(model.matrix.bias, allowed, query.k)
            ]
        return Recommendations(
            uuid.uuid4().hex, model.model_version, 0, items, degraded=("serving_state",)
        )


def top_k(values: npt.NDArray[np.float32], allowed: npt.NDArray[np.bool_], k: int) -> list[int]:
    """Rows of the k highest values among the allowed ones, best first; ties by row.

    >>> top_k(np.array([1.0, 3.0, 2.0], np.float32), np.array([True, False, True]), 2)
    [2, 0]
    """
    masked = np.where(allowed, values, -np.inf)
    k = min(k, int(allowed.sum()))
    if not k:
        return []
    best = np.argpartition(-masked, k - 1)[:k]
    order = np.lexsort((best, -masked[best]))
    return [int(row) for row in best[order]]


def declared_categories(document: dict[str, Any] | None) -> list[str]:
    """Ids of the categories a user declared."""
    return [category_id(path) for path in (document or {}).get("categories") or []]


def declared_amount(felt: Interest) -> float:
    """What a declared category adds: it fades as events tell more."""
    return DECLARED_CATEGORY / (1.0 + len(felt.events))
