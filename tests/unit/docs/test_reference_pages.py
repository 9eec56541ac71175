"""Every setting, command, metric, route and query is documented."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import typer.main
from prometheus_client.parser import text_string_to_metric_families

from api.app import openapi_document
from cli.main import app
from cypher.statement import load, paths
from interest_graph.metrics import build_metrics
from interest_graph.settings import DEFAULT_EVENT_TYPES, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[3]
DOCS = ROOT / "docs"


def page(name: str) -> str:
    """The text of a page in `docs`."""
    return (DOCS / name).read_text(encoding="utf-8")


def settings_table() -> Any:
    """The script that makes the table of the settings."""
    path = ROOT / "scripts" / "settings_table.py"
    spec = importlib.util.spec_from_file_location("settings_table", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def commands(group: Any, *words: str) -> Iterator[tuple[str, ...]]:
    """Every command of the command line, as the words that are typed."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, *words, name)
        else:
            yield (*words, name)


def test_the_table_of_settings_is_up_to_date() -> None:
    """`docs/settings.md` holds the table that the script makes of the settings class."""
    found = page("settings.md")
    assert settings_table().page_with_table(found) == found, (
        "run: PYTHONPATH=. .venv/bin/python scripts/settings_table.py --write"
    )


@pytest.mark.parametrize("name", [*Settings.model_fields])
def test_a_setting_says_what_it_means(name: str) -> None:
    """Every setting has a sentence of its own and stands in `docs/settings.md`."""
    assert Settings.model_fields[name].description
    assert f"`INTEREST_GRAPH_{name.upper()}`" in page("settings.md")


def test_the_default_event_types_are_those_documented() -> None:
    """The JSON in `docs/settings.md` is the default of `event_types`."""
    shown = re.search(r"```json\n(.*?)```", page("settings.md"), re.DOTALL)
    assert shown
    assert shown[1].strip() == settings_table().event_types_json()
    assert len(DEFAULT_EVENT_TYPES) == shown[1].count("relationship")


@pytest.mark.parametrize("words", [*commands(typer.main.get_command(app))], ids=" ".join)
def test_a_command_is_documented(words: tuple[str, ...]) -> None:
    """Every command stands in `docs/cli.md` with an example of its own."""
    text = page("cli.md")
    command = " ".join(("interest-graph", *words))
    assert f"[`{command}`]" in text
    assert re.search(rf"^{command}\b", text, re.MULTILINE)


def test_every_metric_is_documented() -> None:
    """`docs/metrics.md` names exactly the metrics that the processes have, with their types."""
    text = build_metrics(None).exposition("20260101T000000Z-00000001").decode()
    have = {
        f"{family.name}_total" if family.type == "counter" else family.name: family.type
        for family in text_string_to_metric_families(text)
        if not family.name.endswith("_created")
    }
    rows = re.findall(r"^\| `(interest_graph_\w+)` \| (\w+) \|", page("metrics.md"), re.MULTILINE)
    assert dict(rows) == have


def test_the_labels_of_metrics_are_documented() -> None:
    """Each metric's row names its labels."""
    metrics = build_metrics(None)
    for field in metrics.__dataclass_fields__:
        metric = getattr(metrics, field)
        for label in getattr(metric, "_labelnames", ()):
            row = re.search(rf"^\| `{metric._name}(_total)?` .*$", page("metrics.md"), re.MULTILINE)
            assert row, metric._name
            assert f"`{label}`" in row[0]


def test_every_route_is_documented() -> None:
    """`docs/api.md` names exactly the routes of the OpenAPI document."""
    have = {
        f"{method.upper()} {path}"
        for path, methods in openapi_document()["paths"].items()
        for method in methods
        if method in {"get", "post", "put", "patch", "delete"}
    }
    assert set(re.findall(r"^\| `([A-Z]+ /\S+)` \|", page("api.md"), re.MULTILINE)) == have


@pytest.mark.parametrize("path", paths("analyst"))
def test_a_query_for_analysts_is_documented(path: str) -> None:
    """`docs/analyst.md` lists every query with its title, a link and its parameters."""
    statement = load(path)
    title = re.search(r"^// Title: (.+)$", statement.text, re.MULTILINE)
    assert title
    row = re.search(rf"^\| .*\[`{statement.name}`\].*$", page("analyst.md"), re.MULTILINE)
    assert row
    assert f"(../cypher/{path}.cypher)" in row[0]
    assert title[1] in row[0]
    assert all(f"`{parameter}`" in row[0] for parameter in statement.parameters)


def test_every_relationship_type_is_in_the_dictionary_and_in_the_picture() -> None:
    """What any statement writes is explained in `docs/graph.md` and drawn."""
    text = "".join(load(path).text for path in paths("write"))
    written = set(re.findall(r"(?:CREATE|MERGE) \([^)]*\)-\[\w*:([A-Z_]+)", text))
    written.discard("EVENT_RELATIONSHIP")
    written |= {declared.relationship for declared in DEFAULT_EVENT_TYPES.values()}
    assert len(written) > 10
    picture = (DOCS / "images" / "graph.svg").read_text(encoding="utf-8")
    for relationship in written:
        assert relationship in page("graph.md")
        assert relationship in picture


def test_every_property_is_in_the_dictionary() -> None:
    """What any statement sets on a node or relationship is explained in `docs/graph.md`."""
    text = "".join(load(path).text for path in paths("write"))
    set_here = set(
        re.findall(r"\b(?:user|item|category|brand|model|event|edge|migration)\.(\w+) =[^=]", text)
    )
    fields = {"value", "session_id", "recommendation_id", "title", "description", "hidden"}
    fields |= {"available_from", "available_until", "price", "image_url"}
    assert len(set_here) > 15
    missing = {name for name in set_here | fields if f"`{name}`" not in page("graph.md")}
    assert not missing


def test_the_command_line_has_groups_that_the_test_finds() -> None:
    """The list of commands is not empty by mistake."""
    assert {("up",), ("key", "create")} <= {*commands(typer.main.get_command(app))}
