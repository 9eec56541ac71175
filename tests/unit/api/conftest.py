"""An application on fakes and a client for each scope."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.api.fakes import FakeServices

if TYPE_CHECKING:
    from flask.testing import FlaskClient


@pytest.fixture
def services() -> FakeServices:
    return FakeServices()


@pytest.fixture
def client(services: FakeServices) -> FlaskClient:
    return services.client()


@pytest.fixture
def auth() -> dict[str, dict[str, str]]:
    """Headers by scope."""
    scopes = ("events:write", "catalog:write", "read", "admin")
    return {scope: {"Authorization": f"Bearer ig-{scope}"} for scope in scopes}
