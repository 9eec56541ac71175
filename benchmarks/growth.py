"""What one change costs on graphs of 10⁵, 10⁶ and 10⁷ events: time, and database hits.

    python -m benchmarks.growth --events 100000,1000000

A change is an event: its user and its item become stale and are refreshed, by the functions that
update workers call. Graphs are made once for each size and seed, imported offline, and kept. The
servers of all graphs run at the same time, and their refreshes take turns.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.progress import track

from cli.local_stack.endpoints import choose_endpoints
from cli.local_stack.neo4j_server import NEO4J, start_neo4j
from cli.local_stack.paths import StackPaths, cache_dir
from cli.local_stack.process import stop
from cli.local_stack.redis_server import REDIS, redis_url, start_redis
from cypher.statement import paths as statements
from interest_graph.graph.schema import migrate
from interest_graph.published_model import ModelShelf
from interest_graph.refresh_items import refresh_items
from interest_graph.refresh_users import refresh_users
from interest_graph.roll_out import roll_out
from interest_graph.services import Services, build_services
from interest_graph.settings import Settings
from models.item_encoder import ItemEncoder

from .graph_import import import_graph, item_id, user_id
from .hits import profiled
from .made_events import GENERATOR, make_events
from .report import Report
from .untrained_model import publish_untrained

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from .made_events import MadeEvents

READY = "ready"
PASSWORD = "a-graph-of-made-events"  # noqa: S105 of a store that holds nothing
SEED = 0

COUNT = "MATCH ()-[event:{type}]->() RETURN count(event) AS events"
MARK = """
UNWIND $ids AS id
MATCH (n:{label} {{{key}: id}})
SET n.facts_revision = n.facts_revision + 1, n.stale_since = datetime()
"""
COUNTED = """
UNWIND $ids AS id
MATCH (n:Item {item_id: id})
SET n.facts_revision = n.facts_revision + 1, n.stale_since = datetime(),
  n.event_count = coalesce(n.event_count, 0) + 1,
  n.popularity = n.popularity * CASE n.event_count % 2 WHEN 0 THEN 1.05 ELSE 1 / 1.05 END
"""
"""An event, and popularity that moves by enough to be published: up, and down the next time."""


@dataclass(frozen=True, slots=True)
class Change:
    """Whose event it is.

    Args:
        name: What is special about it.
        user: Number of the user.
        item: Number of the item.
    """

    name: str
    user: int
    item: int


def changes(events: MadeEvents) -> list[Change]:
    """The median user, the heaviest, and the median one with the most popular item."""
    of_user = np.bincount(events.user, minlength=events.users)
    of_item = np.bincount(events.item, minlength=events.items)
    users, items = np.argsort(of_user, kind="stable"), np.argsort(of_item, kind="stable")
    median, usual = int(users[len(users) // 2]), int(items[len(items) // 2])
    fans = np.unique(events.user[events.item == items[-1]])
    fan = int(fans[np.argsort(of_user[fans], kind="stable")[len(fans) // 2]])
    return [
        Change("median user", median, usual),
        Change("heaviest user", int(users[-1]), usual),
        Change("median user of the most popular item", fan, int(items[-1])),
    ]


@contextmanager
def graph_of(count: int, note: Callable[[str], None]) -> Iterator[tuple[Services, MadeEvents]]:
    """A running Neo4j and Redis with the graph of that many events, and a model in service."""
    schema = statements("schema")[-1].removeprefix("schema/")
    folder = cache_dir() / "made-graphs" / f"{count}-{SEED}-{GENERATOR}-{schema}"
    paths = StackPaths(folder)
    paths.make()
    chosen = choose_endpoints(preferred=False)
    endpoints = type(chosen)(
        chosen.bolt_port, chosen.browser_port, chosen.redis_port, chosen.api_port, PASSWORD
    )
    try:
        start_redis(paths, endpoints.redis_port)
        log = redis_url(paths.redis_home, endpoints.redis_port)
        settings = Settings(
            neo4j_uri=endpoints.neo4j_uri,
            neo4j_password=PASSWORD,
            log_url=log,
            serving_url=log,
            broker_url=endpoints.broker_url,
            models_dir=paths.models,
        )
        note(f"{count:,} events: making them")
        events = make_events(count, SEED)
        if not (folder / READY).exists():
            note("importing them")
            import_graph(events, paths, endpoints, settings)
        start_neo4j(paths, endpoints)
        services = build_services(settings)
        if not (folder / READY).exists():
            _complete(services, events, note)
            (folder / READY).touch()
        yield services, events
        services.close()
    finally:
        stop(paths, [NEO4J, REDIS], grace_s=60)


def _complete(services: Services, events: MadeEvents, note: Callable[[str], None]) -> None:
    """Add indexes, and what a model in service adds."""
    settings = services.settings
    found = sum(_count(services, name) for name in settings.relationships)
    if found != len(events.user):
        msg = f"{found} of {len(events.user)} events were imported"
        raise RuntimeError(msg)
    note("indexes")
    migrate(services.graph, settings)
    services.graph.write(lambda tx: tx.run("CALL db.awaitIndexes(3600)").consume(), 3600)
    note("a model, without training")
    directory = publish_untrained(events, settings.models_dir, settings)
    note("rolling it out")
    encoder = ItemEncoder.load(directory)
    roll_out(directory, {}, encoder, services.graph, services.serving, settings)


def _count(services: Services, relationship: str) -> int:
    """Events of a type."""
    text = COUNT.format(type=relationship)
    return int(services.graph.read(lambda tx: tx.run(text).single(strict=True)["events"]))


class NotRefreshedError(Exception):
    """A node that was made stale was not written: the figures would be of nothing."""


class Refresher:
    """Makes nodes stale and refreshes them, as update workers do.

    Args:
        services: The core's ports.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        settings = services.settings
        self._shelf = ModelShelf(settings.models_dir, services.serving)
        model = self._shelf.current(services.serving.head()[0])
        self._encoder = ItemEncoder.load(settings.models_dir / model.model_version, threads=1)

    def user(self, change: Change) -> float:
        """Refresh the user of a change; the seconds it takes."""
        name = user_id(change.user)
        self._mark(MARK.format(label="User", key="user_id"), name)
        services = self._services
        began = time.perf_counter()
        done = refresh_users(
            [name], services.graph, services.serving, self._shelf, services.settings
        )
        took_s = time.perf_counter() - began
        if done.written != 1:
            raise NotRefreshedError(name)
        return took_s

    def item(self, change: Change) -> float:
        """Refresh the item of a change, whose popularity moved; the seconds it takes."""
        return self._item(change, COUNTED)

    def moved(self, change: Change) -> float:
        """Refresh the same item as after a neighbour moved, with its embedding; the seconds."""
        return self._item(change, MARK.format(label="Item", key="item_id"))

    def _item(self, change: Change, mark: str) -> float:
        name = item_id(change.item)
        self._mark(mark, name)
        services = self._services
        began = time.perf_counter()
        written = refresh_items(
            [name],
            services.graph,
            services.serving,
            self._shelf,
            self._encoder,
            services.settings,
        )
        took_s = time.perf_counter() - began
        if written != [name]:
            raise NotRefreshedError(name)
        return took_s

    @property
    def parts(self) -> tuple[Callable[[Change], float], ...]:
        """The refreshes that are measured: user, item, item that moved."""
        return self.user, self.item, self.moved

    def hits(self, work: Callable[[Change], float], change: Change) -> int:
        """Database hits of a refresh."""
        with profiled() as found:
            work(change)
        return sum(hits.total() for hits in found.values())

    def _mark(self, mark: str, name: str) -> None:
        """Make a node stale, outside of what is measured."""
        self._services.graph.write(lambda tx: tx.run(mark, ids=[name]).consume())


@dataclass(frozen=True, slots=True)
class Case:
    """A change on a graph.

    Args:
        events: Of the graph.
        change: Whose event it is.
        refresher: Refreshes in that graph.
    """

    events: MadeEvents
    change: Change
    refresher: Refresher

    def seconds(self) -> tuple[float, ...]:
        """What each part of the refresh takes once."""
        return tuple(part(self.change) for part in self.refresher.parts)


def medians_ms(cases: Sequence[Case], warm_up: int, repeats: int) -> list[tuple[float, ...]]:
    """Median time of each part of each case, in milliseconds.

    All graphs by turns, so that what the machine does otherwise meets all alike, and each Neo4j has
    compiled as much as the others.

    Args:
        cases: What is refreshed.
        warm_up: Turns before those that count.
        repeats: Turns that a median is of.
    """
    turns = [
        [case.seconds() for case in cases]
        for _ in track(range(warm_up + repeats), "refreshing", console=Console(stderr=True))
    ]
    return [
        tuple(statistics.median(part) * 1000 for part in zip(*each, strict=True))
        for each in zip(*turns[warm_up:], strict=True)
    ]


def measure(
    sizes: Sequence[int],
    options: argparse.Namespace,
    report: Report,
    note: Callable[[str], None],
) -> None:
    """Measure every change on graphs of so many events, whose servers all run."""
    with ExitStack() as stack:
        cases = []
        for size in sizes:
            services, events = stack.enter_context(graph_of(size, note))
            refresher = Refresher(services)
            cases += [Case(events, change, refresher) for change in changes(events)]
        medians = medians_ms(cases, options.warm_up, options.repeats)
        for case, times in zip(cases, medians, strict=True):
            report.add(**figures_of(case, times))


def figures_of(case: Case, times: tuple[float, ...]) -> dict[str, object]:
    """The row of a case: events of its user and item, times, hits, and time next to the item's."""
    user_ms, _, moved_ms = times
    events, change = case.events, case.change
    hits = [case.refresher.hits(part, change) for part in case.refresher.parts]
    return {
        "events": len(events.user),
        "change": change.name,
        "user_events": int((events.user == change.user).sum()),
        "item_events": int((events.item == change.item).sum()),
        **{
            f"{part}_{unit}": round(figure, 1)
            for unit, figures in (("ms", times), ("hits", hits))
            for part, figure in zip(("user", "item", "item_moved"), figures, strict=True)
        },
        "user_of_item_moved": round(user_ms / moved_ms, 2),
    }


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser("python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--events", default="100000,1000000", help="sizes, such as 100000,1000000")
    parser.add_argument("--repeats", type=int, default=100, help="refreshes a figure is made of")
    parser.add_argument("--warm-up", type=int, default=800, help="refreshes before it counts")
    parser.add_argument("--json", type=Path, help="write the figures there as well")
    options = parser.parse_args()
    sizes = [int(size) for size in options.events.split(",")]
    setup = {"repeats": options.repeats, "warm_up": options.warm_up}
    report = Report("What one change costs as the graph grows", setup)
    measure(sizes, options, report, lambda text: print(text, file=sys.stderr))
    report.show(options.json)


if __name__ == "__main__":
    main()
