"""Every error becomes a problem document: ours, Werkzeug's, and the ones nobody expected."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

import structlog
from werkzeug.exceptions import HTTPException

from interest_graph.errors import (
    InterestGraphError,
    InvalidInputError,
    RevokedKeyError,
    StreamFullError,
)

from .access import invalid_key
from .problems import KINDS, Code, FaultOut, ProblemError, body_faults, code_of, problem_response

if TYPE_CHECKING:
    from flask import Flask, Response
    from pydantic import ValidationError

_log = structlog.get_logger(__name__)

HTTP_CODES = {
    HTTPStatus.NOT_FOUND: Code.NO_SUCH_ROUTE,
    HTTPStatus.METHOD_NOT_ALLOWED: Code.METHOD_NOT_ALLOWED,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: Code.BODY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: Code.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.INTERNAL_SERVER_ERROR: Code.INTERNAL_ERROR,
}
_KEPT_HEADERS = frozenset({"Allow", "Retry-After", "WWW-Authenticate"})


def on_problem(error: ProblemError) -> Response:
    """An answer that a view or a check asked for."""
    return problem_response(error)


def on_revoked_key(_error: RevokedKeyError) -> Response:
    """The key was taken back while the request was under way."""
    return problem_response(invalid_key())


def on_core_error(error: InterestGraphError) -> Response:
    """An error of the core, by the table in problems.py."""
    code = code_of(error)
    kind = KINDS[code]
    if kind.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.error("request_failed", code=code.value, exc_info=error)
    # What a server's client library says may name hosts: it goes to the log alone.
    detail = kind.title if kind.status >= HTTPStatus.INTERNAL_SERVER_ERROR else str(error)
    faults = body_faults(error.faults) if isinstance(error, InvalidInputError) else []
    headers = (
        {"Retry-After": str(error.retry_after_s)} if isinstance(error, StreamFullError) else {}
    )
    return problem_response(ProblemError(code, detail, faults=faults, headers=headers))


def on_http_error(error: HTTPException) -> Response:
    """What Werkzeug refuses: unknown routes and methods, bodies too large."""
    status = error.code or HTTPStatus.INTERNAL_SERVER_ERROR
    fallback = (
        Code.BAD_REQUEST if status < HTTPStatus.INTERNAL_SERVER_ERROR else Code.INTERNAL_ERROR
    )
    code = HTTP_CODES.get(HTTPStatus(status), fallback)
    headers = {name: value for name, value in error.get_headers() if name in _KEPT_HEADERS}
    detail = error.description or KINDS[code].title
    return problem_response(ProblemError(code, detail, headers=headers, status=status))


def on_unexpected_error(error: Exception) -> Response:
    """A fault of ours: logged with its trace, answered without one."""
    _log.error("request_failed", code=Code.INTERNAL_ERROR.value, exc_info=error)
    detail = "An unexpected error; it was logged under this request id."
    return problem_response(ProblemError(Code.INTERNAL_ERROR, detail))


def on_invalid_parameters(error: ValidationError) -> Response:
    """Path or query parameters that do not validate (flask-openapi's callback).

    Raises:
        ProblemError: Always; names every fault.
    """
    place = "path" if error.title.endswith("Path") else "query"
    faults = [
        {
            "in": place,
            "pointer": "".join(f"/{part}" for part in fault["loc"]),
            "field": str(fault["loc"][0]) if fault["loc"] else place,
            "reason": fault["msg"].removeprefix("Value error, "),
        }
        for fault in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    raise invalid_parameters(faults)


def invalid_parameters(faults: list[dict[str, str]]) -> ProblemError:
    """A problem that names parameters at fault."""
    names = ", ".join(sorted({fault["field"] for fault in faults}))
    entries = [FaultOut.model_validate(fault) for fault in faults]
    return ProblemError(Code.INVALID_INPUT, f"parameters at fault: {names}", faults=entries)


def register_error_handlers(app: Flask) -> None:
    """Make every error of the application a problem document."""
    app.register_error_handler(ProblemError, on_problem)
    app.register_error_handler(RevokedKeyError, on_revoked_key)
    app.register_error_handler(InterestGraphError, on_core_error)
    app.register_error_handler(HTTPException, on_http_error)
    app.register_error_handler(Exception, on_unexpected_error)
