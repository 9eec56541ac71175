"""Structured logs: one JSON object a line on stderr, an event name and fields.

Keys, secrets and ids of users must not reach a log. The fields that could carry them are masked
here, whatever a caller passes, and a traceback is written without the values of its exception.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Mapping
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
    # Bytes go out with half the work. What stands for the standard error of a process may be text.
    bytes_out = getattr(sys.stderr, "buffer", None)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _trace,
            _mask,
            structlog.processors.JSONRenderer(serializer=_dumps if bytes_out else _text),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_number(level)),
        logger_factory=structlog.BytesLoggerFactory(bytes_out)
        if bytes_out
        else structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


class LibraryHandler(logging.Handler):
    """Writes what libraries say by the standard library, as one line like ours.

    Of a failure it writes the message without its arguments, and of any message the first line
    alone: Celery puts whole bodies of tasks there.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        failed = record.levelno >= logging.ERROR
        text = (str(record.msg) if failed else record.getMessage()).strip()
        arguments = record.args or ()
        fields: dict[str, object] = {"logger": record.name}
        if isinstance(arguments, Mapping):
            fields |= {"task": arguments.get("name"), "task_id": arguments.get("id")}
            arguments = ()
        error = record.exc_info[1] if record.exc_info else None
        error = error or next((one for one in arguments if isinstance(one, BaseException)), None)
        log = structlog.get_logger()
        write = log.error if failed else log.warning
        write(text.partition("\n")[0], exc_info=error, **fields)


def log_libraries(**_: object) -> None:
    """Write warnings and failures of libraries to the same log, and nothing less."""
    root = logging.getLogger()
    root.handlers = [LibraryHandler()]
    root.setLevel(logging.WARNING)


def _number(level: str) -> int:
    """The standard library's number of a level."""
    return logging.getLevelNamesMapping()[level.upper()]


def _dumps(event: EventDict, **_options: object) -> bytes:
    """JSON of a line; what is not JSON is written as text."""
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS)


def _text(event: EventDict, **options: object) -> str:
    """The same as text."""
    return _dumps(event, **options).decode()
