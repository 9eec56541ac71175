"""The environment that has a command use the tests' servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

    from interest_graph.settings import Settings

NAMED = ("neo4j_uri", "neo4j_user", "neo4j_database", "log_url", "serving_url", "models_dir")


def name_servers(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have commands read the settings' servers, and none of a stack of the developer's own."""
    for name in NAMED:
        monkeypatch.setenv(f"INTEREST_GRAPH_{name.upper()}", str(getattr(settings, name)))
    monkeypatch.setenv("INTEREST_GRAPH_NEO4J_PASSWORD", settings.neo4j_password.get_secret_value())
