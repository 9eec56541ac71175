"""The lists of one moment: score every item for each user, check each one, choose the best."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import structlog

from .errors import InterestGraphError, InvalidInputError
from .recommendation import Because, Query, Recommendations, RecommendedItem, WhyEmpty
from .recommendation_id import AnswerContext
from .scores import Scorer
from .top_k import top_k

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .catalogue_view import CatalogueView, Rows
    from .interest import Interest
    from .interest_encoder import Floats
    from .published_model import PublishedModel
    from .quantised_items import NearScores, QuantisedItems
    from .scores import Ints, Terms
    from .serving_state import RequestState
    from .settings import Settings
    from .user_memory import KnownUser

_log = structlog.get_logger(__name__)

DECLARED_CATEGORY = 1.0
"""What a category the user declared adds to an item's score before there are events."""


def declared_amount(felt: Interest) -> float:
    """What a declared category adds: it fades as events tell more."""
    return DECLARED_CATEGORY / (1.0 + len(felt.events))


class Listed(NamedTuple):
    """What a list is made of.

    Args:
        query: Which list.
        state: What Redis says.
        known: The user as the model reads them.
    """

    query: Query
    state: RequestState
    known: KnownUser


class Lists:
    """Makes lists of one model, one catalogue and one time.

    Args:
        settings: The settings.
        model: The model.
        items: The items in eight bits.
        view: The catalogue, aligned with the model's matrix.
        now: Seconds since 1970.
    """

    def __init__(
        self,
        settings: Settings,
        model: PublishedModel,
        items: QuantisedItems,
        view: CatalogueView,
        now: float,
    ) -> None:
        self._types = settings.event_type_names
        self._seen_codes = [self._types.index(name) for name in settings.seen_event_types]
        self._model = model
        self._quantised = items
        self._view = view
        self._now = now
        self._as_of = int(now) // 60 * 60

    def answers(self, asked: Sequence[Listed]) -> list[Recommendations | InterestGraphError]:
        """The lists, computed at once; an error in place of one that cannot be had."""
        matrix, encoder = self._model.matrix, self._model.encoder
        interests = [one.known.interest(encoder, self._as_of) for one in asked]
        scorer = Scorer(matrix, interests)
        near = scorer.near_scores(self._quantised, self._view.barrier(self._now))
        lifted = [self._filter(*one) for one in zip(near.values, asked, interests, strict=True)]
        chosen = self._best(near, asked, interests)
        terms = scorer.terms(encoder, chosen)
        return [
            lift
            if isinstance(lift, InterestGraphError)
            else self._answer(one, self._items(felt, lift, rows, of_items), len(rows))
            for one, felt, lift, rows, of_items in zip(
                asked, interests, lifted, chosen, terms, strict=True
            )
        ]

    def _best(
        self, near: NearScores, asked: Sequence[Listed], interests: Sequence[Interest]
    ) -> list[Ints]:
        """Rows of each list, best first, by exact scores.

        Args:
            near: All scores, filtered.
            asked: The lists.
            interests: Of whom each is.
        """
        found = [near.best(place, one.query.k) for place, one in enumerate(asked)]
        left = [place for place, rows in enumerate(found) if rows is None]
        if left:  # too many are alike, or something is endless: all are scored exactly
            _log.debug("scored_exactly", lists=len(left))
            values = Scorer(self._model.matrix, [interests[place] for place in left]).scores()
            values += self._view.barrier(self._now)
            for place, own in zip(left, values, strict=True):
                self._filter(own, asked[place], interests[place])
                found[place] = top_k(own, asked[place].query.k)
        return [rows for rows in found if rows is not None]

    def _filter(
        self, values: Floats, one: Listed, felt: Interest
    ) -> Rows | InterestGraphError | None:
        """Bar what the query leaves out and lift what the user declared, if anything.

        Returns:
            The rows that were lifted, or what is wrong with the query.
        """
        query, lifted = one.query, None
        if one.state.user.declared:
            lifted = self._view.in_categories(one.state.user.declared)
            values[lifted] += declared_amount(felt)
        if query.category:
            try:
                values[~self._view.in_category(query.category)] = -np.inf
            except InvalidInputError as error:
                return error
        if query.exclude_seen:
            values[one.known.seen_rows(self._view, self._seen_codes)] = -np.inf
        if query.exclude:
            values[self._excluded(query)] = -np.inf
        return lifted

    def _excluded(self, query: Query) -> list[int]:
        """Rows of the items that a query names to be left out."""
        row_of = self._model.matrix.row_of
        return [row_of[item_id] for item_id in query.exclude if item_id in row_of]

    def _items(
        self, felt: Interest, lifted: Rows | None, rows: Ints, terms: Terms
    ) -> list[RecommendedItem]:
        """Items in order, with reasons and exact scores, the sums of their contributions.

        Here each is checked once more; none should be missing.
        """
        entry_of, scores = self._view.eligible_entry, terms.scores.tolist()
        item_ids = [self._model.matrix.item_ids[row] for row in rows.tolist()]
        bonuses, reasons = [0.0] * len(rows), list[tuple[str, Because | None]]()
        if lifted is not None:
            bonuses = (lifted[rows] * declared_amount(felt)).tolist()
        if felt.events and item_ids:
            best = terms.best.tolist()
            because = {event: self._because(*felt.events.names(event)) for event in set(best)}
            reasons = [("personal", because[event]) for event in best]
        else:
            reasons = [("cold_start" if bonus else "popular", None) for bonus in bonuses]
        items = [
            RecommendedItem(item_id, entry.title, score + bonus, *reason)
            for item_id, score, bonus, reason in zip(
                item_ids, scores, bonuses, reasons, strict=True
            )
            if (entry := entry_of(item_id, self._now))
        ]
        items.sort(key=lambda item: (-item.score, item.item_id))
        return items

    def _answer(self, one: Listed, items: list[RecommendedItem], chosen: int) -> Recommendations:
        """The list, under an id that says what it was computed from.

        Args:
            one: What was asked for.
            items: What is in the list.
            chosen: How many items were, before they were checked.
        """
        context = AnswerContext(
            model_version=self._model.model_version,
            epoch=self._model.matrix.epoch,
            as_of=self._as_of,
            history_revision=one.state.history_revision,
            catalog_revision=self._view.revision,
            digest=one.known.digest,
            declared=one.state.user.declared,
        )
        return Recommendations(
            recommendation_id=context.new_id(),
            model_version=self._model.model_version,
            history_revision=one.state.history_revision,
            items=items,
            why_empty=None if items else self._why_empty(one),
            ineligible=chosen - len(items),
        )

    def _why_empty(self, one: Listed) -> WhyEmpty:
        """What each rule took away."""
        query, eligible = one.query, self._view.eligible(self._now)
        candidates = np.ones(len(eligible), dtype=np.bool_)
        if query.category:
            candidates = self._view.in_category(query.category)
        seen, excluded = np.zeros_like(candidates), np.zeros_like(candidates)
        if query.exclude_seen:
            seen[one.known.seen_rows(self._view, self._seen_codes)] = True
        excluded[self._excluded(query)] = True
        return WhyEmpty(
            candidates=int(candidates.sum()),
            hidden=int((candidates & ~eligible).sum()),
            already_seen=int((candidates & eligible & seen).sum()),
            excluded=int((candidates & eligible & ~seen & excluded).sum()),
        )

    def _because(self, event_id: str, item_id: str, event_type: int) -> Because:
        """An event as a reason."""
        return Because(event_id, self._types[event_type], item_id, self._view.title(item_id))
