"""Who gets what: every route without a key, with a wrong key, with each scope.

The rows are generated from the OpenAPI document, so a new route is in the table by itself; the
answers come from the application on real servers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from api.app import create_app, openapi_document
from interest_graph.api_key import SCOPES, ApiKeyStore
from interest_graph.services import build_services

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask.testing import FlaskClient

    from interest_graph.settings import Settings

DOCUMENT = openapi_document()
ROUTES = [
    (method, path) for path, item in sorted(DOCUMENT["paths"].items()) for method in sorted(item)
]
CALLERS = ("no key", "wrong key", *SCOPES)
WRONG_KEY = f"ig_{'0' * 16}_{'A' * 43}"
UNDEFINED = (401, 403)


def operation_of(method: str, path: str) -> dict[str, Any]:
    operation: dict[str, Any] = DOCUMENT["paths"][path][method]
    return operation


def address(operation: dict[str, Any], path: str) -> str:
    """The path with the examples of its parameters."""
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "path":
            example = parameter["schema"]["examples"][0]
            path = path.replace(f"{{{parameter['name']}}}", example)
    return path


def body(operation: dict[str, Any]) -> dict[str, Any] | None:
    """The required fields of the body, or one optional field, from the document's examples."""
    if "requestBody" not in operation:
        return None
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    reference = schema.get("oneOf", [schema])[0]["$ref"]
    model = DOCUMENT["components"]["schemas"][reference.rpartition("/")[2]]
    examples = {
        name: described["examples"][0]
        for name, described in model["properties"].items()
        if "examples" in described
    }
    required = model.get("required") or list(examples)[:1]
    return {name: examples[name] for name in required}


@pytest.fixture
def client(settings: Settings) -> Iterator[FlaskClient]:
    services = build_services(settings)
    yield create_app(services).test_client()
    services.close()


@pytest.fixture
def tokens(client: FlaskClient, settings: Settings) -> Iterator[dict[str, str]]:
    """A real key of each scope."""
    services = build_services(settings)
    keys = ApiKeyStore(services.log)
    yield {scope: keys.create([scope]) for scope in SCOPES} | {"wrong key": WRONG_KEY}
    services.close()


def status_table(client: FlaskClient, tokens: dict[str, str]) -> dict[tuple[str, str, str], int]:
    """The status of every route for every caller."""
    table = {}
    for method, path in ROUTES:
        operation = operation_of(method, path)
        for caller in CALLERS:
            headers = {"Authorization": f"Bearer {tokens[caller]}"} if caller in tokens else {}
            with client.open(
                address(operation, path), method=method, json=body(operation), headers=headers
            ) as answer:
                table[method, path, caller] = answer.status_code
    return table


def test_every_route_answers_each_caller_as_documented(
    client: FlaskClient, tokens: dict[str, str]
) -> None:
    """Without or with a wrong key 401, without the scope 403, else what the document lists."""
    table = status_table(client, tokens)
    assert len(table) == len(ROUTES) * len(CALLERS)
    for (method, path, caller), status in table.items():
        operation = operation_of(method, path)
        needed = {scope for entry in operation["security"] for scope in entry["key"]}
        where = f"{method} {path} with {caller}: {status}"
        if needed and caller in {"no key", "wrong key"}:
            assert status == 401, where
        elif needed and caller != "admin" and caller not in needed:
            assert status == 403, where
        else:
            assert status not in UNDEFINED, where
            assert str(status) in operation["responses"], where
            assert status < 500 or status == 503, where


def test_only_liveness_is_public() -> None:
    """Of the described routes, liveness alone needs no key."""
    public = [path for method, path in ROUTES if not operation_of(method, path)["security"]]
    assert public == ["/v1/health/live"]


def test_every_scope_opens_something() -> None:
    """No scope is an empty promise."""
    used = {
        scope
        for method, path in ROUTES
        for entry in operation_of(method, path)["security"]
        for scope in entry["key"]
    }
    assert used == set(SCOPES)
