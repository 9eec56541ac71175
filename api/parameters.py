"""Path and query parameters that several routes share."""

from __future__ import annotations

from typing import Any, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from interest_graph.field_types import NodeId

Schema: TypeAlias = dict[str, Any]

_SCHEMAS: dict[object, Schema] = {}


class Parameters(BaseModel):
    """Parameters of a route; an unknown one is a fault, not a silent default."""

    model_config = ConfigDict(frozen=True, extra="forbid", regex_engine="rust-regex")

    @classmethod
    def model_json_schema(cls, *args: Any, **kwargs: Any) -> Schema:
        """The schema, made once: flask-openapi asks for it on every request."""
        key = (cls, args, tuple(sorted(kwargs.items())))
        if key not in _SCHEMAS:
            _SCHEMAS[key] = super().model_json_schema(*args, **kwargs)
        return _SCHEMAS[key]


class ItemPath(Parameters):
    """Which item."""

    item_id: NodeId = Field(description="The item's id.", examples=["product-1029743"])


class UserPath(Parameters):
    """Which user."""

    user_id: NodeId = Field(description="The user's id.", examples=["household-42"])


class UserItemPath(UserPath):
    """Which user and which item."""

    item_id: NodeId = Field(description="The item's id.", examples=["product-1029743"])


class DeadLetterPath(Parameters):
    """Which dead letter."""

    letter_id: NodeId = Field(description="The letter's id.", examples=["1767225600000-0"])


class NoQuery(Parameters):
    """A route without query parameters."""


class PageQuery(Parameters):
    """Which part of a list."""

    limit: int = Field(100, ge=1, le=1000, description="At most so many.", examples=[100])
    cursor: str | None = Field(
        None, max_length=400, description="`next` of the answer before; absent: from the start."
    )
