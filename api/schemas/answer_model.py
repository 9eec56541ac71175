"""What all answers have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class AnswerModel(BaseModel):
    """An answer; read from the core's own objects."""

    model_config = ConfigDict(frozen=True, from_attributes=True, protected_namespaces=())


class RejectedOut(AnswerModel):
    """One fault of an entry that was not accepted; the others were."""

    index: int = Field(description="Position in the request, from 0.", examples=[3])
    field: str = Field(description="Name of the field.", examples=["occurred_at"])
    reason: str = Field(description="What is wrong.", examples=["must not be before 1990"])
    pointer: str = Field(description="JSON pointer in the body.", examples=["/3/occurred_at"])


class ReceiptOut(AnswerModel):
    """A deletion was accepted: nothing of it is shown from now on, the stores follow."""

    receipt_id: str = Field(description="Names this deletion.", examples=["user-129"])
    revision: int = Field(description="The revision from which it is gone.", examples=[129])
