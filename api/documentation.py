"""The OpenAPI document, completed from what the views declare, and the offline page at /docs."""

from __future__ import annotations

import re
from http import HTTPStatus
from importlib.resources import files
from typing import TYPE_CHECKING, Any, TypeVar, cast

from flask import Blueprint, Response, current_app, send_from_directory

from .access import PUBLIC, public, scope_of
from .body import JSON, MERGE_PATCH, NDJSON
from .problems import KINDS, MEDIA_TYPE, Code, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flask_openapi.openapi import OpenAPI
    from pydantic import BaseModel

View = TypeVar("View", bound="Callable[..., object]")
Json = dict[str, Any]

ASSETS = files("flask_openapi_swagger") / "templates" / "swagger"
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Interest Graph API</title>
<link rel="stylesheet" href="/docs/assets/css/swagger-ui.css">
<link rel="icon" href="data:,">
</head>
<body>
<div id="swagger-ui"></div>
<noscript>The document itself: <a href="/v1/openapi.json">/v1/openapi.json</a></noscript>
<script src="/docs/assets/js/swagger-ui-bundle.js"></script>
<script src="/docs/page.js"></script>
</body>
</html>
"""
SCRIPT = """SwaggerUIBundle({
  url: "/v1/openapi.json", dom_id: "#swagger-ui", deepLinking: true, validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis], layout: "BaseLayout", persistAuthorization: false,
});
"""
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'"
)
CACHED = "public, max-age=300"

docs = Blueprint("docs", __name__)


def takes(
    model: type[BaseModel], *, many: bool = False, ndjson: bool = False
) -> Callable[[View], View]:
    """Declare the body of a view that reads it with `api.body`.

    Args:
        model: The input.
        many: Whether a list is accepted too.
        ndjson: Whether one JSON value a line is accepted too.
    """

    def mark(view: View) -> View:
        view.takes = (model, many, ndjson)  # type: ignore[attr-defined] # read by _body
        return view

    return mark


def reads_header(name: str, description: str) -> Callable[[View], View]:
    """Declare a header field that a view reads by itself."""

    def mark(view: View) -> View:
        schema = {"type": "string", "maxLength": 255}
        view.reads_header = {  # type: ignore[attr-defined] # read by complete_document
            "name": name,
            "in": "header",
            "description": description,
            "schema": schema,
        }
        return view

    return mark


def raises(*codes: Code) -> Callable[[View], View]:
    """Declare the problems of a view that do not follow from its parameters, body and scope."""

    def mark(view: View) -> View:
        view.raises = codes  # type: ignore[attr-defined] # read by _codes
        return view

    return mark


@docs.get("/docs")
@public
def docs_page() -> Response:
    """The API's page: everything it needs comes from here."""
    headers = {"Content-Security-Policy": PAGE_POLICY, "Cache-Control": CACHED}
    return Response(PAGE, headers=headers, mimetype="text/html")


@docs.get("/docs/page.js")
@public
def docs_script() -> Response:
    """What starts the page."""
    return Response(SCRIPT, headers={"Cache-Control": CACHED}, mimetype="text/javascript")


@docs.get("/docs/assets/<path:name>")
@public
def docs_asset(name: str) -> Response:
    """Swagger UI's own files, from the installed package."""
    response = send_from_directory(str(ASSETS), name)
    response.headers["Cache-Control"] = CACHED
    return response


@docs.get("/v1/openapi.json")
@public
def openapi_document() -> Response:
    """The OpenAPI 3.1 document."""
    document = current_app.json.dumps(cast("OpenAPI", current_app).api_doc)
    headers = {"Cache-Control": CACHED}
    return Response(document, headers=headers, mimetype="application/json")


def complete_document(app: OpenAPI) -> Json:
    """Add to the generated document what flask-openapi does not know.

    Keys and scopes, bodies read by `api.body`, problem documents, header fields.
    """
    document: Json = app.api_doc
    schemas: Json = document["components"]["schemas"]
    _add_schema(schemas, Problem)
    for operation, view in _operations(app, document):
        needed = scope_of(view)
        operation["security"] = [] if needed == PUBLIC else [{"key": [needed]}]
        if declared := getattr(view, "takes", None):
            operation["requestBody"] = _body(schemas, *declared)
        codes = _codes(operation, needed) + list(getattr(view, "raises", ()))
        _add_problems(operation, codes)
        if header := getattr(view, "reads_header", None):
            operation.setdefault("parameters", []).append(header)
        for status, response in operation["responses"].items():
            response["headers"] = _headers(int(status), limited=needed != PUBLIC)
    document["components"]["securitySchemes"] = {"key": _SECURITY_SCHEME}
    return document


_HEADERS = {
    "X-Request-Id": "The id of the request: yours if you sent one, else ours.",
    "RateLimit": "What the key has left: `r` requests, more in `t` seconds.",
    "RateLimit-Policy": "What the key may do: `q` requests in `w` seconds.",
    "Retry-After": "Seconds after which to send it again.",
    "WWW-Authenticate": "How to send a key, or the scope that is missing.",
}
_SECURITY_SCHEME: Json = {
    "type": "http",
    "scheme": "bearer",
    "description": "`Authorization: Bearer <key>`. Scopes: events:write, catalog:write, read; "
    "admin stands for all of them. Make one with `interest-graph key create --scope read`.",
}


def _operations(app: OpenAPI, document: Json) -> Iterator[tuple[Json, Callable[..., object]]]:
    """Every operation of the document with its view."""
    for rule in app.url_map.iter_rules():
        path = document["paths"].get(re.sub(r"<(?:[^<:]+:)?([^>]+)>", r"{\1}", rule.rule), {})
        for method in rule.methods or ():
            if operation := path.get(method.lower()):
                yield operation, app.view_functions[rule.endpoint]


def _headers(status: int, *, limited: bool) -> Json:
    """The header fields of an answer."""
    names = ["X-Request-Id"]
    if limited and status != HTTPStatus.UNAUTHORIZED:
        names += ["RateLimit", "RateLimit-Policy"]
    if status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}:
        names.append("Retry-After")
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        names.append("WWW-Authenticate")
    return {name: {"description": _HEADERS[name], "schema": {"type": "string"}} for name in names}


def _add_schema(schemas: Json, model: type[BaseModel]) -> Json:
    """Put a model among the components and return a reference to it."""
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(schema.pop("$defs", {}))
    schemas[model.__name__] = schema
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def _body(schemas: Json, model: type[BaseModel], many: bool, ndjson: bool) -> Json:  # noqa: FBT001 unpacked from the declaration
    """The request body of a view."""
    one = _add_schema(schemas, model)
    several = {"type": "array", "items": one, "minItems": 1, "maxItems": 1000}
    content: Json = {JSON: {"schema": {"oneOf": [one, several]} if many else one}}
    if ndjson:
        text = {"type": "string", "description": "One event a line, at most 1,000."}
        content[NDJSON] = {"schema": text}
    if not many:
        content[MERGE_PATCH] = {"schema": one}
    return {"required": True, "content": content}


def _codes(operation: Json, needed: str) -> list[Code]:
    """The problems that an operation can answer."""
    codes = [Code.INTERNAL_ERROR]
    if needed != PUBLIC:
        codes += [Code.MISSING_KEY, Code.INVALID_KEY, Code.MISSING_SCOPE, Code.RATE_LIMITED]
        codes += [Code.LOG_UNAVAILABLE]
    if operation.get("parameters") or "requestBody" in operation:
        codes.append(Code.INVALID_INPUT)
    if "requestBody" in operation:
        codes += [Code.MALFORMED_JSON, Code.BODY_TOO_LARGE, Code.UNSUPPORTED_MEDIA_TYPE]
        codes += [Code.BODY_TIMEOUT, Code.UNAVAILABLE]
    return codes


def _add_problems(operation: Json, codes: list[Code]) -> None:
    """Describe the error answers of an operation, by status."""
    responses: Json = operation["responses"]
    by_status: dict[int, list[Code]] = {}
    for code in dict.fromkeys(codes):
        by_status.setdefault(KINDS[code].status, []).append(code)
    responses.pop("422", None)
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for status, several in sorted(by_status.items()):
        text = "; ".join(f"`{code.value}`: {KINDS[code].title}" for code in several)
        responses[str(status)] = {"description": text, "content": content}
