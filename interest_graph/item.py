"""Items: what the shop offers, as sent and as kept in the catalogue."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool, model_validator

from .field_types import (
    PROPERTIES_RULE,
    Categories,
    Description,
    NodeId,
    Price,
    Properties,
    ShortText,
    Time,
    Title,
    Url,
    category_id,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class ItemPatch(BaseModel):
    """Fields of an item to change; a field that is absent stays as it is, null clears it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: Title | None = Field(None, description="Its name.", examples=["Yogurt, 32 oz"])
    description: Description | None = Field(None, description="What it says about itself.")
    categories: Categories | None = Field(
        None, description="Paths from the top.", examples=[[["Grocery", "Yogurt"]]]
    )
    brand: ShortText | None = Field(None, description="Who makes it.")
    price: Price | None = Field(None, description="In the shop's currency.")
    available_from: Time | None = Field(None, description="Not recommended before.")
    available_until: Time | None = Field(None, description="Not recommended from then on.")
    hidden: StrictBool | None = Field(None, description="Never recommend it.")
    image_url: Url | None = Field(None, description="Where its picture is.")
    properties: Properties | None = Field(None, description=PROPERTIES_RULE)


class ItemInput(ItemPatch):
    """An item as a client sends it: inserted, or replacing what was there."""

    item_id: NodeId = Field(description="The shop's id.", examples=["product-1029743"])

    @model_validator(mode="after")
    def _window(self) -> Self:
        """An item is available for some time, or always."""
        if (
            self.available_from is not None
            and self.available_until is not None
            and self.available_until <= self.available_from
        ):
            msg = "available_until must be after available_from"
            raise ValueError(msg)
        return self

    @property
    def document(self) -> dict[str, Any]:
        """The item as the catalogue keeps it: JSON types, no nulls, `hidden` always there."""
        fields = self.model_dump(mode="json", exclude_none=True)
        fields.setdefault("hidden", False)
        return fields


def patched(document: Mapping[str, Any], patch: ItemPatch) -> dict[str, Any]:
    """The document with the fields that the patch names.

    Raises:
        pydantic.ValidationError: The result is not a valid item.
    """
    merged = {**document, **patch.model_dump(mode="json", exclude_unset=True)}
    return ItemInput.model_validate(merged).document


def item_text(title: str | None, description: str | None) -> str:
    """What the text encoder reads of an item; the empty string when it says nothing.

    >>> item_text("Lamp", None)
    'Lamp'
    """
    parts = (title or "", (description or "")[:2000])
    return ". ".join(part.strip() for part in parts if part.strip())


def content_hash(text: str, text_version: str = "") -> str:
    """The key under which a text's embedding is kept: a text encoder reads a text once.

    Args:
        text: The text.
        text_version: Names the text encoder, so that another one's embedding is never taken.
    """
    content = f"{text_version}\x1f{text}".encode()
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def category_levels(path: list[str]) -> Iterator[dict[str, str | None]]:
    """Every category on a path, from the top, with its parent."""
    parent = None
    for depth, name in enumerate(path, start=1):
        identifier = category_id(path[:depth])
        text = " > ".join(path[:depth])
        yield {"category_id": identifier, "name": name, "path": text, "parent_id": parent}
        parent = identifier
