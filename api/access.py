"""Who may call what: every route declares its scope, checked before its view runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

from flask import current_app, g, request

from interest_graph.api_key import SCOPES, KeyCheck
from interest_graph.errors import InterestGraphError

from .problems import Code, ProblemError
from .wiring import wired

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

    from interest_graph.api_key import ApiKey, Scope

View = TypeVar("View", bound="Callable[..., object]")

PUBLIC = "public"
KEY = "interest_graph.key"
"""Where the environment holds what was found of a key already: it, None, or why it is not known."""
RATE = "interest_graph.rate"
"""Where the environment holds the `Rate` of a request that has taken its permit already."""
_CHALLENGE = 'Bearer realm="interest-graph"'


def scope(name: Scope, *, confirms_key: bool = False) -> Callable[[View], View]:
    """Declare the scope that a view needs.

    Args:
        name: The scope.
        confirms_key: The view takes `key_check` along with what it reads from Redis before it
            answers, which saves a round trip.
    """

    def mark(view: View) -> View:
        view.scope = name  # type: ignore[attr-defined] # read by scope_of
        view.confirms_key = confirms_key  # type: ignore[attr-defined] # read by check_access
        return view

    return mark


def public(view: View) -> View:
    """Declare that a view needs no key."""
    view.scope = PUBLIC  # type: ignore[attr-defined] # read by scope_of
    return view


def scope_of(view: Callable[..., object]) -> str:
    """The declared scope of a view.

    Raises:
        LookupError: None is declared; nothing is public by accident.
    """
    declared = getattr(view, "scope", None)
    if declared != PUBLIC and declared not in SCOPES:
        msg = f"{getattr(view, '__name__', view)} declares no scope"
        raise LookupError(msg)
    return cast("str", declared)


def require_declared_scopes(app: Flask) -> None:
    """Refuse to start with a route whose scope is not declared.

    Raises:
        LookupError: Names the view.
    """
    for view in app.view_functions.values():
        scope_of(view)


def check_access() -> None:
    """Check the key, its scope and its rate before the view runs.

    Raises:
        ProblemError: 401, 403 or 429.
        StreamUnavailableError: The keys cannot be read.
    """
    g.api_key = None
    if request.url_rule is None:
        return  # no such route or method: the router answers
    view = current_app.view_functions[request.url_rule.endpoint]
    needed = scope_of(view)
    if needed == PUBLIC:
        return
    key = _key(recalled=getattr(view, "confirms_key", False))
    g.api_key = key
    g.rate = request.environ.get(RATE) or wired().limiter.take(
        key.key_id, key.rate_limit_per_minute
    )
    if not g.rate.allowed:
        raise ProblemError(
            Code.RATE_LIMITED,
            f"at most {g.rate.limit} requests a minute with this key",
            headers={"Retry-After": str(g.rate.reset_s)},
        )
    if not key.allows(needed):
        raise ProblemError(
            Code.MISSING_SCOPE,
            f"this route needs a key with the scope {needed}",
            headers={
                "WWW-Authenticate": f'{_CHALLENGE}, error="insufficient_scope", scope="{needed}"'
            },
        )


def _key(*, recalled: bool) -> ApiKey:
    """The key that the request carries; `recalled` if the view confirms it."""
    token = bearer_token(request.headers.get("Authorization", ""))
    if not token:
        raise ProblemError(
            Code.MISSING_KEY,
            "send your key as 'Authorization: Bearer <key>'",
            headers={"WWW-Authenticate": _CHALLENGE},
        )
    keys = wired().keys
    if KEY in request.environ:
        key = request.environ[KEY]
    else:
        key = keys.recall(token) if recalled else keys.verify(token)
    if isinstance(key, InterestGraphError):
        raise key
    if key is None:
        raise invalid_key()
    return cast("ApiKey", key)


def bearer_token(authorization: str) -> str:
    """The token in an `Authorization` field; empty when there is none."""
    kind, _, token = authorization.strip().partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


def key_check() -> KeyCheck:
    """What confirms this request's key in the same round trip as another read."""
    return wired().keys.check(bearer_token(request.headers["Authorization"]))


def invalid_key() -> ProblemError:
    """401: the key opens nothing."""
    return ProblemError(
        Code.INVALID_KEY,
        "the key is unknown, mistyped or revoked",
        headers={"WWW-Authenticate": f'{_CHALLENGE}, error="invalid_token"'},
    )
