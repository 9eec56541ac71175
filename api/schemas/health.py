"""Answers about the service itself."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .answer_model import AnswerModel


class LiveOut(AnswerModel):
    """The process answers."""

    status: Literal["live"] = Field(description="Always live.")


class ReadyOut(AnswerModel):
    """What is asked for works."""

    ready: bool = Field(description="Always true; otherwise a problem is answered.")
    purpose: Literal["events", "recommendations", "writes", "all"] = Field(
        alias="for", description="What was asked for."
    )
    dependencies: dict[str, str] = Field(
        description="ok, or what is wrong, by dependency.", examples=[{"log": "ok"}]
    )
