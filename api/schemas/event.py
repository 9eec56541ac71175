"""Answers about events."""

from __future__ import annotations

from pydantic import Field

from interest_graph.cleaning import Flag  # noqa: TC001 pydantic reads it
from interest_graph.settings import Durability  # noqa: TC001 as above

from .answer_model import AnswerModel, RejectedOut


class FlaggedOut(AnswerModel):
    """An event that was accepted, and counts in no list."""

    index: int = Field(description="Its position in the request.", examples=[3])
    reason: Flag = Field(description="Why.", examples=["burst"])


class AcceptedOut(AnswerModel):
    """What became of the events: accepted ones survive the death of every process."""

    accepted: int = Field(description="Accepted for the first time.", examples=[2])
    duplicates: int = Field(description="Had been accepted before.", examples=[0])
    event_ids: list[str | None] = Field(
        description="Id of every event, in order; null for a rejected one.",
        examples=[["e-1", "e-2"]],
    )
    history_revision: int = Field(
        description="A list whose history_revision is at least this counts these events, but for "
        "the flagged.",
        examples=[4711],
    )
    flagged: list[FlaggedOut] = Field(
        description="What was accepted as a fact and is left out of histories, popularity and "
        "training, and why."
    )
    rejected: list[RejectedOut] = Field(description="What was not accepted, and why.")
    durability: Durability = Field(
        description="How the log is written to disk.", examples=["always"]
    )
