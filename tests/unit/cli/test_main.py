"""The command line: quick help, examples everywhere, exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import typer.main

from cli.main import app

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import click


def _run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command line as a shell does."""
    command = [sys.executable, "-m", "cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, timeout=60)  # noqa: S603


def _commands() -> Iterator[tuple[str, click.Command]]:
    """Every command with its full name."""
    waiting = [("", typer.main.get_command(app))]
    while waiting:
        name, command = waiting.pop()
        parts = getattr(command, "commands", None)
        if parts is None:
            yield name.strip(), command
        else:
            waiting += [(f"{name} {part}", parts[part]) for part in parts]


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    """Neither the driver nor torch, polars or Flask is needed to read the help."""
    code = "import sys, cli.main; print([m for m in sys.modules])"
    command = [sys.executable, "-c", code]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)  # noqa: S603
    for heavy in ("'torch'", "'neo4j'", "'polars'", "'flask'", "'pydantic'", "'celery'"):
        assert heavy not in loaded.stdout


@pytest.mark.parametrize(("name", "command"), sorted(_commands(), key=lambda pair: pair[0]))
def test_every_help_has_an_example(name: str, command: click.Command) -> None:
    """Whoever asks for help sees a line to copy, with this command in it."""
    assert f"Example: interest-graph {name}" in (command.help or "")


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["load", "things", "x.csv"],
        ["load", "items", "missing.csv"],
        ["key", "create"],
    ],
)
def test_wrong_usage_ends_with_2(tmp_path: Path, arguments: list[str]) -> None:
    """A misspelt command, kind, file or missing option is the caller's mistake."""
    assert _run(*arguments, cwd=tmp_path).returncode == 2


def test_what_is_not_up_ends_with_3_and_a_remedy(tmp_path: Path) -> None:
    """A script can tell "not ready" from "broken"; a person reads what to do."""
    (tmp_path / "settings.env").write_text(
        "INTEREST_GRAPH_LOG_URL=redis://127.0.0.1:1/0\n", encoding="utf-8"
    )
    ended = _run("key", "list", "--data-dir", str(tmp_path), cwd=tmp_path)
    assert ended.returncode == 3
    assert "interest-graph up" in ended.stderr
    assert ended.stdout == ""
    assert "Traceback" not in ended.stderr


def test_status_of_nothing_is_not_ready(tmp_path: Path) -> None:
    """The JSON has the fields that scripts rely on, whatever is away."""
    settings = {"LOG_URL": "redis://127.0.0.1:1/0", "BROKER_URL": "redis://127.0.0.1:1/1"}
    settings |= {"SERVING_URL": settings["LOG_URL"], "NEO4J_URI": "bolt://127.0.0.1:1"}
    lines = [f"INTEREST_GRAPH_{name}={value}\n" for name, value in settings.items()]
    (tmp_path / "settings.env").write_text("".join(lines), encoding="utf-8")
    ended = _run("status", "--json", "--data-dir", str(tmp_path), cwd=tmp_path)
    assert ended.returncode == 3
    found = json.loads(ended.stdout)
    assert found["ready"] is False
    assert list(found)[:4] == ["ready", "api_url", "neo4j_uri", "redis_url"]
    assert {"pids", "versions", "queue_lengths", "log_length", "stale_backlog"} <= set(found)
    assert set(found["dead"]) == {"api", "ingest", "refresh", "training", "redis", "neo4j"}
    assert {"redis", "neo4j"} <= set(found["missing"])


def test_secrets_are_masked(tmp_path: Path) -> None:
    """`config show` masks passwords, alone and inside URLs, unless asked to reveal them."""
    (tmp_path / "settings.env").write_text(
        "INTEREST_GRAPH_NEO4J_PASSWORD=hunter22\n"
        "INTEREST_GRAPH_LOG_URL=redis://:hunter33@cache:6379/0\n",
        encoding="utf-8",
    )
    arguments = ("config", "show", "--data-dir", str(tmp_path))
    for extra in ((), ("--json",)):
        shown = _run(*arguments, *extra, cwd=tmp_path)
        assert shown.returncode == 0
        assert "hunter" not in shown.stdout + shown.stderr
    revealed = json.loads(_run(*arguments, "--json", "--reveal", cwd=tmp_path).stdout)
    assert revealed["neo4j_password"] == "hunter22"  # noqa: S105
    assert "hunter33" in revealed["log_url"]


def test_wrong_settings_are_named(tmp_path: Path) -> None:
    """A setting that cannot be is named, without a trace."""
    text = "INTEREST_GRAPH_API_PORT=many\n"
    (tmp_path / "settings.env").write_text(text, encoding="utf-8")
    ended = _run("config", "show", "--data-dir", str(tmp_path), cwd=tmp_path)
    assert ended.returncode == 2
    assert "api_port" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_openapi_needs_nothing_that_runs(tmp_path: Path) -> None:
    """The document goes to stdout and nothing else does."""
    printed = _run("openapi", cwd=tmp_path)
    assert printed.returncode == 0
    assert json.loads(printed.stdout)["openapi"].startswith("3.1")


def test_doctor_gives_a_remedy_for_what_is_wrong(tmp_path: Path) -> None:
    """Every ✗ has an arrow below it; the exit code says whether there was one."""
    examined = _run("doctor", "--json", "--data-dir", str(tmp_path), cwd=tmp_path)
    found = json.loads(examined.stdout)
    assert examined.returncode == (0 if found["ok"] else 1)
    for finding in found["findings"]:
        assert finding["ok"] or finding["remedy"]
    assert {"Python", "memory", "disk"} <= {finding["name"] for finding in found["findings"]}
