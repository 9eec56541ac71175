"""Problem documents (RFC 9457): the one shape of every error, with a closed list of codes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from flask import Response, g
from pydantic import BaseModel, ConfigDict, Field
from werkzeug.http import HTTP_STATUS_CODES

from interest_graph import errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from interest_graph.errors import Fault

MAX_FAULTS = 1000
MEDIA_TYPE = "application/problem+json"


class Code(StrEnum):
    """What went wrong, for programs; more are added only with a new version of the API."""

    MALFORMED_JSON = "malformed_json"
    BAD_REQUEST = "bad_request"
    MISSING_KEY = "missing_key"
    INVALID_KEY = "invalid_key"
    MISSING_SCOPE = "missing_scope"
    NOT_FOUND = "not_found"
    NO_SUCH_ROUTE = "no_such_route"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    BODY_TIMEOUT = "body_timeout"
    CONFLICT = "conflict"
    EXPIRED = "expired"
    BODY_TOO_LARGE = "body_too_large"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    INVALID_INPUT = "invalid_input"
    RATE_LIMITED = "rate_limited"
    LOG_FULL = "log_full"
    INTERNAL_ERROR = "internal_error"
    LOG_UNAVAILABLE = "log_unavailable"
    GRAPH_UNAVAILABLE = "graph_unavailable"
    SERVING_STATE_UNAVAILABLE = "serving_state_unavailable"
    MODEL_NOT_READY = "model_not_ready"
    NOT_READY = "not_ready"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class ProblemKind:
    """Status and meaning of a code."""

    status: int
    title: str
    retry: bool = False


KINDS: dict[Code, ProblemKind] = {
    Code.MALFORMED_JSON: ProblemKind(400, "The body is not valid JSON"),
    Code.BAD_REQUEST: ProblemKind(400, "The request cannot be read"),
    Code.MISSING_KEY: ProblemKind(401, "A key is needed"),
    Code.INVALID_KEY: ProblemKind(401, "The key is not valid"),
    Code.MISSING_SCOPE: ProblemKind(403, "The key lacks the scope"),
    Code.NOT_FOUND: ProblemKind(404, "There is no such thing"),
    Code.NO_SUCH_ROUTE: ProblemKind(404, "There is no such route"),
    Code.METHOD_NOT_ALLOWED: ProblemKind(405, "The route does not know this method"),
    Code.BODY_TIMEOUT: ProblemKind(408, "The body did not arrive in time", retry=True),
    Code.CONFLICT: ProblemKind(409, "The id was used before with another body"),
    Code.EXPIRED: ProblemKind(410, "It is no longer kept"),
    Code.BODY_TOO_LARGE: ProblemKind(413, "The body is too large"),
    Code.UNSUPPORTED_MEDIA_TYPE: ProblemKind(415, "The content type is not understood"),
    Code.INVALID_INPUT: ProblemKind(422, "The input is at fault"),
    Code.RATE_LIMITED: ProblemKind(429, "Too many requests with this key", retry=True),
    Code.LOG_FULL: ProblemKind(429, "The event log is full", retry=True),
    Code.INTERNAL_ERROR: ProblemKind(500, "The service failed", retry=True),
    Code.LOG_UNAVAILABLE: ProblemKind(503, "The event log does not answer", retry=True),
    Code.GRAPH_UNAVAILABLE: ProblemKind(503, "The graph does not answer", retry=True),
    Code.SERVING_STATE_UNAVAILABLE: ProblemKind(
        503, "The serving state does not answer", retry=True
    ),
    Code.MODEL_NOT_READY: ProblemKind(503, "No model has been published yet", retry=True),
    Code.NOT_READY: ProblemKind(503, "A dependency is missing", retry=True),
    Code.UNAVAILABLE: ProblemKind(503, "Try again later", retry=True),
}
"""The table of docs/api.md; `retry` says that the same request may succeed later."""

CODE_OF: dict[type[errors.InterestGraphError], Code] = {
    errors.NotFoundError: Code.NOT_FOUND,
    errors.ExpiredError: Code.EXPIRED,
    errors.ConflictError: Code.CONFLICT,
    errors.RevokedKeyError: Code.INVALID_KEY,
    errors.InvalidInputError: Code.INVALID_INPUT,
    errors.StreamFullError: Code.LOG_FULL,
    errors.StreamUnavailableError: Code.LOG_UNAVAILABLE,
    errors.GraphUnavailableError: Code.GRAPH_UNAVAILABLE,
    errors.ServingStateUnavailableError: Code.SERVING_STATE_UNAVAILABLE,
    errors.TransientError: Code.UNAVAILABLE,
    errors.ModelNotReadyError: Code.MODEL_NOT_READY,
    errors.InterestGraphError: Code.INTERNAL_ERROR,
}
"""The one table from an exception's class to its code; the nearest class counts."""


class FaultOut(BaseModel):
    """One thing wrong with the request."""

    place: Literal["body", "path", "query", "header"] = Field(
        alias="in", description="Part of the request that is at fault."
    )
    pointer: str = Field(
        description="JSON pointer (RFC 6901) to the value in the body; in a path, a query or a "
        "header, to the parameter.",
        examples=["/0/occurred_at"],
    )
    field: str = Field(description="Name of the field.", examples=["occurred_at"])
    reason: str = Field(
        description="What is wrong, in words.", examples=["must not be before 1990"]
    )


class Problem(BaseModel):
    """An error, as RFC 9457 has it."""

    model_config = ConfigDict(use_enum_values=True)

    type: str = Field(description="URI of the code.", examples=["urn:interest-graph:not_found"])
    title: str = Field(description="The code in words.", examples=["There is no such thing"])
    status: int = Field(description="HTTP status.", examples=[404])
    code: Code = Field(description="What went wrong, from a closed list.", examples=["not_found"])
    detail: str = Field(description="What went wrong this time.", examples=["no item lamp-9"])
    request_id: str = Field(description="Name this when you ask for help.", examples=["r-81f2"])
    errors: list[FaultOut] = Field(description="Everything wrong with the request, at once.")


class ProblemError(Exception):
    """Answers the request with a problem document."""

    def __init__(
        self,
        code: Code,
        detail: str,
        *,
        faults: Iterable[FaultOut] = (),
        headers: Mapping[str, str] | None = None,
        status: int | None = None,
    ) -> None:
        self.code = code
        self.detail = detail
        self.faults = list(faults)
        self.headers = dict(headers or {})
        self.status = status or KINDS[code].status
        super().__init__(f"{code}: {detail}")


def body_faults(faults: Iterable[Fault]) -> list[FaultOut]:
    """The faults of a body as a problem document lists them."""
    return [
        FaultOut(**{"in": "body"}, pointer=fault.pointer, field=fault.field, reason=fault.reason)
        for fault in faults
    ]


def code_of(error: errors.InterestGraphError) -> Code:
    """The code of the nearest class in the table."""
    return next(CODE_OF[cls] for cls in type(error).__mro__ if cls in CODE_OF)


def problem_response(error: ProblemError) -> Response:
    """The answer: an `application/problem+json` document."""
    kind = KINDS[error.code]
    title = kind.title if error.status == kind.status else HTTP_STATUS_CODES[error.status]
    document = Problem(
        type=f"urn:interest-graph:{error.code.value}",
        title=title,
        status=error.status,
        code=error.code,
        detail=error.detail,
        request_id=g.get("request_id", ""),
        errors=error.faults[:MAX_FAULTS],
    )
    headers = dict(error.headers)
    if kind.status == 503:  # noqa: PLR2004 Service Unavailable
        headers.setdefault("Retry-After", "1")
    return Response(
        document.model_dump_json(by_alias=True),
        error.status,
        headers,
        content_type=MEDIA_TYPE,
    )
