"""Memory: an API process with a large catalogue, and what each user, item and event takes.

Usage: python -m benchmarks.memory [--items 100000] [--workers 2]

Shops of random weights differ in one number each; the difference of their memory is what one more
takes. What Neo4j takes on disk comes from the graphs that `benchmarks.growth` keeps, if there are
two of them.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import redis
import requests

from cli.local_stack.paths import cache_dir
from interest_graph.item_matrix import ItemDelta
from interest_graph.serving_state import ServingState
from models.interest_encoder import InterestEncoderConfig

from .lists import lists_of_shop, served
from .load import closed_loop, need
from .pss import MB, child_pss_mb
from .random_shop import VERSION, RandomShop, ShopSize, random_shop
from .report import Report
from .shops import note

if TYPE_CHECKING:
    from collections.abc import Iterable

FEW = 100
"""Users who are asked for, so that what a process remembers of users is not among its figures."""
WARM_UP_S, CONNECTIONS = 5.0, 16
NEW_ITEMS = 50
"""There is one new item for so many."""
REFRESHED = 128
"""Items that one delta has."""
BATCH = 500
MILLION = 1_000_000
GB = 1e9


class Found(NamedTuple):
    """Memory of a shop.

    Args:
        api_mb: PSS of an API process.
        redis_mb: What Redis holds, without events that wait.
        event_bytes: What Redis holds for an event that waits for the graph.
        grown_mb: PSS of an API process after new items, if that was asked for.
        moved_mb: The same after every item has moved, too.
    """

    api_mb: float
    redis_mb: float
    event_bytes: float
    grown_mb: float = 0.0
    moved_mb: float = 0.0


def memory_of(size: ShopSize, workers: int, events: int, *, aged: bool = False) -> Found:
    """Serve a shop, ask for many lists, send events that nobody takes, and look.

    Args:
        size: Of the shop.
        workers: API processes.
        events: How many to send.
        aged: Publish new items, and all items with other embeddings and edges, and look again.
    """
    note(f"{size}")
    with random_shop(size) as shop, served(shop, workers) as server:
        client = redis.Redis.from_url(shop.settings.serving_url)
        held = _used_mb(client)
        few = lists_of_shop(shop, server.url)
        few = replace(few, paths=few.paths[:FEW])

        def look() -> float:
            closed_loop(few, CONNECTIONS, WARM_UP_S)
            # The others are not API processes: they track resources.
            return mean(sorted(child_pss_mb(server.pid))[-workers:])

        found = look()
        before = _used_mb(client)
        _send(shop, server.url, events)
        waiting = (_used_mb(client) - before) * MB / events
        if not aged:
            return Found(found, held, waiting)
        item_ids = [f"item-{row:06}" for row in range(size.items)]
        _publish(shop, [f"new-{row}" for row in range(size.items // NEW_ITEMS)], item_ids, size)
        grown = look()
        _publish(shop, item_ids, item_ids, size)
        return Found(found, held, waiting, grown, look())


def _publish(shop: RandomShop, moved: list[str], item_ids: list[str], size: ShopSize) -> None:
    """Publish items with random embeddings and edges, as refreshes do."""
    serving = ServingState(redis.Redis.from_url(shop.settings.serving_url), shop.settings)
    rng, dim = np.random.default_rng(1), InterestEncoderConfig().dim
    for start in range(0, len(moved), REFRESHED):
        part = moved[start : start + REFRESHED]
        places = rng.integers(0, len(item_ids), (len(part), size.edges))
        edges = [[item_ids[place] for place in line] for line in places.tolist()]
        weights = rng.random(places.shape).tolist()
        embeddings = rng.normal(0, 0.1, (len(part), dim)).astype(np.float32)
        bias = np.zeros(len(part), np.float32)
        serving.publish(ItemDelta(0, VERSION, part, embeddings, bias, edges, weights))


def _send(shop: RandomShop, url: str, count: int) -> None:
    """Send events, which stay in the log, since no ingest worker runs."""
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {shop.token}"
        for begin in range(0, count, BATCH):
            batch = [
                {
                    "user_id": shop.users[n % len(shop.users)],
                    "item_id": "item",
                    "event_type": "view",
                }
                for n in range(begin, min(begin + BATCH, count))
            ]
            session.post(f"{url}/v1/events", json=batch, timeout=60).raise_for_status()


def _used_mb(client: redis.Redis) -> float:
    """What Redis has allocated for data."""
    return float(client.info("memory")["used_memory_dataset"]) / MB


def store_bytes_of_event(folders: Iterable[Path]) -> float | None:
    """What an event takes in Neo4j's store, with its share of users and items; None if unknown.

    Args:
        folders: Data directories of stacks, each named by its number of events.
    """
    sizes = sorted((int(one.name.partition("-")[0]), _store_bytes(one)) for one in folders)
    if len(sizes) < 2:  # noqa: PLR2004 a difference is of two
        return None
    (few, small), (many, large) = sizes[0], sizes[-1]
    return (large - small) / (many - few)


def _store_bytes(data_dir: Path) -> int:
    """Size of a graph on disk, transaction logs aside."""
    store = data_dir / "neo4j" / "data" / "databases" / "neo4j"
    return sum(file.stat().st_size for file in store.rglob("*") if file.is_file())


def measure(options: argparse.Namespace, report: Report) -> None:
    """The large catalogue first, then one number less at a time."""
    large = ShopSize(items=options.items, users=options.users, events=options.events)
    fewer_items = replace(large, items=options.items // 10)
    fewer_users = replace(large, users=options.users // 10)
    whole, items, users = (
        memory_of(size, options.workers, options.waiting, aged=size is large)
        for size in (large, fewer_items, fewer_users)
    )
    more_items, more_users = large.items - fewer_items.items, large.users - fewer_users.users
    report.add(
        what=f"an API process, PSS, {large.items:,} items with {large.edges} edges",
        mb=round(whole.api_mb, 1),
    )
    report.add(
        what=f"the same after {large.items // NEW_ITEMS:,} new items", mb=round(whole.grown_mb, 1)
    )
    report.add(what="and after every item has moved", mb=round(whole.moved_mb, 1))
    report.add(what="the same without items", mb=round(items.api_mb - _tenth(whole, items), 1))
    store = store_bytes_of_event((cache_dir() / "made-graphs").glob("*-*"))
    for what, size in (
        ("an item, in an API process", (whole.api_mb - items.api_mb) * MB / more_items),
        ("an item, in Redis", (whole.redis_mb - items.redis_mb) * MB / more_items),
        (
            f"a user with {large.events} events, in Redis",
            (whole.redis_mb - users.redis_mb) * MB / more_users,
        ),
        ("an event that waits for the graph, in Redis", whole.event_bytes),
        ("an event in Neo4j on disk, with its part of users and items", store),
    ):
        known = {} if size is None else {"bytes": round(size), "gb_a_million": size * MILLION / GB}
        report.add(what=what, **{name: round(value, 3) for name, value in known.items()})


def _tenth(whole: Found, items: Found) -> float:
    """What a tenth of the items takes of an API process."""
    return (whole.api_mb - items.api_mb) / 9


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--users", type=int, default=20_000)
    parser.add_argument("--events", type=int, default=50, help="in the history of each user")
    parser.add_argument("--waiting", type=int, default=20_000, help="events that are not taken")
    parser.add_argument("--workers", type=int, default=2, help="API processes")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    need("wrk")
    report = Report("Memory", {n: v for n, v in vars(options).items() if n != "json"})
    measure(options, report)
    report.show(options.json)


if __name__ == "__main__":
    main()
