"""Who may call what: every route declares its scope, checked before its view runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

from flask import current_app, g, request

from interest_graph.api_key import SCOPES

from .problems import Code, ProblemError
from .wiring import wired

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

    from interest_graph.api_key import ApiKey, Scope

View = TypeVar("View", bound="Callable[..., object]")

PUBLIC = "public"
_CHALLENGE = 'Bearer realm="interest-graph"'


def scope(name: Scope) -> Callable[[View], View]:
    """Declare the scope that a view needs."""

    def mark(view: View) -> View:
        view.scope = name  # type: ignore[attr-defined] # read by scope_of
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
    needed = scope_of(current_app.view_functions[request.url_rule.endpoint])
    if needed == PUBLIC:
        return
    key = _key()
    g.api_key = key
    g.rate = wired().limiter.take(key.key_id)
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


def _key() -> ApiKey:
    """The key that the request carries."""
    kind, _, token = request.headers.get("Authorization", "").strip().partition(" ")
    if kind.lower() != "bearer" or not token.strip():
        raise ProblemError(
            Code.MISSING_KEY,
            "send your key as 'Authorization: Bearer <key>'",
            headers={"WWW-Authenticate": _CHALLENGE},
        )
    key = wired().keys.verify(token.strip())
    if key is None:
        raise ProblemError(
            Code.INVALID_KEY,
            "the key is unknown, mistyped or revoked",
            headers={"WWW-Authenticate": f'{_CHALLENGE}, error="invalid_token"'},
        )
    return key
