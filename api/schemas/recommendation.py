"""Answers that hold lists of items."""

from datetime import datetime
from typing import Literal

from pydantic import AliasChoices, Field, model_validator

from interest_graph.explain import Contribution

from .answer_model import AnswerModel


class BecauseOut(AnswerModel):
    """The event that says most for an item."""

    event_id: str = Field(description="The event.", examples=["e-1"])
    event_type: str = Field(description="Its type.", examples=["purchase"])
    item_id: str = Field(description="Its item.", examples=["product-1029744"])
    title: str | None = Field(None, description="The title of its item.")


class RecommendedItemOut(AnswerModel):
    """One item of a list."""

    item_id: str = Field(description="The item.", examples=["product-1029743"])
    title: str | None = Field(None, description="Its title.", examples=["Yogurt, 32 oz"])
    score: float = Field(description="What the list is sorted by.", examples=[3.21])
    chosen: str = Field(
        description="How it was chosen: personal, cold_start, popular or similar.",
        examples=["personal"],
    )
    because: BecauseOut | None = Field(
        None, description="The event that contributes most, for personal items."
    )


class WhyEmptyOut(AnswerModel):
    """How many items each rule took away from an empty list."""

    candidates: int = Field(description="Items that were considered.", examples=[40])
    hidden: int = Field(description="Of these not to be shown to anyone now.", examples=[0])
    already_seen: int = Field(description="Of the rest seen by the user.", examples=[40])
    excluded: int = Field(description="Of the rest excluded by the request.", examples=[0])


class RecommendationsOut(AnswerModel):
    """A user's recommendations."""

    recommendation_id: str = Field(
        description="Names this answer, in events and explanations.", examples=["5d1e0c"]
    )
    model_version: str = Field(
        description="The one model behind all of it.", examples=["20260131T120000Z-1f2e3d4c"]
    )
    history_revision: int = Field(
        description="The newest change of the user's history that it counts.", examples=[4711]
    )
    items: list[RecommendedItemOut] = Field(description="The best first.")
    degraded: list[str] = Field(
        description="What was missing, so that the list is less than it could be.", examples=[[]]
    )
    why_empty: WhyEmptyOut | None = Field(None, description="Only when there are no items.")


class ItemsOut(AnswerModel):
    """A list that depends on no user."""

    items: list[RecommendedItemOut] = Field(description="The best first.")


class InterestOut(AnswerModel):
    """A learned edge from a user to an item or a category."""

    kind: Literal["item", "category"] = Field(description="What it leads to.")
    id: str = Field(description="Id of the item or category.", examples=["product-1029743"])
    name: str | None = Field(None, description="Title of the item, path of the category.")
    weight: float = Field(description="How much.", examples=[0.37])
    updated_at: datetime | None = Field(
        None,
        validation_alias=AliasChoices("updated_at_ms", "updated_at"),
        description="When it was computed.",
    )
    model_version: str | None = Field(None, description="By which model.")


class InterestsOut(AnswerModel):
    """A user's learned interests, from the graph."""

    user_id: str = Field(description="The user.", examples=["household-42"])
    items: list[InterestOut] = Field(description="The strongest first.")


class NodeOut(AnswerModel):
    """A node of the graph."""

    label: str = Field(description="User, Item or Category.", examples=["Item"])
    id: str = Field(description="Its own id.", examples=["product-1029744"])
    name: str | None = Field(None, description="Title or name.", examples=["Greek yogurt"])


class EdgeOut(AnswerModel):
    """A relationship of the graph."""

    type: str = Field(description="The relationship's type.", examples=["PURCHASED"])
    event_id: str | None = Field(None, description="The event, for a fact.", examples=["e-1"])
    weight: float | None = Field(None, description="The learned weight.", examples=[0.42])


class PathOut(AnswerModel):
    """A path in the graph; edge i leads from node i to node i + 1."""

    nodes: list[NodeOut] = Field(description="The nodes, from the user to the item.")
    edges: list[EdgeOut] = Field(description="The relationships that the graph holds.")


class ContributionOut(AnswerModel):
    """One term of a score."""

    kind: str = Field(
        description="interest (an event's item and this one go together), item_graph (an event's "
        "item leads to this one), again (the event was of this very item), popularity, or "
        "declared_category.",
        examples=["interest"],
    )
    event_id: str | None = Field(None, description="The event it comes from.", examples=["e-1"])
    occurred_at: str | None = Field(None, description="When that happened, RFC 3339.")
    path: PathOut = Field(description="The way through the graph.")
    weight: float = Field(description="How much the event counts.", examples=[0.18])
    amount: float = Field(description="What it adds to the score.", examples=[0.61])

    @model_validator(mode="before")
    @classmethod
    def _from_core(cls, term: object) -> object:
        """Read a term of the core: nodes and edges become a path."""
        if not isinstance(term, Contribution):
            return term
        return {
            "kind": term.kind,
            "event_id": next((e.event_id for e in term.edges if e.event_id), None),
            "occurred_at": term.occurred_at,
            "path": {"nodes": term.nodes, "edges": term.edges},
            "weight": term.weight,
            "amount": term.amount,
        }


class ExplanationOut(AnswerModel):
    """Why an item has its score: the amounts sum to it."""

    user_id: str = Field(description="The user.", examples=["household-42"])
    item_id: str = Field(description="The item.", examples=["product-1029743"])
    recommendation_id: str | None = Field(None, description="The answer that is explained.")
    model_version: str = Field(description="The model.")
    history_revision: int = Field(description="The history that was counted.")
    score: float = Field(description="The sum of the amounts.", examples=[3.21])
    contributions: list[ContributionOut] = Field(description="The largest amount first.")
    sentence: str = Field(
        description="The reason in one sentence.",
        examples=["Yogurt, 32 oz is here because you bought Greek yogurt (61 % of it)."],
    )
