"""Answers about items and users."""

from datetime import datetime
from typing import Any

from pydantic import Field

from .answer_model import AnswerModel, RejectedOut


class WrittenOut(AnswerModel):
    """What became of the items or users; a request that starts later sees them everywhere."""

    written: int = Field(description="Inserted or replaced.", examples=[1])
    revision: int = Field(description="Revision that contains them.", examples=[128])
    rejected: list[RejectedOut] = Field(description="What was not written, and why.")


class ItemOut(AnswerModel):
    """An item as the catalogue has it."""

    item_id: str = Field(examples=["product-1029743"], description="The shop's id.")
    title: str | None = Field(None, examples=["Yogurt, 32 oz"], description="Its name.")
    description: str | None = Field(None, description="What it says about itself.")
    categories: list[list[str]] | None = Field(
        None, examples=[[["Grocery", "Yogurt"]]], description="Paths from the top."
    )
    brand: str | None = Field(None, description="Who makes it.")
    price: float | None = Field(None, description="In the shop's currency.")
    available_from: datetime | None = Field(None, description="Not recommended before.")
    available_until: datetime | None = Field(None, description="Not recommended from then on.")
    hidden: bool = Field(False, description="Never recommended.")  # noqa: FBT003 pydantic's default
    image_url: str | None = Field(None, description="Where its picture is.")
    properties: dict[str, Any] | None = Field(None, description="Scalars or lists of one kind.")


class ItemListOut(AnswerModel):
    """A page of items, by id."""

    items: list[ItemOut] = Field(description="The items of this page.")
    next: str | None = Field(None, description="`cursor` of the next page; null on the last.")


class UserOut(AnswerModel):
    """A user as the shop described them."""

    user_id: str = Field(examples=["household-42"], description="The shop's id.")
    categories: list[list[str]] | None = Field(
        None, examples=[[["Grocery", "Yogurt"]]], description="Categories they said they like."
    )
    properties: dict[str, Any] | None = Field(None, description="Scalars or lists of one kind.")


class UserListOut(AnswerModel):
    """A page of users, by id."""

    items: list[UserOut] = Field(description="The users of this page.")
    next: str | None = Field(None, description="`cursor` of the next page; null on the last.")
