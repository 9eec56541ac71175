"""An application on fakes and a client for each scope."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import structlog

from tests.unit.api.fakes import FakeServices

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask.testing import FlaskClient


@pytest.fixture(autouse=True)
def own_logs() -> Iterator[None]:
    """What an application did to the logs ends with its test, whose stderr is closed then."""
    yield
    structlog.reset_defaults()


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
