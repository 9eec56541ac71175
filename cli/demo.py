"""`demo`: from nothing to a list that one event has changed, on real purchases."""

from __future__ import annotations

import json
import os
import time
from contextlib import closing
from dataclasses import asdict, dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

from interest_graph.errors import InterestGraphError
from interest_graph.graph.reads import count_stale
from interest_graph.services import build_services

from .api_client import ApiClient
from .demo_choice import Candidate, choose
from .demo_story import EVENT_TYPE, K, StoryTeller, show_ways_on
from .loading.loader import LoadOptions, load
from .loading.mapping import FieldMapping
from .loading.progress_file import ProgressFile
from .loading.sink import sink_of
from .loading.source import Row
from .local_stack.paths import write_private
from .local_stack.stack import bring_up
from .local_stack.status import read_status
from .output import note
from .quality_table import show_quality
from .settings import quiet_logs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from interest_graph.services import Services
    from interest_graph.settings import Settings

    from .loading.sink import Kind
    from .local_stack.paths import StackPaths
    from .local_stack.report import Report

GRAPH_TIMEOUT_S = 900.0
# After training everything is refreshed once; on a later start little is, and nobody waits long.
FIRST_REFRESH_S = 300.0
LATER_REFRESH_S = 8.0
POLL_S = 0.2


@dataclass(frozen=True, slots=True)
class DemoState:
    """What an earlier start of the demo left behind.

    Args:
        everything: Whether all the data were loaded, or a slice.
        ends_on: The day on which the loaded data end.
        key: An API key for the person at the terminal.
        candidates: Households that the story may be about, with items they never bought.
    """

    everything: bool
    ends_on: str
    key: str
    candidates: dict[str, list[str]]


def prepare(paths: StackPaths, report: Report, *, everything: bool) -> tuple[Settings, DemoState]:
    """Start the stack, load the data and train, or reuse what an earlier start did.

    Raises:
        LocalStackError: The stack cannot be started; the remedy says what to do.
        InterestGraphError: The data did not reach the graph, or nothing could be trained.
    """
    quiet_logs()
    settings = bring_up(paths, report)
    with closing(build_services(settings)) as services:
        state = _read_state(paths)
        if state is None or state.everything != everything:
            state = _load(paths, services, report, everything=everything)
        _wait_for_graph(services, report)
        first = services.serving.head()[0] is None
        if first:
            _train(settings, report)
        _wait_for_refresh(services, report, FIRST_REFRESH_S if first else LATER_REFRESH_S)
    return settings, state


def tell_story(paths: StackPaths, settings: Settings, state: DemoState) -> None:
    """Show how well the model recommends and what the service does, with the real thing."""
    status = read_status(paths, settings)
    client = ApiClient(status.api_url, state.key)
    with closing(build_services(settings)) as services:
        candidates = [Candidate(user, tuple(items)) for user, items in state.candidates.items()]
        choice = choose(services, candidates, EVENT_TYPE, K)
        told = StoryTeller(client, services, choice).tell()
        _show_quality(services)
    show_ways_on(told, status, client)


def _show_quality(services: Services) -> None:
    """The model in service against the baselines of its training, on the latest tenth of events."""
    manifest = services.serving.head()[0]
    if manifest is None:
        return
    path = services.settings.models_dir / manifest.model_version / "metrics.json"
    metrics = json.loads(path.read_text(encoding="utf-8"))
    note("\nHow well it recommends: the latest tenth of the events, full ranking, not learned from")
    show_quality(metrics["test"], metrics["baselines"])


def _load(paths: StackPaths, services: Services, report: Report, *, everything: bool) -> DemoState:
    """Load items and purchases the way requests do, and make a key."""
    from interest_graph.api_key import ApiKeyStore

    from .complete_journey import read_complete_journey

    report("Reading The Complete Journey", 0, 1)
    journey = read_complete_journey(everything=everything)
    report("Reading The Complete Journey", 1, 1)
    ends_on = str(journey.purchases["occurred_at"].max())[:10]
    name = f"demo-{'all' if everything else 'slice'}-{ends_on}"
    parts: tuple[tuple[Kind, Iterator[dict[str, Any]], int], ...] = (
        ("items", journey.item_bodies(), journey.items.height),
        ("events", journey.event_bodies(), journey.purchases.height),
    )
    for kind, bodies, total in parts:
        what = f"Loading {total:,} {'items' if kind == 'items' else 'purchases'}"
        load(
            (Row(line, body) for line, body in zip(count(1), bodies, strict=False)),
            sink_of(kind, services),
            LoadOptions(what, FieldMapping(), total=total),
            ProgressFile(paths.data_dir / "loads", f"{name}-{kind}"),
            report,
            name_bad=_must_be_good,
        )
    key = ApiKeyStore(services.log).create(["events:write", "catalog:write", "read"], "demo")
    state = DemoState(everything, ends_on, key, journey.candidates())
    write_private(paths.data_dir / "demo.json", json.dumps(asdict(state)))
    return state


def _must_be_good(line: int, reason: str) -> None:
    """The demo's own rows are all valid; one that is not is a fault of ours."""
    msg = f"row {line} of the demo's data was not taken: {reason}"
    raise InterestGraphError(msg)


def _read_state(paths: StackPaths) -> DemoState | None:
    """What an earlier start left; none when it did not finish loading."""
    try:
        return DemoState(**json.loads((paths.data_dir / "demo.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _wait_for_graph(services: Services, report: Report) -> None:
    """Wait until every accepted event is in Neo4j."""
    what = "Writing them into the graph"
    total = services.events.length()
    deadline = time.monotonic() + GRAPH_TIMEOUT_S
    while left := services.events.length():
        total = max(total, left)
        report(what, total - left, total)
        if time.monotonic() > deadline:
            msg = f"{left} events are still not in the graph; read the log of the ingest worker"
            raise InterestGraphError(msg)
        time.sleep(POLL_S)
    if total:
        report(what, total, total)


def _train(settings: Settings, report: Report) -> None:
    """Train the first model with every core: nothing is served meanwhile."""
    cores = str(os.cpu_count() or 1)
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(variable, cores)
    from workers.training import train_model

    train_model(
        settings,
        force=True,
        progress=lambda what, done, total, _: report(f"Training: {what}", done, total),
    )


def _wait_for_refresh(services: Services, report: Report, patience_s: float) -> None:
    """Wait until nothing in the graph is stale, so that what follows is the effect of one event."""
    what = "Refreshing interests"
    deadline = time.monotonic() + patience_s
    total = 0
    while left := _stale(services):
        total = max(total, left)
        report(what, total - left, total)
        if time.monotonic() > deadline:
            return
        time.sleep(POLL_S)
    if total:
        report(what, total, total)


def _stale(services: Services) -> int:
    """Nodes that wait for a refresh."""
    row = services.graph.read(count_stale)
    return int(row["stale_users"]) + int(row["stale_items"])
