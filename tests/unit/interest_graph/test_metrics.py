"""The instruments, in one process and shared by several."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

from interest_graph.metrics import build_metrics

if TYPE_CHECKING:
    from pathlib import Path

WORK = """
import sys
from pathlib import Path
from interest_graph.metrics import build_metrics
metrics = build_metrics(Path(sys.argv[1]))
metrics.events_accepted.labels("view").inc(2)
metrics.log_entries.set(int(sys.argv[2]))
print(metrics.exposition().decode())
"""
UNITS = ("_total", "_seconds", "_bytes", "_ratio", "_info")


def test_names_follow_the_rules() -> None:
    """Every name has the prefix and says its unit, or counts things; no label is an id."""
    metrics = build_metrics(None)
    for family in metrics.registry.collect():
        assert family.name.startswith("interest_graph_")
        name = family.name + ("_total" if family.type == "counter" else "")
        counts_things = family.type == "gauge" and family.name.endswith(
            ("entries", "letters", "nodes", "partitions")
        )
        assert name.endswith(UNITS) or counts_things, name
        for sample in family.samples:
            assert not {"user_id", "item_id", "event_id"} & sample.labels.keys()


def test_processes_are_summed(tmp_path: Path) -> None:
    """Counters of all processes add up, those of ended ones too; a gauge shows its newest value."""
    text = ""
    for entries in ("5", "3"):
        command = [sys.executable, "-c", WORK, str(tmp_path), entries]
        run = subprocess.run(  # noqa: S603 our own code
            command, capture_output=True, text=True, check=True, env={**os.environ}
        )
        text = run.stdout
    assert re.search(r'events_accepted_total\{event_type="view"\} 4.0', text)
    assert re.search(r"log_entries 3.0", text)


def test_a_forked_process_has_values_of_its_own(tmp_path: Path) -> None:
    """API processes are forked when their instruments are there: none writes another's file."""
    fork = "import os\nif os.fork(): os.wait()\nmetrics.events_accepted.labels('view').inc(1)\n"
    command = [sys.executable, "-c", WORK + fork, str(tmp_path), "5"]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603 our own code
    assert len(list(tmp_path.glob("counter_*.db"))) == 2
    last = [sys.executable, "-c", WORK, str(tmp_path), "5"]
    text = subprocess.run(last, check=True, capture_output=True, text=True).stdout  # noqa: S603
    assert re.search(r'events_accepted_total\{event_type="view"\} 6.0', text)


def test_a_request_is_counted_by_method_route_and_status() -> None:
    """Requests of one kind count as one series, with what they took."""
    metrics = build_metrics(None)
    for status in (200, 200, 404):
        metrics.count_request("GET", "/v1/items", status, 0.5)
    text = metrics.exposition().decode()
    own = r'http_requests_total\{method="GET",route="/v1/items",status="%d"\} %s'
    assert re.search(own % (200, "2.0"), text)
    assert re.search(own % (404, "1.0"), text)
    assert re.search(r'duration_seconds_sum\{method="GET",route="/v1/items"\} 1.5', text)


def test_only_the_model_in_service_has_a_series() -> None:
    """After a roll-out the model before has no series; before the first there is none."""
    metrics = build_metrics(None)
    assert "model_info{" not in metrics.exposition().decode()
    metrics.exposition("v1")
    text = metrics.exposition("v2").decode()
    assert 'interest_graph_model_info{model_version="v2"} 1.0' in text
    assert "v1" not in text
