"""Users: who the shop knows, as sent and as kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from .field_types import PROPERTIES_RULE, Categories, NodeId, Properties

if TYPE_CHECKING:
    from collections.abc import Mapping


class UserPatch(BaseModel):
    """Fields of a user to change; a field that is absent stays as it is, null clears it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    categories: Categories | None = Field(
        None,
        description="Categories the user said they like: used before there are events.",
        examples=[[["Grocery", "Yogurt"]]],
    )
    properties: Properties | None = Field(None, description=PROPERTIES_RULE)


class UserInput(UserPatch):
    """A user as a client sends it: inserted, or replacing what was there."""

    user_id: NodeId = Field(description="The shop's id.", examples=["household-42"])

    @property
    def document(self) -> dict[str, Any]:
        """The user as it is kept: JSON types, no nulls."""
        return self.model_dump(mode="json", exclude_none=True)


def patched(document: Mapping[str, Any], patch: UserPatch) -> dict[str, Any]:
    """The document with the fields that the patch names.

    Raises:
        pydantic.ValidationError: The result is not a valid user.
    """
    merged = {**document, **patch.model_dump(mode="json", exclude_unset=True)}
    return UserInput.model_validate(merged).document
