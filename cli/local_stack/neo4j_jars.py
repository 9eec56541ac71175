"""Neo4j Community as jars from Maven Central, kept for every clone on this machine."""

from __future__ import annotations

import fcntl
import hashlib
import re
import shutil
import subprocess
import tempfile
from importlib.resources import files
from pathlib import Path

from .errors import ELSEWHERE, LocalStackError
from .java import find_maven
from .paths import cache_dir
from .report import Report, silent

EXPECTED_DOWNLOADS = 214
FETCHING = "Fetching Neo4j's jars"
LAST_LINES = 15


def pom() -> str:
    """The Maven project that names Neo4j's jars."""
    return files(__package__).joinpath("pom.xml").read_text(encoding="utf-8")


def neo4j_version() -> str:
    """The version of Neo4j that the local stack runs, as `pom.xml` pins it."""
    match = re.search(r"<neo4j.version>([\d.]+)</neo4j.version>", pom())
    if match is None:
        msg = "pom.xml names no neo4j.version"
        raise LocalStackError(msg, "restore cli/local_stack/pom.xml from the repository")
    return match[1]


def jars_directory() -> Path:
    """Where the jars of this `pom.xml` are, or will be."""
    digest = hashlib.sha256(pom().encode()).hexdigest()[:8]
    return cache_dir() / f"neo4j-{neo4j_version()}" / f"lib-{digest}"


def fetch_jars(report: Report = silent) -> Path:
    """Make sure that the jars are here, and say where.

    One process at a time fetches; the folder appears only when it is complete.

    Raises:
        LocalStackError: Maven is missing or could not fetch them.
    """
    jars = jars_directory()
    if jars.is_dir():
        return jars
    jars.parent.mkdir(parents=True, exist_ok=True)
    with (jars.parent / "fetch.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not jars.is_dir():
            _fetch(find_maven(), jars, report)
    return jars


def _fetch(maven: Path, jars: Path, report: Report) -> None:
    """Let Maven copy the jars into a folder beside `jars`, then move it there at once."""
    with tempfile.TemporaryDirectory(dir=jars.parent, prefix="fetch-") as folder:
        (Path(folder) / "pom.xml").write_text(pom(), encoding="utf-8")
        command = [
            *(str(maven), "--batch-mode", "--file", folder),
            *("dependency:copy-dependencies", "-DincludeScope=runtime"),
            f"-DoutputDirectory={folder}/lib",
        ]
        lines = _run(command, report)
        fetched = Path(folder) / "lib"
        if not any(fetched.glob("neo4j-server-*.jar")):
            msg = "Maven could not fetch Neo4j:\n" + "\n".join(lines[-LAST_LINES:])
            raise LocalStackError(
                msg,
                "check that Maven reaches its repository (`mvn dependency:get "
                f"-Dartifact=org.neo4j:neo4j:{neo4j_version()}`) and try again. {ELSEWHERE}",
            )
        shutil.move(fetched, jars)


def _run(command: list[str], report: Report) -> list[str]:
    """Run Maven, counting the jars it downloads, and return what it printed."""
    lines: list[str] = []
    downloaded = 0
    report(FETCHING, 0, EXPECTED_DOWNLOADS)
    with subprocess.Popen(  # noqa: S603 Maven from the user's own path, arguments are ours
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as maven:
        for line in maven.stdout or ():
            lines.append(line.rstrip())
            if "Downloaded " in line and ".jar" in line:
                downloaded += 1
                report(FETCHING, min(downloaded, EXPECTED_DOWNLOADS - 1), EXPECTED_DOWNLOADS)
    report(FETCHING, EXPECTED_DOWNLOADS, EXPECTED_DOWNLOADS)
    return lines
