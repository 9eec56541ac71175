"""Lists by cursor: opaque to the client, the last id inside; page 2 repeats nothing."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from flask import request
from pydantic import TypeAdapter, ValidationError

from interest_graph.field_types import NodeId

from .error_handlers import invalid_parameters

if TYPE_CHECKING:
    from .parameters import PageQuery
    from .problems import ProblemError

_FORMAT = b"1:"
_ID: TypeAdapter[str] = TypeAdapter(NodeId)


def encode_cursor(last_id: str) -> str:
    """The cursor of the page after `last_id`.

    >>> decode_cursor(encode_cursor("lamp"))
    'lamp'
    """
    return base64.urlsafe_b64encode(_FORMAT + last_id.encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> str:
    """The id inside a cursor.

    Raises:
        ValueError: No answer of ours contained it.
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        raw = base64.b64decode(padded, altchars=b"-_", validate=True)
        last_id = _ID.validate_python(raw.removeprefix(_FORMAT).decode())
    except (binascii.Error, UnicodeError, ValidationError) as error:
        msg = "not a cursor"
        raise ValueError(msg) from error
    if not raw.startswith(_FORMAT) or encode_cursor(last_id) != cursor:
        msg = "not a cursor"
        raise ValueError(msg)
    return last_id


def after_of(query: PageQuery) -> str | None:
    """The id after which the page begins; None: from the start.

    Raises:
        ProblemError: 422, the cursor is not one of ours.
    """
    if query.cursor is None:
        return None
    try:
        return decode_cursor(query.cursor)
    except ValueError as error:
        raise not_a_cursor() from error


def not_a_cursor() -> ProblemError:
    """422: the cursor is not one of ours, or of another list."""
    reason = "must be `next` of an earlier answer"
    fault = {"in": "query", "pointer": "/cursor", "field": "cursor", "reason": reason}
    return invalid_parameters([fault])


def link_header(limit: int, cursor: str | None) -> dict[str, str]:
    """The `Link` header (RFC 8288) to the next page, if there is one."""
    if cursor is None:
        return {}
    query = urlencode({"limit": limit, "cursor": cursor})
    return {"Link": f'<{request.path}?{query}>; rel="next"'}
