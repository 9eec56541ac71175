"""Recommendations: read the user, score every item, check each one, return the best."""

from __future__ import annotations

import itertools
import threading
import time
import uuid
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import structlog

from .catalogue_view import CatalogueView
from .errors import InterestGraphError, ModelNotReadyError, NotFoundError, TransientError
from .interest import scores_each, terms
from .recommendation import (
    Asked,
    Because,
    Query,
    Recommendations,
    RecommendedItem,
    WhyEmpty,
)
from .recommendation_id import AnswerContext
from .serving_state import RequestState, Wanted
from .top_k import top_k
from .user_memory import UserMemory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from .documents import Documents
    from .history import HistoryEvent
    from .interest import Interest
    from .interest_encoder import Floats
    from .published_model import ModelShelf, PublishedModel
    from .serving_state import Manifest, Rider, ServingState
    from .settings import Settings
    from .user_memory import KnownUser

logger = structlog.get_logger(__name__)

DECLARED_CATEGORY = 1.0
"""What a category the user declared adds to an item's score before there are events."""


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
        self._seen_codes = [
            settings.event_type_names.index(name) for name in settings.seen_event_types
        ]
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
        """The lists; those whose states are of one manifest and catalogue are computed together."""
        results: list[Recommendations | InterestGraphError] = []
        pairs = zip(asked, states, strict=True)
        for head, group in itertools.groupby(pairs, lambda pair: _head(pair[1])):
            if head is None:
                results += [state for _, state in group if isinstance(state, InterestGraphError)]
                continue
            together = [(one, state) for one, state in group if isinstance(state, RequestState)]
            try:
                results += self._answers_of(self.synchronise(*head), together)
            except TransientError:
                results += self._without_redis([one for one, _ in together], began)
            except InterestGraphError as error:
                results += [error for _ in together]
        return results

    def _answers_of(
        self, model: PublishedModel, together: Sequence[tuple[Asked, RequestState]]
    ) -> list[Recommendations | InterestGraphError]:
        """The lists of one moment of the model."""
        now = self.clock()
        as_of = int(now) // 60 * 60
        known = [self._users.take(one.user_id, state.user, model) for one, state in together]
        values = scores_each(model.matrix, [user.interest(model.encoder, as_of) for user in known])
        return _each(
            partial(self._answer, one.query, state, user, model, scored, now)
            for (one, state), user, scored in zip(together, known, values, strict=True)
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
                self._item(model, row, float(values[row]), "popular") for row in top_k(values, k)
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
                for found in top_k(values, k)
            ]

    def _answer(
        self,
        query: Query,
        state: RequestState,
        known: KnownUser,
        model: PublishedModel,
        values: Floats,
        now: float,
    ) -> Recommendations:
        """The list, under an id that says what it was computed from; `values` are the scores."""
        matrix = model.matrix
        as_of = int(now) // 60 * 60
        felt = known.interest(model.encoder, as_of)
        declared = state.user.declared
        bonus, liked = declared_amount(felt), self.view.in_categories(declared)
        if declared:
            values[liked] += bonus
        values += self.view.barrier(now)
        if query.category:
            values[~self.view.in_category(query.category)] = -np.inf
        if query.exclude_seen:
            values[known.seen_rows(self.view, self._seen_codes)] = -np.inf
        if query.exclude:
            values[[matrix.row_of[i] for i in query.exclude if i in matrix.row_of]] = -np.inf
        rows = top_k(values, query.k)
        items = self._scored(model, felt, rows, [bonus if liked[row] else 0.0 for row in rows])
        items.sort(key=lambda item: (-item.score, item.item_id))
        eligible = [item for item in items if self.view.is_eligible(item.item_id, now)]
        context = AnswerContext(
            model_version=model.model_version,
            epoch=matrix.epoch,
            as_of=as_of,
            history_revision=state.history_revision,
            catalog_revision=self.view.revision,
            digest=known.digest,
            declared=declared,
        )
        return Recommendations(
            recommendation_id=context.new_id(),
            model_version=model.model_version,
            history_revision=state.history_revision,
            items=eligible,
            why_empty=None if eligible else self._why_empty(model, query, known, now),
            ineligible=len(items) - len(eligible),
        )

    def _why_empty(
        self, model: PublishedModel, query: Query, known: KnownUser, now: float
    ) -> WhyEmpty:
        """What each rule took away."""
        eligible = self.view.eligible(now)
        candidates = np.ones(len(eligible), dtype=np.bool_)
        if query.category:
            candidates = self.view.in_category(query.category)
        seen, excluded = np.zeros_like(candidates), np.zeros_like(candidates)
        if query.exclude_seen:
            seen[known.seen_rows(self.view, self._seen_codes)] = True
        rows = model.matrix.row_of
        excluded[[rows[item_id] for item_id in query.exclude if item_id in rows]] = True
        return WhyEmpty(
            candidates=int(candidates.sum()),
            hidden=int((candidates & ~eligible).sum()),
            already_seen=int((candidates & eligible & seen).sum()),
            excluded=int((candidates & eligible & ~seen & excluded).sum()),
        )

    def _scored(
        self, model: PublishedModel, felt: Interest, rows: Sequence[int], bonuses: Sequence[float]
    ) -> list[RecommendedItem]:
        """Items with their exact scores: the sums of their contributions."""
        found = terms(model.matrix, model.encoder, felt, rows)
        of_events = found.of_events
        exact = (of_events.sum(0) + found.bias).tolist()
        if not felt.events:
            chosen = ["cold_start" if bonus else "popular" for bonus in bonuses]
            return [
                self._item(model, row, score + bonus, how)
                for row, score, bonus, how in zip(rows, exact, bonuses, chosen, strict=True)
            ]
        best = of_events.argmax(0).tolist() if rows else []
        because = {event: self._because(felt.events[event]) for event in set(best)}
        return [
            self._item(model, row, score + bonus, "personal", because[event])
            for row, score, bonus, event in zip(rows, exact, bonuses, best, strict=True)
        ]

    def _because(self, event: HistoryEvent) -> Because:
        """An event as a reason."""
        return Because(
            event_id=event.event_id,
            event_type=self.settings.event_type_names[event.event_type],
            item_id=event.item_id,
            title=self.view.title(event.item_id),
        )

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
            values = model.matrix.bias + self.view.barrier(self.clock())
            if query.category:
                values[~self.view.in_category(query.category)] = -np.inf
            for item_id in query.exclude:
                if item_id in model.matrix.row_of:
                    values[model.matrix.row_of[item_id]] = -np.inf
            items = [
                self._item(model, row, float(values[row]), "popular")
                for row in top_k(values, query.k)
            ]
        return Recommendations(
            uuid.uuid4().hex, model.model_version, 0, items, degraded=("serving_state",)
        )


def _head(state: RequestState | InterestGraphError) -> tuple[Manifest | None, int] | None:
    """What is published, and the catalogue's revision; None of an error."""
    if isinstance(state, InterestGraphError):
        return None
    return state.manifest, state.catalog_revision


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


def declared_amount(felt: Interest) -> float:
    """What a declared category adds: it fades as events tell more."""
    return DECLARED_CATEGORY / (1.0 + len(felt.events))
