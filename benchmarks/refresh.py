"""Where the time and the database hits of a refresh go: statements, encoders, the rest.

    python -m benchmarks.refresh --events 100000

Users and items of a made graph (`growth.py`) are refreshed by the functions that update workers
call, one at a time and many at once. A part's time is its own, without that of parts within it.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections import defaultdict
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import numpy as np

from interest_graph import refresh_items as items_module
from interest_graph import refresh_users as users_module
from interest_graph.graph.lean_driver import neo4j
from interest_graph.graph.store import GraphStore
from interest_graph.published_model import ModelShelf
from interest_graph.serving_state import ServingState
from models.item_encoder import ItemEncoder

from .graph_import import item_id, user_id
from .growth import COUNTED, MARK, graph_of
from .hits import by_operator, name_of, profiled
from .report import Report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from interest_graph.services import Services

    from .made_events import MadeEvents

REST = "the rest: rows and ids in Python"


@dataclass
class Parts:
    """How long each part of some work took by itself, in seconds."""

    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    _within: list[float] = field(default_factory=list)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """A part, without the parts within it."""
        began = time.perf_counter()
        self._within.append(0.0)
        try:
            yield
        finally:
            took = time.perf_counter() - began
            self.seconds[name] += took - self._within.pop()
            if self._within:
                self._within[-1] += took

    def timed(self, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        """The same work, as a part."""

        def measured(*args: Any, **more: Any) -> Any:
            with self.part(name):
                return work(*args, **more)

        return measured

    @contextmanager
    def watching(self) -> Iterator[None]:
        """What a refresh calls is a part meanwhile."""
        run = neo4j.ManagedTransaction.run

        def statement(tx: Any, query: str, *args: Any, **more: Any) -> list[Any]:
            with self.part(name_of(query)):
                return list(run(tx, query, *args, **more))

        parts = (
            (GraphStore, "read", "transactions: begin, commit"),
            (GraphStore, "write", "transactions: begin, commit"),
            (ServingState, "head", "Redis"),
            (ServingState, "publish", "Redis"),
            (users_module, "interest", "interest encoder"),
            (items_module, "text_embeddings", "text embeddings, from the graph"),
            (items_module, "item_subgraph", "subgraph as arrays"),
            (ItemEncoder, "encode_items", "graph encoder"),
        )
        with ExitStack() as stack:
            stack.enter_context(patch.object(neo4j.ManagedTransaction, "run", statement))
            for owner, name, part in parts:
                work = self.timed(part, getattr(owner, name))
                stack.enter_context(patch.object(owner, name, work))
            yield


@dataclass(frozen=True, slots=True)
class Work:
    """Nodes of one kind that are refreshed.

    Args:
        name: What it is.
        ids: Of the nodes; the first one is refreshed alone.
        mark: Makes them stale.
        refresh: Refreshes some.
    """

    name: str
    ids: Sequence[str]
    mark: str
    refresh: Callable[[Sequence[str]], object]


def works(services: Services, events: MadeEvents, many: int) -> list[Work]:
    """Median users, median items with an event more, and the same when a neighbour moved."""
    graph, serving, settings = services.graph, services.serving, services.settings
    shelf = ModelShelf(settings.models_dir, serving)
    version = shelf.current(serving.head()[0]).model_version
    encoder = ItemEncoder.load(settings.models_dir / version, threads=1)
    users = [user_id(n) for n in _middle(np.bincount(events.user), many)]
    items = [item_id(n) for n in _middle(np.bincount(events.item), many)]

    def of_users(ids: Sequence[str]) -> object:
        return users_module.refresh_users(ids, graph, serving, shelf, settings)

    def of_items(ids: Sequence[str]) -> object:
        return items_module.refresh_items(ids, graph, serving, shelf, encoder, settings)

    mark = partial(MARK.format, label="Item", key="item_id")
    return [
        Work("users", users, MARK.format(label="User", key="user_id"), of_users),
        Work("items with an event more", items, COUNTED, of_items),
        Work("items whose neighbour moved", items, mark(), of_items),
    ]


def _middle(counts: Any, many: int) -> list[int]:
    """Numbers of those with about the median of events."""
    order = np.argsort(counts, kind="stable")
    first = max(0, len(order) // 2 - many // 2)
    return [int(number) for number in order[first : first + many]]


def measure(services: Services, work: Work, options: argparse.Namespace, report: Report) -> None:
    """One kind of node: each part's time for one and for many, and hits a node."""

    def stale(ids: Sequence[str]) -> Sequence[str]:
        services.graph.write(lambda tx: tx.run(work.mark, ids=list(ids)).consume())
        return ids

    times: dict[int, dict[str, list[float]]] = {}
    for count in (1, len(work.ids)):
        of_parts = times[count] = defaultdict(list)
        until = time.monotonic() + options.warm_up
        while time.monotonic() < until:
            work.refresh(stale(work.ids[:count]))
        for _ in range(options.repeats):
            ids, parts = stale(work.ids[:count]), Parts()
            with parts.watching(), parts.part(REST):
                work.refresh(ids)
            parts.seconds["all of it"] = sum(parts.seconds.values())
            for name, seconds in parts.seconds.items():
                of_parts[name].append(seconds * 1000)
    stale(work.ids)
    with profiled() as hits:
        work.refresh(work.ids)
    for name in times[len(work.ids)]:
        found = hits.get(name)
        row: dict[str, Any] = {"of": work.name, "part": name}
        for count, of_parts in times.items():
            row[f"{count}_ms"] = round(statistics.median(of_parts.get(name, [0.0])), 2)
        row["hits_a_node"] = round(found.total() / len(work.ids), 1) if found else None
        row["by_operator"] = by_operator(found, len(work.ids)) if found else None
        report.add(**row)


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser("python -m benchmarks.refresh", description=__doc__)
    parser.add_argument("--events", type=int, default=100_000, help="of the made graph")
    parser.add_argument("--many", type=int, default=64, help="nodes that are refreshed at once")
    parser.add_argument("--repeats", type=int, default=30, help="refreshes a median is of")
    parser.add_argument("--warm-up", type=float, default=15.0, help="seconds before each counts")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    setup = {name: value for name, value in vars(options).items() if name != "json"}
    report = Report("Where a refresh goes", setup)
    with graph_of(options.events, lambda text: print(text, file=sys.stderr)) as (services, events):
        for work in works(services, events, options.many):
            measure(services, work, options, report)
    report.show(options.json)


if __name__ == "__main__":
    main()
