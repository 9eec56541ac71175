"""A stack of one's own by the command line alone: up, key, load, status, down, up again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

ITEMS = "sku,name,kind\n" + "".join(f"s{n},Thing {n},Home > Kind {n % 3}\n" for n in range(30))
EVENTS = "who,sku,moment\n" + "".join(
    f"u{n % 5},s{n % 30},2026-01-01T00:00:{n % 60:02d}Z\n" for n in range(300)
)


class Shell:
    """Runs commands against one data directory.

    Args:
        data_dir: Directory of the stack.
    """

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one command as a shell does."""
        command = [sys.executable, "-m", "cli", *arguments, "--data-dir", str(self.data_dir)]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)  # noqa: S603

    def json(self, *arguments: str) -> Any:
        """The JSON that a command prints."""
        ended = self.run(*arguments, "--json")
        assert ended.stdout, ended.stderr
        return json.loads(ended.stdout)


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A stack that is up, and is taken down whatever happens."""
    made = Shell(tmp_path_factory.mktemp("stack") / "data")
    ended = made.run("up", "--detach", "--json")
    try:
        assert ended.returncode == 0, ended.stderr
        yield made
    finally:
        made.run("down")


def _call(url: str, key: str) -> int:
    """Status of a GET."""
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {key}"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 the test's own stack
        return int(answer.status)


def test_status_says_that_it_is_ready(shell: Shell) -> None:
    """Every process runs, nothing is missing, and the addresses are on loopback."""
    status = shell.json("status")
    assert status["ready"] is True
    assert status["dead"] == []
    assert set(status["pids"]) == {"api", "ingest", "refresh", "training", "redis", "neo4j"}
    assert status["api_url"].startswith("http://127.0.0.1:")


def test_a_key_opens_the_api(shell: Shell) -> None:
    """A key that was made works at once, is listed without its secret, and can be revoked."""
    made = shell.json("key", "create", "--scope", "read", "--name", "test")
    url = shell.json("status")["api_url"]
    assert _call(f"{url}/v1/items?limit=1", made["key"]) == 200
    listed = shell.json("key", "list")["items"]
    assert [key["key_id"] for key in listed if key["name"] == "test"] == [made["key_id"]]
    assert made["key"] not in json.dumps(listed)
    assert shell.run("key", "revoke", made["key_id"]).returncode == 0
    assert shell.json("key", "list")["items"] == []


def test_files_are_loaded_into_the_graph(shell: Shell, tmp_path: Path) -> None:
    """Items and events of CSV files arrive in Neo4j; loading them again changes nothing."""
    items, events = tmp_path / "items.csv", tmp_path / "events.csv"
    items.write_text(ITEMS, encoding="utf-8")
    events.write_text(EVENTS, encoding="utf-8")
    load_items = ["load", "items", str(items), "-m", "item_id=sku", "-m", "title=name"]
    assert shell.json(*load_items, "-m", "categories=kind")["new"] == 30
    load_events = ["load", "events", str(events), "-m", "user_id=who", "-m", "item_id=sku"]
    load_events += ["-m", "occurred_at=moment", "--set", "event_type=purchase"]
    assert shell.json(*load_events)["new"] == 300
    for _ in range(150):
        status = shell.json("status")
        if status["log_length"] == 0 and status["graph"]["users"] == 5:
            break
        time.sleep(0.2)
    assert status["graph"] == {"users": 5, "items": 30, "categories": 4}
    for left in (shell.data_dir / "loads").iterdir():
        left.unlink()
    assert shell.json(*load_events)["duplicates"] == 300


def test_a_dead_process_is_reported_and_started_again(shell: Shell) -> None:
    """Status names it and ends with 3; `up` starts it and leaves the others alone."""
    before = shell.json("status")["pids"]
    os.kill(before["ingest"], 9)
    time.sleep(0.5)
    ended = shell.run("status", "--json")
    assert ended.returncode == 3
    assert json.loads(ended.stdout)["dead"] == ["ingest"]
    assert shell.run("up", "--detach").returncode == 0
    after = shell.json("status")["pids"]
    assert after["ingest"] != before["ingest"]
    del after["ingest"], before["ingest"]
    assert after == before


def test_what_was_written_is_there_after_down_and_up(shell: Shell) -> None:
    """Down ends every process; up finds the graph and the keys again."""
    key = shell.json("key", "create", "--scope", "read", "--name", "kept")
    graph = shell.json("status")["graph"]
    assert shell.run("down").returncode == 0
    ended = shell.run("status", "--json")
    assert ended.returncode == 3
    assert json.loads(ended.stdout)["pids"] == {}
    assert shell.run("up", "--detach").returncode == 0
    status = shell.json("status")
    assert status["graph"] == graph
    assert _call(f"{status['api_url']}/v1/items?limit=1", key["key"]) == 200
