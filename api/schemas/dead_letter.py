"""Answers about dead letters."""

from datetime import datetime
from typing import Any

from pydantic import Field

from .answer_model import AnswerModel


class DeadLetterOut(AnswerModel):
    """An entry of the log that could not be brought into the graph."""

    letter_id: str = Field(examples=["1767225600000-0"], description="Older ones are smaller.")
    kind: str = Field(examples=["event"], description="event, item, user, delete_item, delete_user")
    payload: Any = Field(description="The event or document; for a deletion the id.")
    reason: str = Field(
        examples=["the graph holds this event_id with another body"], description="Why it is here."
    )
    buried_at: datetime = Field(description="When it was given up.")


class DeadLetterListOut(AnswerModel):
    """A page of dead letters, oldest first."""

    items: list[DeadLetterOut] = Field(description="The letters of this page.")
    next: str | None = Field(None, description="`cursor` of the next page; null on the last.")


class ReplayedOut(AnswerModel):
    """The letter is in the log again."""

    replayed: int = Field(description="Letters that were sent to the log.", examples=[1])


class DroppedOut(AnswerModel):
    """The letter is gone for good."""

    dropped: int = Field(description="Letters that were deleted.", examples=[1])
