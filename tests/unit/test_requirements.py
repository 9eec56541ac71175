"""Packages are installed by the hashes that were reviewed, and from nowhere that a file names."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PINNED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(\[[a-z0-9,-]+\])?==[^\s;]+( ;.*)?")
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


def requirements() -> list[list[str]]:
    """Every requirement with its options, one list each."""
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8").replace(" \\\n", "\n")
    found: list[list[str]] = []
    for line in text.splitlines():
        if line.startswith(" "):
            found[-1].append(line.strip())
        elif line and not line.startswith("#"):
            found.append([line.strip()])
    return found


def test_every_package_is_pinned_with_hashes() -> None:
    """One version each and at least one SHA-256; no address, no folder, no other option."""
    assert len(requirements()) > 100
    for pin, *options in requirements():
        assert PINNED.fullmatch(pin), pin
        assert options, f"{pin} has no hash"
        assert all(HASH.fullmatch(option) for option in options), options


def test_what_the_project_asks_for_is_pinned() -> None:
    """A package that is named and not pinned is there for whoever named it, and for nobody else."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    named = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    for extra in project["project"]["optional-dependencies"].values():
        named += extra
    pinned = {canonical(pin) for pin, *_ in requirements()}
    assert {canonical(name) for name in named} <= pinned


def canonical(requirement: str) -> str:
    """The package that a requirement is of, as PEP 503 compares names."""
    return re.sub(r"[-_.]+", "-", re.split(r"[^A-Za-z0-9._-]", requirement)[0]).lower()


def test_setup_installs_nothing_without_a_hash() -> None:
    """`make setup` requires hashes of everything but the project itself."""
    text = (ROOT / "scripts" / "setup.sh").read_text(encoding="utf-8")
    installs = re.findall(r"^.*(?:requirements\.txt|--requirement \S+)\s*$", text, re.MULTILINE)
    installs = [line for line in installs if " pip " in line]
    assert len(installs) == 2
    assert all("--require-hashes" in line for line in installs)
    own = re.findall(r"^.*--editable \.\s*$", text, re.MULTILINE)
    assert all("--no-deps --no-build-isolation" in line for line in own)
