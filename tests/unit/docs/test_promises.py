"""`docs/promises.md` names tests that exist and commands that run."""

from __future__ import annotations

import ast
from importlib.util import find_spec

import pytest

from tests.promises import ROOT, is_promised, shown_by

SKIPS = ("skip", "skipif", "xfail")


@pytest.mark.parametrize("shown", shown_by())
def test_what_shows_a_promise_exists(shown: str) -> None:
    """A named test is a function that is not skipped; a named command has its target or module."""
    if shown.startswith("make "):
        assert f"\n{shown.split()[1]}:" in (ROOT / "Makefile").read_text(encoding="utf-8")
        return
    if shown.startswith("python -m "):
        assert find_spec(shown.split()[2]) is not None
        return
    path, _, name = shown.partition("::")
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    tests = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    tests = {found: node for found, node in tests.items() if found.startswith("test_")}
    assert tests
    chosen = [tests[name]] if name else list(tests.values())
    for test in chosen:
        marks = " ".join(ast.unparse(mark) for mark in test.decorator_list)
        assert not any(f"mark.{skip}" in marks for skip in SKIPS), test.name


def test_every_row_is_read() -> None:
    """No row of a table escapes the pattern that reads them."""
    text = (ROOT / "docs" / "promises.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    headers = [line for line in rows if line == "| promise | shown by |"]
    assert len(rows) - len(headers) == len(shown_by()) > 30


def test_a_promised_test_is_recognised() -> None:
    """Node ids of whole files, functions and parameters are told from others."""
    assert is_promised("tests/integration/test_event_stream.py::test_x[1]")
    assert is_promised(shown_by()[5].partition("[")[0]) or "::" not in shown_by()[5]
    assert not is_promised("tests/unit/docs/test_promises.py::test_every_row_is_read")
