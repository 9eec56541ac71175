"""Shops of real histories to measure on: made once by an offline import, then copied and started.

The model's weights are random: they cost what learned ones cost, and nobody waits for a training.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cli.evaluation.find import find_data_set
from cli.local_stack.endpoints import choose_endpoints, settle_endpoints
from cli.local_stack.paths import StackPaths, cache_dir, write_private
from cli.local_stack.stack import bring_down, bring_up
from interest_graph.graph.reads import count_stale
from interest_graph.rebuild import ServingRebuild
from interest_graph.roll_out import roll_out
from interest_graph.services import build_services
from interest_graph.settings import Settings
from models.item_encoder import ItemEncoder

from .graph_import import import_graph
from .made_events import GENERATOR, MadeEvents, make_events
from .target import target
from .untrained_model import publish_untrained

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Iterator

    from cli.local_stack.neo4j_configuration import Neo4jMemory
    from interest_graph.interaction_graph import InteractionGraph
    from interest_graph.services import Services

    from .target import Target

SETS = {"beauty": "beauty", "journey": "complete-journey-all"}
"""Data sets as `interest-graph evaluate` calls them."""
SHOPS = ("small", *SETS)
SMALL = 20_000
EDGES = 50
DATA = "../shared/data"
READY = "ready"
PATIENCE_S = 3600.0
ENCODED_NOW = "MATCH (item:Item) SET item.encoded_at = datetime()"
"""A day after its encoding an item is encoded anew; a kept shop is to be as if made now."""
PURCHASE = list(Settings().event_types).index("purchase")


def add_shop_options(parser: ArgumentParser) -> None:
    """Options that say on which shop, and with how many API processes."""
    parser.add_argument("--shop", choices=SHOPS, default="beauty")
    parser.add_argument("--workers", type=int, default=2, help="API processes")
    parser.add_argument("--data-dir", type=Path, help="measure a stack that runs already instead")


@contextmanager
def measured_stack(
    shop: str, workers: int, data_dir: Path | None, memory: Neo4jMemory | None = None
) -> Iterator[Target]:
    """A running stack: a copy of a shop that is thrown away afterwards, or one that runs already.

    Args:
        shop: One of `SHOPS`.
        workers: API processes.
        data_dir: Data directory of a stack that runs already.
        memory: Of a copy's Neo4j; by default what the local stack gives it.
    """
    if data_dir is not None:
        with target(data_dir) as stack:
            yield stack
        return
    kept = kept_shop(shop)
    os.environ["INTEREST_GRAPH_API_WORKERS"] = str(workers)
    with tempfile.TemporaryDirectory(prefix="shop-") as folder:
        paths = StackPaths(Path(folder, shop))
        sockets = shutil.ignore_patterns("*.sock")
        shutil.copytree(kept.data_dir, paths.data_dir, ignore=sockets)
        try:
            settings = bring_up(paths, memory=memory)
            wait_until_quiet(settings)
            with target(paths.data_dir) as stack:
                stack.driver.execute_query(ENCODED_NOW)
                yield stack
        finally:
            bring_down(paths)


def kept_shop(name: str) -> StackPaths:
    """The stack of a shop, not running; made now if it has never been."""
    made = "" if name in SETS else f"-{GENERATOR}"
    paths = StackPaths(cache_dir() / "shops" / f"{name}-{EDGES}{made}")
    if not (paths.data_dir / READY).exists():
        note(f"the shop {name} is made, once: {paths.data_dir}")
        bring_down(paths)
        shutil.rmtree(paths.data_dir, ignore_errors=True)
        paths.make()
        _make(name, paths)
        (paths.data_dir / READY).touch()
    return paths


def _make(name: str, paths: StackPaths) -> None:
    """Import the graph, publish a model, fill the serving state, refresh everything."""
    endpoints = choose_endpoints(preferred=False)
    write_private(paths.endpoints_file, json.dumps(asdict(endpoints)))
    events = read_shop(name)
    note(f"{len(events.user):,} events of {events.users:,} users with {events.items:,} items")
    import_graph(events, paths, settle_endpoints(paths, ()), Settings())
    try:
        settings = bring_up(paths)
        note("indexes, a model, the serving state")
        with closing(build_services(settings)) as services:
            graph = services.graph
            graph.write(lambda tx: tx.run("CALL db.awaitIndexes(3600)").consume(), PATIENCE_S)
            ServingRebuild(graph, services.log, services.events, settings).run()
            directory = publish_untrained(events, settings.models_dir, settings, EDGES)
            encoder = ItemEncoder.load(directory)
            roll_out(directory, {}, encoder, graph, services.serving, settings)
        wait_until_quiet(settings)
    finally:
        bring_down(paths)


def read_shop(name: str) -> MadeEvents:
    """The events of a shop, the newest now.

    Raises:
        InvalidInputError: Its data are not there.
    """
    if name not in SETS:
        return make_events(SMALL)
    root = Path(os.environ.get("INTEREST_GRAPH_DATA", DATA))
    return events_of(find_data_set(SETS[name], root).graph, int(time.time() * 1000))


def events_of(graph: InteractionGraph, now_ms: int) -> MadeEvents:
    """Real events as purchases, moved in time so that the newest is now."""
    time_ms = (graph.event_time * 1000).astype(np.int64)
    time_ms += now_ms - time_ms.max()
    order = np.argsort(time_ms, kind="stable")
    groups = [categories[0] if categories else 0 for categories in graph.item_categories]
    _, group_of_item = np.unique(groups, return_inverse=True)
    return MadeEvents(
        graph.event_user[order],
        graph.event_item[order],
        np.full(len(order), PURCHASE),
        time_ms[order],
        group_of_item.astype(np.int64),
        len(graph.user_ids),
    )


def wait_until_quiet(settings: Settings) -> None:
    """Wait until the log is empty and nothing is stale.

    Raises:
        TimeoutError: It takes more than an hour.
    """
    deadline = time.monotonic() + PATIENCE_S
    with closing(build_services(settings)) as services:
        while left := services.events.length() + stale_nodes(services):
            if time.monotonic() > deadline:
                message = f"{left:,} entries and stale nodes are left"
                raise TimeoutError(message)
            note(f"{left:,} entries and stale nodes are left")
            time.sleep(min(10.0, 0.5 + left / 5000))


def stale_nodes(services: Services) -> int:
    """Nodes that wait for a refresh."""
    row = services.graph.read(count_stale)
    return int(row["stale_users"]) + int(row["stale_items"])


def note(text: str) -> None:
    """Say how far it is."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")
