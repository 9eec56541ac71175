"""The statements' files: their headers are true, and each has its function."""

from __future__ import annotations

import ast
from importlib.resources import files
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cypher.statement import SLOT, load, load_for, load_for_all, paths

if TYPE_CHECKING:
    from pathlib import Path

FOLDERS = ("read", "write", "schema", "system", "analyst")
EVERY = [path for folder in FOLDERS for path in paths(folder)]
TEMPLATES = {
    "find_events",
    "fetch_user_events",
    "record_events",
    "005_event_id",
    "013_history",
}


def functions() -> set[str]:
    """Names of the functions of `interest_graph/graph`."""
    found = set()
    for module in files("interest_graph").joinpath("graph").iterdir():
        if module.name.endswith(".py"):
            tree = ast.parse(module.read_text(encoding="utf-8"))
            found |= {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    return found


@pytest.mark.parametrize("path", EVERY)
def test_the_header_names_the_parameters_that_are_used(path: str) -> None:
    """A statement's header names every parameter of the statement and no other."""
    statement = load(path)
    assert statement.parameters == statement.used_parameters
    assert statement.purpose.endswith(".")


@pytest.mark.parametrize("path", paths("read") + paths("write"))
def test_every_statement_has_its_function(path: str) -> None:
    """Each file in read/ and write/ has a typed function of the same name."""
    assert load(path).name in functions()


@pytest.mark.parametrize("path", EVERY)
def test_a_file_holds_one_statement(path: str) -> None:
    """No file chains statements, and only the known templates hold the slot."""
    statement = load(path)
    body = "\n".join(
        line for line in statement.text.splitlines() if not line.startswith("//")
    ).strip()
    assert ";" not in body.rstrip(";")
    assert (SLOT in body) == (statement.name in TEMPLATES)
    assert "$(" not in body


def test_commas_within_brackets_do_not_part_columns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The type of a column may hold commas; its name is its first word."""
    (tmp_path / "read").mkdir()
    (tmp_path / "read" / "example.cypher").write_text(
        "// Purpose: an example.\n// Parameters: $pairs list of [a, b], $k integer\n"
        "// Columns: item_id, categories list of [category_id, weight],\n//   rest map {a, b}\n"
        "RETURN 1\n",
        encoding="utf-8",
    )
    monkeypatch.setattr("cypher.statement.files", lambda _: tmp_path)
    statement = load.__wrapped__("read/example")
    assert statement.columns == ("item_id", "categories", "rest")
    assert statement.parameters == {"pairs", "k"}


def test_a_file_without_header_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A statement that does not say what it is for cannot be loaded."""
    (tmp_path / "bare.cypher").write_text("RETURN 1 AS one\n", encoding="utf-8")
    monkeypatch.setattr("cypher.statement.files", lambda _: tmp_path)
    with pytest.raises(ValueError, match="Purpose"):
        load.__wrapped__("bare")


@given(st.text())
def test_a_template_takes_relationship_types_alone(name: str) -> None:
    """What is not a relationship type never reaches Cypher."""
    allowed = set("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
    fits = 0 < len(name) <= 40 and set(name) <= allowed and name[0] in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    if fits:
        assert f"[event:{name} " in load_for("read/find_events", name)
    else:
        with pytest.raises(ValueError, match="relationship type"):
            load_for("read/find_events", name)


@pytest.mark.parametrize(
    "name", ["VIEWED\n", "viewed", "VIEWED]-() DELETE event //", "_VIEWED", ""]
)
def test_a_template_refuses_what_could_be_injected(name: str) -> None:
    """Names with anything but upper-case letters, digits and underscores are refused."""
    with pytest.raises(ValueError, match="relationship type"):
        load_for("write/record_events", name)
    with pytest.raises(ValueError, match="relationship type"):
        load_for_all("read/find_events", ("VIEWED", name))


def test_a_template_asks_for_several_types_at_once() -> None:
    """What differs by type stands once for each type, in their order, and the rest once."""
    text = load_for_all("read/find_events", ("VIEWED", "RATED"))
    assert text.split("{\n", 1)[1].split("}\nRETURN", 1)[0] == (
        "  MATCH ()-[event:VIEWED {event_id: event_id}]->()\n"
        "  RETURN event.body_hash AS body_hash\n"
        "UNION ALL\n"
        "  MATCH ()-[event:RATED {event_id: event_id}]->()\n"
        "  RETURN event.body_hash AS body_hash\n"
    )
    assert text.count("UNWIND") == 1
