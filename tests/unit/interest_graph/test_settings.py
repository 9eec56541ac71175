"""Settings: validated once, every fault named."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from interest_graph.errors import SettingsError
from interest_graph.settings import RESERVED_RELATIONSHIPS, Settings, load_settings

if TYPE_CHECKING:
    from pathlib import Path


def types(**relationships: str) -> dict[str, Any]:
    """Declared event types by name."""
    return {name: {"relationship": relationship} for name, relationship in relationships.items()}


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"event_types": {}}, "event_types"),
        ({"event_types": types(**{f"t{n}": f"T{n}" for n in range(17)})}, "event_types"),
        ({"event_types": types(a="SAME", b="SAME")}, "share"),
        ({"event_types": types(a="INTERESTED_IN")}, "INTERESTED_IN"),
        ({"event_types": types(a="viewed")}, "relationship"),
        ({"event_types": types(a="A]->() DETACH DELETE (n")}, "relationship"),
        ({"event_types": types(a="A" * 41)}, "relationship"),
        ({"event_types": types(view="VIEWED")}, "purchase"),
        ({"history_events": 1001}, "history_events"),
        ({"history_events": 200}, "again_events"),
        ({"again_events": 10, "history_events": 40}, "interest_events"),
        ({"popularity_half_life_days": 0.05}, "popularity_half_life_days"),
        ({"interest_items": 41}, "interest_items"),
    ],
)
def test_a_contradiction_is_refused_by_name(fields: dict[str, Any], named: str) -> None:
    """Settings that cannot work are refused when they are read, and the message says which."""
    with pytest.raises(ValidationError, match=named):
        Settings(**fields)


def test_the_position_of_an_event_type_is_its_code() -> None:
    """Names and relationship types stand in the same order, and none is the graph's own."""
    settings = Settings()
    assert settings.event_type_names.index("purchase") == 3
    assert settings.relationships[3] == "PURCHASED"
    assert not RESERVED_RELATIONSHIPS & set(settings.relationships)


def test_the_environment_is_read_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variable of the environment wins over `settings.env`, which wins over the default."""
    (tmp_path / "settings.env").write_text(
        "INTEREST_GRAPH_API_PORT=9001\nINTEREST_GRAPH_REFRESH_BATCH=7\n", encoding="utf-8"
    )
    monkeypatch.setenv("INTEREST_GRAPH_API_PORT", "9002")
    settings = load_settings(tmp_path)
    assert (settings.api_port, settings.refresh_batch, settings.ingest_batch) == (9002, 7, 4000)


def test_a_wrong_value_is_named_by_its_field(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error for a wrong value names the setting."""
    monkeypatch.setenv("INTEREST_GRAPH_API_PORT", "many")
    with pytest.raises(SettingsError, match="api_port"):
        load_settings()


def test_a_contradiction_is_told_without_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the error nor what it came from, which a traceback shows too, holds a password."""
    monkeypatch.setenv("INTEREST_GRAPH_NEO4J_PASSWORD", "hush")
    monkeypatch.setenv("INTEREST_GRAPH_EVENT_TYPES", "{}")
    with pytest.raises(SettingsError, match="event_types") as told:
        load_settings()
    assert "hush" not in "".join(traceback.format_exception(told.value))


def test_every_setting_says_what_it_means() -> None:
    """Each field has a help text of one sentence."""
    missing = [name for name, field in Settings.model_fields.items() if not field.description]
    assert not missing
