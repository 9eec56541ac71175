"""Structured logs: one JSON object a line on stderr, an event name and fields.

Keys, secrets and ids of users must not reach a log. The fields that could carry them are masked
here, whatever a caller passes, and a traceback is written without the values of its exception.
"""

from __future__ import annotations

import logging
import sys
import traceback
from typing import TYPE_CHECKING

import orjson
import structlog

if TYPE_CHECKING:
    from structlog.typing import EventDict, WrappedLogger

MASKED = frozenset(
    {"authorization", "key", "token", "secret", "password", "user_id", "user_ids", "body", "url"}
)


def _mask(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace what must not be written."""
    for name in MASKED & event.keys():
        event[name] = "***"
    return event


def _trace(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Turn `exc_info` into the exception's class and the lines it went through."""
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()[1]
    if isinstance(error, BaseException):
        frames = traceback.extract_tb(error.__traceback__)[-20:]
        event["error"] = type(error).__name__
        event["trace"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    return event


def configure_logs(level: str = "info") -> None:
    """Set up the logs of this process.

    Args:
        level: The least severe line that is written: debug, info, warning or error.
    """
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _trace,
            _mask,
            structlog.processors.JSONRenderer(serializer=_dumps),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_number(level)),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )


def _number(level: str) -> int:
    """The standard library's number of a level."""
    return logging.getLevelNamesMapping()[level.upper()]


def _dumps(event: EventDict, **_options: object) -> str:
    """JSON of a line; what is not JSON is written as text."""
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
