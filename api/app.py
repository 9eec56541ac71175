"""The Flask application: made once in each API process.

Any WSGI server serves it with `create_app`; `gateway.py` is how it is served here.
"""

from __future__ import annotations

import contextlib
from typing import Any

from flask_openapi.models.info import Info
from flask_openapi.openapi import OpenAPI

from interest_graph.api_key import ApiKeyStore
from interest_graph.errors import StreamUnavailableError
from interest_graph.logs import configure_logs
from interest_graph.metrics import build_metrics
from interest_graph.redis_client import check_durability, warn_of_durability
from interest_graph.services import Services, build_services
from interest_graph.settings import load_settings

from .access import require_declared_scopes
from .body import MAX_BODY_BYTES
from .dead_letters import dead_letters
from .documentation import complete_document, docs
from .error_handlers import on_invalid_parameters, register_error_handlers
from .events import events
from .health import health
from .items import items
from .json_provider import OrjsonProvider
from .metrics import metrics
from .popular import popular
from .problems import Problem
from .rate_limit import RateLimiter
from .recommendations import recommendations
from .request_context import register_request_context
from .similar import similar
from .users import users
from .wiring import Wiring, attach

API_VERSION = "1.1.0"
"""Version of the REST API: grows with every addition, stays below 2 within /v1."""

DESCRIPTION = """Send what your users do, ask what each of them should see now, and why.

Errors are problem documents (RFC 9457) with a `code` from a closed list. Every call can be sent
again. Lists are read by cursor."""


RESOURCES = (
    events,
    items,
    users,
    recommendations,
    similar,
    popular,
    dead_letters,
    health,
    metrics,
)
"""Everything under /v1 and /metrics, in the document's order."""


def create_app(services: Services | None = None, keys: ApiKeyStore | None = None) -> OpenAPI:
    """Make the application.

    Args:
        services: The core's ports; by default built from the settings.
        keys: The API keys; by default those in the log's Redis.

    Raises:
        SettingsError: The settings are wrong.
    """
    if services is None:
        services = build_services(load_settings())
        _check_log(services)
        _ = services.explainer  # with its recommender: no request waits for them to be made
    settings = services.settings
    configure_logs(settings.log_level)
    app = _bare_app()
    wiring = Wiring(
        settings=settings,
        services=services,
        keys=keys or ApiKeyStore(services.log),
        metrics=build_metrics(settings.metrics_dir),
        limiter=RateLimiter(settings.serving_url, settings.rate_limit_per_minute),
    )
    attach(app.extensions, wiring)
    register_request_context(app)
    register_error_handlers(app)
    require_declared_scopes(app)
    complete_document(app)
    return app


def _check_log(services: Services) -> None:
    """Refuse to start on a log that could lose events; readiness goes on checking it.

    Raises:
        SettingsError: The log's Redis is set up differently from the settings.
    """
    with contextlib.suppress(StreamUnavailableError):
        check_durability(services.log, services.settings)
    warn_of_durability(services.settings)


def openapi_document() -> dict[str, Any]:
    """The OpenAPI 3.1 document, without connecting to anything."""
    return complete_document(_bare_app())


def _bare_app() -> OpenAPI:
    """The routes alone."""
    app = OpenAPI(
        "api",
        info=Info(title="Interest Graph", version=API_VERSION, description=DESCRIPTION),
        doc_ui=False,
        static_folder=None,
        validation_error_model=Problem,
        validation_error_callback=on_invalid_parameters,
    )
    app.openapi_version = "3.1.1"
    app.json = OrjsonProvider(app)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES + 1
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.url_map.merge_slashes = False
    for resource in RESOURCES:
        app.register_api(resource)
    app.register_blueprint(docs)
    return app
