"""The OpenAPI document and the page that shows it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from openapi_spec_validator import validate

from api.app import openapi_document
from api.problems import KINDS, Code

if TYPE_CHECKING:
    from flask.testing import FlaskClient

DOCS = Path(__file__).parents[3] / "docs" / "api.md"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return openapi_document()


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method.upper(), path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]


def test_the_document_is_valid_openapi_3_1(document: dict[str, Any]) -> None:
    """Generators can read it."""
    assert document["openapi"] == "3.1.1"
    validate(document)


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    """No `$ref` dangles."""
    names = set(re.findall(r"#/components/schemas/([\w.-]+)", str(document)))
    assert names <= set(document["components"]["schemas"])


def test_every_operation_is_described(document: dict[str, Any]) -> None:
    """Each has an id, a summary, a scope or none on purpose, and its errors as problems."""
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(ids) == len(set(ids))
    for _, path, operation in operations(document):
        assert operation["summary"], path
        assert "security" in operation, path
        errors = {s: r for s, r in operation["responses"].items() if s >= "400"}
        assert "500" in errors, path
        for response in errors.values():
            assert list(response["content"]) == ["application/problem+json"], path


def test_every_field_is_described(document: dict[str, Any]) -> None:
    """Every property of every schema says what it means."""
    for name, schema in document["components"]["schemas"].items():
        for field, described in schema.get("properties", {}).items():
            assert described.get("description") or "$ref" in described, f"{name}.{field}"


def test_the_page_needs_nothing_from_outside(client: FlaskClient) -> None:
    """The page, its script and its style sheet come from the service itself, without a key."""
    page = client.get("/docs")
    assert page.status_code == 200
    assert "script-src 'self'" in page.headers["Content-Security-Policy"]
    linked = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    for address in linked:
        assert address.startswith(("/", "data:")), address
        if address.startswith("/"):
            with client.get(address) as asset:
                assert asset.status_code == 200, address
    assert client.get("/docs/assets/../../__init__.py").status_code == 404


def test_docs_name_every_route_and_code(document: dict[str, Any]) -> None:
    """docs/api.md has every route with its scope, and every code with its status."""
    text = DOCS.read_text(encoding="utf-8")
    for method, path, operation in operations(document):
        needed = [scope for entry in operation["security"] for scope in entry["key"]] or ["none"]
        assert f"| `{method} {path}` | {needed[0]} |" in text, f"{method} {path}: {needed[0]}"
    for code in Code:
        row = re.search(rf"^\| `{code.value}` \| (\d+) \| (yes|no) \|", text, re.MULTILINE)
        assert row, f"{code.value} is not documented"
        assert (int(row[1]), row[2] == "yes") == (KINDS[code].status, KINDS[code].retry), code


def test_the_api_imports_no_model_library() -> None:
    """An API process holds neither torch nor transformers nor Celery tasks."""
    script = (
        "import sys, api.app; "
        "print([m for m in ('torch', 'torch_geometric', 'transformers', 'models', 'workers')"
        " if m in sys.modules])"
    )
    command = [sys.executable, "-c", script]
    run = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 our own code
    assert run.stdout.strip() == "[]"
