"""`make bench`: every benchmark, resumable, with its figures in the page."""

from __future__ import annotations

import json
import re
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest

from benchmarks import __main__ as bench
from benchmarks import peer, shops
from benchmarks.figures import machines, section
from benchmarks.page_section import write_section
from benchmarks.plan import STEPS, Step

if TYPE_CHECKING:
    from collections.abc import Sequence

OUTCOME: dict[str, Any] = {
    "name": "Lists",
    "machine": {"processor": "A", "cores": 2, "commit": "0a1b2c3"},
    "command": "python -m benchmarks.lists",
    "date": "2026-11-26",
    "load_before": 0.1,
    "setup": {"items": 12101},
    "figures": [
        {"what": "bare route", "requests_per_s": {"median": 10500.0, "low": 9000, "high": 11000}},
        {"what": "lists", "requests_per_s": 3200, "of_bare_route": 0.305},
    ],
}


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_a_step_calls_a_benchmark_that_has_its_options_and_a_section(step: Step) -> None:
    """The module is there and knows every option; the page has a section of the step's name."""
    spec = find_spec(f"benchmarks.{step.module}")
    assert spec is not None
    shared = [Path(shops.__file__), Path(peer.__file__)]  # options of several benchmarks
    text = "".join(path.read_text(encoding="utf-8") for path in (Path(str(spec.origin)), *shared))
    options = {word for word in (*step.sizes, *step.quick, "--json") if word.startswith("--")}
    options |= {"--peer-url"} if step.peer else set()
    assert {option for option in options if f'"{option}"' not in text} == set()
    page = bench.PAGE.read_text(encoding="utf-8")
    assert f"<!-- {step.name}: begin -->" in page
    assert f"<!-- {step.name}: end -->" in page


def test_the_page_has_no_section_of_a_step_that_is_gone() -> None:
    """Every marker in the page is the machine's or that of a step."""
    found = re.findall(r"<!-- ([\w-]+): begin -->", bench.PAGE.read_text(encoding="utf-8"))
    assert sorted(found) == sorted(["machine", *(step.name for step in STEPS)])


def test_what_is_there_is_not_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An outcome is kept whole or not at all; the next run does only what failed or is missing."""
    ran: list[str] = []

    def process(command: Sequence[str], **_: Any) -> Any:
        ran.append(command[2].rpartition(".")[2])
        Path(command[-1]).write_text("{}", encoding="utf-8")
        return Mock(wait=lambda: int(ran[-1] == "ingest" and len(ran) < 3))

    monkeypatch.setattr("benchmarks.__main__.subprocess.Popen", process)
    asked = bench.arguments(["--quick", "--into", str(tmp_path)])
    steps = [step for step in STEPS if step.name in {"lists", "ingest"}]
    assert bench.run(steps, asked) == ["ingest"]
    assert bench.run(steps, asked) == []
    assert ran == ["lists", "ingest", "ingest"]
    assert "ingest (2 of 2): FAILED" in capsys.readouterr().err


def test_a_peer_is_measured_even_where_the_rest_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An outcome without the peer that is named does not count as done; one with it does."""
    commands: list[Sequence[str]] = []

    def process(command: Sequence[str], **_: Any) -> Any:
        commands.append(command)
        url = command[command.index("--peer-url") + 1] if "--peer-url" in command else ""
        peer = f"{url.rstrip('/')}, loaded" if url else "none"
        Path(command[-1]).write_text(json.dumps({"setup": {"peer": peer}}), encoding="utf-8")
        return Mock(wait=lambda: 0)

    monkeypatch.setattr("benchmarks.__main__.subprocess.Popen", process)
    steps = [step for step in STEPS if step.name in {"serving-beauty", "lists"}]
    words = ["--quick", "--into", str(tmp_path)]
    bench.run(steps, bench.arguments(words))
    peer = ["--peer-url", "http://gorse:1/", "--peer-key", "k", "--peer-loaded"]
    for _ in range(2):
        bench.run(steps, bench.arguments([*words, *peer]))
    assert [command[2] for command in commands] == [
        "benchmarks.serving",
        "benchmarks.lists",
        "benchmarks.serving",
    ]
    assert list(commands[2][-7:-2]) == peer


def test_a_section_says_how_it_was_measured() -> None:
    """Command, day, load, set-up and a table with medians and ranges."""
    assert section(OUTCOME).splitlines() == [
        "`python -m benchmarks.lists`: 2026-11-26, 0a1b2c3, load average before 0.1, items 12,101.",
        "",
        "| what | requests a second | of the bare route |",
        "|---|--:|--:|",
        "| bare route | 10,500 (9,000 to 11,000) |  |",
        "| lists | 3,200 | 0.305 |",
    ]


def test_machines_that_differ_are_all_named() -> None:
    """Nobody takes figures of two machines for those of one."""
    other = {**OUTCOME, "machine": {"processor": "B", "cores": 2}}
    named = machines([OUTCOME, other])
    assert "| processor | A and B |\n| cores | 2 |" in named
    assert "commit" not in named


def test_a_section_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    """What stands around the markers stays, and a page without them is an error."""
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- x: begin -->\nold\n<!-- x: end -->\nafter\n", encoding="utf-8")
    write_section(page, "x", "new")
    assert page.read_text() == "before\n<!-- x: begin -->\nnew\n<!-- x: end -->\nafter\n"
    with pytest.raises(ValueError, match="y: begin"):
        write_section(page, "y", "new")


def test_a_quick_run_prints_and_leaves_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    """Figures of small sizes never get into the page."""
    before = bench.PAGE.read_text(encoding="utf-8")
    bench.show({"lists": json.loads(json.dumps(OUTCOME))}, write=False)
    assert "| lists | 3,200 |" in capsys.readouterr().out
    assert bench.PAGE.read_text(encoding="utf-8") == before
