"""Recommendations: read the user, score every item, check each one, return the best."""

from __future__ import annotations

import threading
import time
import uuid
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import structlog

from .catalogue_view import CatalogueView
from .errors import InterestGraphError, ModelNotReadyError, NotFoundError, TransientError
from .lists import Listed, Lists
from .quantised_items import QuantisedItems
from .recommendation import Asked, Query, Recommendations, RecommendedItem
from .serving_state import RequestState, Wanted
from .top_k import top_k
from .user_memory import UserMemory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from .documents import Documents
    from .published_model import ModelShelf, PublishedModel
    from .serving_state import Manifest, Rider, ServingState
    from .settings import Settings

logger = structlog.get_logger(__name__)


class Recommender:
    """Answers from memory and one read of Redis, which says whether what is in memory is true."""

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
        self._users = UserMemory(settings.user_memory_mib * 1024 * 1024)
        self._quantised = QuantisedItems()
        self._last: Manifest | None = None
        self._rest_until = 0.0

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
        (answer,) = self.recommend_each([Asked(user_id, query, rider)])
        if isinstance(answer, InterestGraphError):
            raise answer
        return answer

    def recommend_each(self, asked: Sequence[Asked]) -> list[Recommendations | InterestGraphError]:
        """Several lists by one read of Redis, and one of the item matrix.

        Returns:
            In the same order, for each what `recommend` answers or raises.
        """
        began = time.monotonic()
        if began < self._rest_until:
            return _each(partial(self._degraded, one.query) for one in asked)
        try:
            wanted = []
            for one in asked:
                kept = self._users.get(one.user_id)
                wanted.append(Wanted(one.user_id, kept.state if kept else None, one.rider))
            states = self._serving.read_each(wanted)
        except TransientError:
            return self._without_redis(asked, began)
        with self.lock:
            return self._answers(asked, states, began)

    def _without_redis(
        self, asked: Sequence[Asked], began: float
    ) -> list[Recommendations | InterestGraphError]:
        """What there is while Redis does not answer."""
        now = time.monotonic()
        if now - began >= self.settings.redis_timeout_s:
            # It was waited for, and others waited meanwhile: it is left alone for as long.
            self._rest_until = 2 * now - began
        return _each(partial(self._degraded, one.query) for one in asked)

    def _answers(
        self,
        asked: Sequence[Asked],
        states: Sequence[RequestState | InterestGraphError],
        began: float,
    ) -> list[Recommendations | InterestGraphError]:
        """The lists; the states are of one moment."""
        together = [
            (one, state)
            for one, state in zip(asked, states, strict=True)
            if isinstance(state, RequestState)
        ]
        answers = iter(self._answers_of(together, began) if together else ())
        return [
            state if isinstance(state, InterestGraphError) else next(answers) for state in states
        ]

    def _answers_of(
        self, together: Sequence[tuple[Asked, RequestState]], began: float
    ) -> list[Recommendations | InterestGraphError]:
        """The lists of those that Redis says something of."""
        _, head = together[0]
        try:
            model = self.synchronise(head.manifest, head.catalog_revision)
        except TransientError:
            return self._without_redis([one for one, _ in together], began)
        except InterestGraphError as error:
            return [error for _ in together]
        users = {one.user_id: state.user for one, state in together}
        known = self._users.take_each(users, model)
        lists = Lists(self.settings, model, self._quantised, self.view, self.clock())
        return lists.answers(
            [Listed(one.query, state, known[one.user_id]) for one, state in together]
        )

    def synchronise(self, manifest: Manifest | None, catalog_revision: int) -> PublishedModel:
        """Bring model and catalogue in memory to what Redis says; the caller holds the lock."""
        model = self.shelf.current(manifest)
        elsewhere = manifest and self._last and manifest.origin != self._last.origin
        rebuilt = elsewhere or catalog_revision < self.view.revision
        view = CatalogueView() if rebuilt else self.view
        changed: list[str] = []
        if catalog_revision > view.revision:
            reached, pages = self._items.changed_since(view.revision)
            for page in pages:
                view.update(page)
                changed += page
            view.revision = reached
        view.align(model.matrix, changed)
        # Only now: until all is there, what was there before serves lists while Redis is away.
        self.view, self._last = view, manifest
        return model

    def popular(self, k: int, category: str | None = None) -> list[RecommendedItem]:
        """What is popular among eligible items."""
        manifest, revision = self._serving.head()
        with self.lock:
            model = self.synchronise(manifest, revision)
            values = model.matrix.bias + self.view.barrier(self.clock())
            if category:
                values[~self.view.in_category(category)] = -np.inf
            return [
                self._item(model, row, float(values[row]), "popular")
                for row in top_k(values, k).tolist()
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
            values += self.view.barrier(self.clock())
            values[row] = -np.inf
            return [
                self._item(model, found, float(values[found]), "similar")
                for found in top_k(values, k).tolist()
            ]

    def _item(
        self,
        model: PublishedModel,
        row: int,
        score: float,
        chosen: str,
    ) -> RecommendedItem:
        """An item of a list that is nobody's."""
        item_id = model.matrix.item_ids[row]
        return RecommendedItem(item_id, self.view.title(item_id), score, chosen)

    def _degraded(self, query: Query) -> Recommendations:
        """Popular items from memory while the serving state is away, marked as such."""
        logger.warning("recommendations_degraded")
        with self.lock:
            if self._last is None:
                msg = "the serving state does not answer, and nothing was loaded before"
                raise ModelNotReadyError(msg)
            model = self.shelf.current(self._last)
            self.view.align(model.matrix)
            values = model.matrix.bias + self.view.barrier(self.clock())
            if query.category:
                values[~self.view.in_category(query.category)] = -np.inf
            for item_id in query.exclude:
                if item_id in model.matrix.row_of:
                    values[model.matrix.row_of[item_id]] = -np.inf
            items = [
                self._item(model, row, float(values[row]), "popular")
                for row in top_k(values, query.k).tolist()
            ]
        return Recommendations(
            uuid.uuid4().hex, model.model_version, 0, items, degraded=("serving_state",)
        )


def _each(
    lists: Iterable[Callable[[], Recommendations]],
) -> list[Recommendations | InterestGraphError]:
    """Each list, or why there is none."""
    results: list[Recommendations | InterestGraphError] = []
    for answer in lists:
        try:
            results.append(answer())
        except InterestGraphError as error:
            results.append(error)
    return results
