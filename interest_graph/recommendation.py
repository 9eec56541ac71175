"""What is asked for when a list is, and what is answered.

The parts that every list writes as JSON have no slots: orjson takes five times as long with them.
Nor are they frozen: each would take three times as long to make.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .serving_state import Rider


@dataclass
class Because:
    """The one event that says most for an item."""

    event_id: str
    event_type: str
    item_id: str
    title: str | None


@dataclass
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


@dataclass(frozen=True)
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


@dataclass(frozen=True, slots=True)
class Asked:
    """One of several lists that are asked for at once; fields as for `Recommender.recommend`."""

    user_id: str
    query: Query
    rider: Rider | None = None
