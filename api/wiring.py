"""What a running application holds, and how a view gets at it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from flask import current_app

if TYPE_CHECKING:
    from collections.abc import Mapping

    from interest_graph.api_key import ApiKeyStore
    from interest_graph.metrics import Metrics
    from interest_graph.services import Services
    from interest_graph.settings import Settings

    from .rate_limit import RateLimiter

_EXTENSION = "interest_graph"


@dataclass(frozen=True, slots=True)
class Wiring:
    """The dependencies of the views."""

    settings: Settings
    services: Services
    keys: ApiKeyStore
    metrics: Metrics
    limiter: RateLimiter


def attach(extensions: dict[str, object], wiring: Wiring) -> None:
    """Give an application its dependencies."""
    extensions[_EXTENSION] = wiring


def wired() -> Wiring:
    """The dependencies of the application that answers this request."""
    return wiring_of(current_app.extensions)


def wiring_of(extensions: Mapping[str, object]) -> Wiring:
    """The dependencies of an application."""
    return cast("Wiring", extensions[_EXTENSION])


def services() -> Services:
    """The core's ports."""
    return wired().services
