"""Which dependencies a use of the service needs, and which of them answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from interest_graph.errors import InterestGraphError
from interest_graph.redis_client import check_durability

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from interest_graph.services import Services

Purpose: TypeAlias = Literal["events", "recommendations", "writes", "all"]

OK = "ok"
NEEDS: Mapping[Purpose, tuple[str, ...]] = {
    "events": ("log",),
    "writes": ("log", "serving_state"),
    "recommendations": ("serving_state", "model"),
    "all": ("log", "serving_state", "model", "graph"),
}
"""Events and writes need no graph: the log keeps them until it is back."""


def readiness(services: Services, purpose: Purpose) -> dict[str, str]:
    """Each dependency that the purpose needs: `ok`, or what is wrong with it."""
    return {name: _state(CHECKS[name], services) for name in NEEDS[purpose]}


def _state(check: Callable[[Services], None], services: Services) -> str:
    """What a check says."""
    try:
        check(services)
    except InterestGraphError as error:
        return str(error)
    return OK


def _log(services: Services) -> None:
    """The log answers, and keeps what it accepts: it may have come or changed since the start."""
    services.events.length()
    check_durability(services.log, services.settings)


def _serving_state(services: Services) -> None:
    services.serving.head()


def _model(services: Services) -> None:
    services.recommender.popular(1)


def require_graph(services: Services) -> None:
    """See that Neo4j answers, without the retries of a managed transaction.

    While a request waits for these, its process answers nobody else.

    Raises:
        GraphUnavailableError: It does not answer.
    """
    services.graph.run_alone("read/check_connection")


CHECKS: Mapping[str, Callable[[Services], None]] = {
    "log": _log,
    "serving_state": _serving_state,
    "model": _model,
    "graph": require_graph,
}
