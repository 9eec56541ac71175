"""Answers: a pydantic model out, serialised once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel


def answer(
    body: BaseModel, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """A JSON answer. A field that was not set is left out, one that was set to None is null.

    Args:
        body: What is answered.
        status: HTTP status.
        headers: Further header fields.
    """
    return Response(
        body.model_dump_json(by_alias=True, exclude_unset=True),
        status,
        dict(headers or {}),
        content_type="application/json",
    )
