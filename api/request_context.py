"""What happens around every request: its id, its log line, its measurements, its headers."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import structlog
from flask import g, request

from interest_graph.api_key import KEY_PREFIX
from interest_graph.names import random_bytes

from .access import check_access
from .wiring import wired

if TYPE_CHECKING:
    from flask import Flask, Response

    from interest_graph.metrics import Metrics

_log = structlog.get_logger(__name__)

_REQUEST_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_TRACE_PARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_QUIET = frozenset({"/v1/health/live", "/v1/health/ready", "/metrics"})
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""On every answer whose view does not set them itself."""


def begin_request() -> None:
    """Name the request and bind its name to the logs."""
    g.started = time.perf_counter()
    g.rate = None
    headers = request.headers
    g.request_id = name_request(headers.get("X-Request-Id", ""), headers.get("traceparent", ""))


def name_request(sent: str, trace_parent: str) -> str:
    """The id of a request, by which its lines in the log are named from now on.

    Args:
        sent: The client's `X-Request-Id`; taken over unless it looks like a key, which would stand
            in every line of the log.
        trace_parent: The client's `traceparent`.
    """
    taken = _REQUEST_ID.fullmatch(sent) and KEY_PREFIX not in sent
    request_id = sent if taken else f"r-{random_bytes(8).hex()}"
    names = {"request_id": request_id}
    if parent := _TRACE_PARENT.fullmatch(trace_parent):
        names["trace_id"] = parent[1]
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(**names)
    return request_id


def end_request(response: Response) -> Response:
    """Complete the headers, measure, write the log line."""
    present = {name for name, _ in response.headers}
    added = {**SECURITY_HEADERS, "X-Request-Id": g.request_id}
    if g.rate is not None:
        added |= g.rate.headers
    response.headers.extend((name, value) for name, value in added.items() if name not in present)
    route = request.url_rule.rule if request.url_rule else "none"
    method = request.method if request.url_rule else "other"
    measure(wired().metrics, method, route, response.status_code, g.started)
    return response


def measure(metrics: Metrics, method: str, route: str, status: int, started: float) -> None:
    """Count a request and log it.

    Args:
        metrics: Where it is counted.
        method: Its method.
        route: Its route's template: a path may hold a user's id.
        status: Of its answer.
        started: `time.perf_counter()` when it began.
    """
    duration_s = time.perf_counter() - started
    metrics.count_request(method, route, status, duration_s)
    write = _log.debug if route in _QUIET else _log.info
    write(
        "request",
        method=method,
        route=route,
        status=status,
        duration_ms=round(duration_s * 1000, 2),
    )


def register_request_context(app: Flask) -> None:
    """Put the checks before every view and the bookkeeping after it."""
    app.before_request(begin_request)
    app.before_request(check_access)
    app.after_request(end_request)
