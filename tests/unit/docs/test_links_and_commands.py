"""What the pages point to exists: links, files, commands, options, targets of make."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import typer.main

from cli.main import app

ROOT = Path(__file__).resolve().parents[3]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
PATH = re.compile(
    r"`((?:api|cli|cypher|docs|interest_graph|models|scripts|tests|workers|\.ci)/[\w./-]*)`"
)

on_every_page = pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))


def prose(text: str) -> str:
    """A page without its code blocks."""
    return FENCE.sub("", text)


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose(path.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}


def shell_lines(text: str) -> list[str]:
    """The lines of every shell block, continued lines joined, comments dropped."""
    blocks = [body for kind, body in FENCE.findall(text) if kind in {"sh", "bash"}]
    joined = "\n".join(blocks).replace("\\\n", " ")
    return [line.split(" #")[0].strip() for line in joined.splitlines()]


@on_every_page
def test_links_lead_somewhere(path: Path) -> None:
    """A link within the repository names a file, and its anchor a heading of that file."""
    for target in LINK.findall(prose(path.read_text(encoding="utf-8"))):
        if re.match(r"https?:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file), target


@on_every_page
def test_files_named_in_the_text_exist(path: Path) -> None:
    """A path of the repository in code font is there."""
    for name in PATH.findall(path.read_text(encoding="utf-8")):
        assert (ROOT / name).exists(), name


def command_line_of(words: list[str]) -> tuple[Any, list[str]]:
    """The command that the words name, and what is left of them."""
    command: Any = typer.main.get_command(app)
    while hasattr(command, "commands"):
        assert words, "a command is missing"
        assert words[0] in command.commands, words[0]
        command, words = command.commands[words[0]], words[1:]
    return command, words


@on_every_page
def test_commands_in_the_text_exist(path: Path) -> None:
    """Every `interest-graph …` in a code block or in code font is a command with those options."""
    text = path.read_text(encoding="utf-8")
    inline = re.findall(r"`(interest-graph [^`]+)`", prose(text))
    found = [*inline, *shell_lines(text)]
    calls = [re.search(r"\binterest-graph ((?:[a-z]|--help)[^|;)]*)", line) for line in found]
    for call in filter(None, calls):
        words = call[1].split()
        if words[0].startswith("--"):
            continue
        command, rest = command_line_of(words)
        options = {name for parameter in command.params for name in parameter.opts}
        for word in rest:
            if word.startswith("-") and word != "-":
                assert word.split("=")[0] in options | {"--help", "-h"}, call[0]


@on_every_page
def test_targets_of_make_exist(path: Path) -> None:
    """Every `make …` in a code block or in code font is a target of the Makefile."""
    text = path.read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    inline = re.findall(r"`make ([a-z]+)[^`]*`", prose(text))
    lines = [re.match(r"make ([a-z]+)", line) for line in shell_lines(text)]
    named = {*inline, *(line[1] for line in lines if line)}
    assert named <= targets


def test_the_first_screen_is_the_two_commands_and_the_picture() -> None:
    """Within its first twenty lines the README says how to start and how to test, and shows why."""
    first = "\n".join((ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:20])
    assert "make demo" in first
    assert "make test" in first
    assert "docs/images/loop.svg" in first


@pytest.mark.parametrize("path", sorted((ROOT / "docs" / "images").glob("*.svg")), ids=str)
def test_pictures_can_be_read_in_the_dark_and_by_a_screen_reader(path: Path) -> None:
    """Every picture has a title, a description and colours for dark pages, and loads nothing."""
    text = path.read_text(encoding="utf-8")
    tags = {element.tag.rpartition("}")[2] for element in ET.fromstring(text).iter()}  # noqa: S314 our own file
    assert {"title", "desc"} <= tags
    assert "prefers-color-scheme: dark" in text
    assert "href" not in text


def test_decisions_are_numbered_and_listed() -> None:
    """The decision records are numbered without a gap, listed, and have their three parts."""
    folder = ROOT / "docs" / "adr"
    records = sorted(folder.glob("0*.md"))
    index = (folder / "README.md").read_text(encoding="utf-8")
    assert [record.name[:4] for record in records] == [
        f"{n:04}" for n in range(1, len(records) + 1)
    ]
    for record in records:
        assert f"({record.name})" in index
        parts = re.findall(r"^## (\w+)", record.read_text(encoding="utf-8"), re.MULTILINE)
        assert parts == ["Context", "Decision", "Consequences"]


def test_the_changelog_keeps_its_form() -> None:
    """It has an unreleased part and one for the version in `pyproject.toml`."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    version = re.search(
        r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert version
    assert "## [Unreleased]" in text
    assert f"## [{version[1]}]" in text
