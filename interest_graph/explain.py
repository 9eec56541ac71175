"""Explanations: the terms of a score, each of one event and one path, that sum to it exactly."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from .errors import CheckpointError, DeltaGoneError, ExpiredError, NotFoundError
from .history import pack
from .interest import Interest, interest
from .lists import declared_amount
from .recommendation_id import context_digest, read_id
from .scores import Contributions, contributions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .documents import Documents
    from .history import HistoryEvent
    from .published_model import PublishedModel
    from .recommend import Recommender
    from .recommendation_id import AnswerContext
    from .serving_state import ServingState

TOO_SMALL = 0.0


@dataclass(frozen=True, slots=True)
class Node:
    """A node of the graph by its own id."""

    label: str
    id: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Edge:
    """A relationship of the graph; facts carry their event_id."""

    type: str
    event_id: str | None = None
    weight: float | None = None


@dataclass(frozen=True, slots=True)
class Contribution:
    """One term of a score.

    Args:
        kind: interest (attention to an event's item times how well the two items go together),
            item_graph (an event's item leads to this one by SIMILAR_TO), again (the event was of
            this very item), popularity, or declared_category.
        weight: α of the event for interest, γ for item_graph, ρ for again, 1 otherwise.
        amount: What it adds to the score; the amounts of all contributions sum to it.
        nodes: The path's nodes, from the user to the item.
        edges: The path's relationships that the graph holds.
        occurred_at: When the event happened (RFC 3339).
    """

    kind: str
    weight: float
    amount: float
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    occurred_at: str | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why an item has its score for a user."""

    user_id: str
    item_id: str
    model_version: str
    history_revision: int
    recommendation_id: str | None
    score: float
    contributions: list[Contribution]
    sentence: str


class Explainer:
    """Explains scores with the same code and the same memory that recommends."""

    def __init__(self, recommender: Recommender, serving: ServingState, items: Documents) -> None:
        self._recommender = recommender
        self._serving = serving
        self._items = items

    def explain(
        self, user_id: str, item_id: str, recommendation_id: str | None = None
    ) -> Explanation:
        """The contributions to an item's score, now or in an earlier answer.

        Raises:
            NotFoundError: There is no such item, or no such answer for this user.
            ExpiredError: The answer is too old, or what it was computed from is kept no longer.
        """
        state = self._serving.read(user_id)
        declared = state.user.declared
        with self._recommender.lock:
            model = self._recommender.synchronise(state.manifest, state.catalog_revision)
            revision = state.history_revision
            if recommendation_id is None:
                now = int(self._recommender.clock())
                felt = interest(model.encoder, model.matrix, state.user.history, now)
            else:
                context = read_id(recommendation_id)
                revision, declared = context.history_revision, context.declared
                model = self._model(context)
                felt = _felt_then(user_id, state.user.history, model, context)
                self._check_likes(item_id, context)
            if item_id not in model.matrix.row_of:
                msg = f"there is no item {item_id}, or its embedding is not computed yet"
                raise NotFoundError(msg)
            liked = self._recommender.view.likes(declared, item_id)
            terms = self._terms(user_id, item_id, model, felt, declared if liked else ())
        return Explanation(
            user_id=user_id,
            item_id=item_id,
            model_version=model.model_version,
            history_revision=revision,
            recommendation_id=recommendation_id,
            score=sum(term.amount for term in terms),
            contributions=sorted(terms, key=lambda term: -abs(term.amount)),
            sentence=_sentence(terms, self._recommender.view.title(item_id) or item_id),
        )

    def _model(self, context: AnswerContext) -> PublishedModel:
        """The model as it was for an answer."""
        try:
            return self._recommender.shelf.at(context.model_version, context.epoch)
        except (CheckpointError, DeltaGoneError) as error:
            msg = f"model {context.model_version} at epoch {context.epoch} is kept no longer"
            raise ExpiredError(msg) from error

    def _check_likes(self, item_id: str, context: AnswerContext) -> None:
        """Where declared categories count, the item must be described as it was."""
        if context.declared and self._items.revision(item_id) > context.catalog_revision:
            msg = f"item {item_id} was described differently when the answer was made"
            raise ExpiredError(msg)

    def _terms(
        self,
        user_id: str,
        item_id: str,
        model: PublishedModel,
        felt: Interest,
        liked: Sequence[str],
    ) -> list[Contribution]:
        """Every term of the score; `liked` are the declared categories if the item is in one."""
        row = model.matrix.row_of[item_id]
        amounts = contributions(model.matrix, model.encoder, felt, row)
        user = Node("User", user_id)
        item = Node("Item", item_id, self._recommender.view.title(item_id))
        terms = [Contribution("popularity", 1.0, amounts.bias, (item,), ())]
        if liked:
            name = self._recommender.view.category_name
            categories = tuple(Node("Category", c, name(c)) for c in liked)
            amount, path = declared_amount(felt), (user, *categories, item)
            terms.append(Contribution("declared_category", 1.0, amount, path, (Edge("PREFERS"),)))
        for position, event in enumerate(felt.events):
            terms += self._event_terms(user, item, event, position, felt, amounts)
        return terms

    def _event_terms(
        self,
        user: Node,
        item: Node,
        event: HistoryEvent,
        position: int,
        felt: Interest,
        amounts: Contributions,
    ) -> list[Contribution]:
        """The terms of an event, two at most; an old one counts for its own item alone."""
        relationship = self._recommender.settings.relationships[event.event_type]
        fact = Edge(relationship, event.event_id)
        through = Node("Item", event.item_id, self._recommender.view.title(event.item_id))
        nodes = (user, through, item)
        when = datetime.fromtimestamp(event.occurred_at_ms / 1000, UTC).isoformat()
        terms = []
        if felt.alpha[position]:
            terms.append(
                Contribution(
                    "interest",
                    float(felt.alpha[position]),
                    float(amounts.interest[position]),
                    nodes,
                    (fact,),
                    when,
                )
            )
        edge_weight = float(amounts.edge_weight[position])
        again = event.item_id == item.id
        if edge_weight and (again or felt.gamma[position]):
            similar = Edge("SIMILAR_TO", weight=edge_weight)
            terms.append(
                Contribution(
                    "again" if again else "item_graph",
                    float(felt.again[position] if again else felt.gamma[position]),
                    float(amounts.item_graph[position]),
                    nodes,
                    (fact, similar),
                    when,
                )
            )
        return terms


def _felt_then(
    user_id: str, history: Sequence[HistoryEvent], model: PublishedModel, context: AnswerContext
) -> Interest:
    """The interest of an answer, from the events that were there at its revision.

    Raises:
        NotFoundError: The answer was another user's, or its events are kept no longer.
    """
    events = [event for event in history if event.revision <= context.history_revision]
    felt = interest(model.encoder, model.matrix, events, context.as_of)
    if context_digest(user_id, pack(felt.events)) != context.digest:
        msg = "there is no such answer for this user, or its events are kept no longer"
        raise NotFoundError(msg)
    return felt


_VERBS = {
    "VIEWED": "viewed",
    "CLICKED": "clicked",
    "ADDED_TO_CART": "put into the cart",
    "PURCHASED": "bought",
    "RATED": "rated",
    "REVIEWED": "reviewed",
}


def _sentence(terms: Sequence[Contribution], title: str) -> str:
    """One plain sentence: the event that says most, and what else counts."""
    by_event: dict[str, tuple[float, Contribution]] = {}
    for term in terms:
        if term.occurred_at is not None:
            event_id = term.edges[0].event_id or ""
            total = by_event.get(event_id, (0.0, term))[0] + term.amount
            by_event[event_id] = (total, term)
    helpful = sorted(
        (entry for entry in by_event.values() if entry[0] > TOO_SMALL), key=lambda entry: -entry[0]
    )
    if not helpful:
        if any(term.kind == "declared_category" for term in terms):
            return f"{title} is popular in a category you said you like."
        return f"{title} is popular with everybody right now."
    amount, strongest = helpful[0]
    positive = sum(term.amount for term in terms if term.amount > 0)
    share = round(100 * min(1.0, amount / positive)) if positive else 0
    verb = _VERBS.get(strongest.edges[0].type, strongest.edges[0].type.lower())
    name = strongest.nodes[1].name or strongest.nodes[1].id
    more = f" and {len(helpful) - 1} more of your events" if len(helpful) > 1 else ""
    return f"{title} is here because you {verb} {name} ({share} % of what speaks for it){more}."
