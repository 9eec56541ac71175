"""What is wrong with data to evaluate on."""

from __future__ import annotations

from typing import NoReturn

from interest_graph.errors import Fault, InvalidInputError


def refuse(reason: str) -> NoReturn:
    """Say what is wrong with what `--data` names.

    Raises:
        InvalidInputError: Always.
    """
    raise InvalidInputError([Fault("--data", reason)])
