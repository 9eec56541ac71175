"""Ingest: events accepted a second, and events in Neo4j a second, next to a bare batched MERGE.

Usage: python -m benchmarks.ingest [--events 100000] [--json FILE]

Neo4j compiles what it runs, so that it takes several times as long right after its start; rounds
before those that count are for that, and the first of them is reported apart. Each has users of its
own: accepting an event costs more the longer its user's history is.
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson

from cli.local_stack.paths import StackPaths
from cli.local_stack.process import start, stop
from cli.local_stack.programs import INGEST, REFRESH, programs
from cli.local_stack.stack import bring_down, bring_up
from interest_graph.event_stream import EventStream
from interest_graph.redis_client import connect

from .report import Report, spread
from .target import Target, target

CLIENTS = 8
BATCH = 100
BARE_BATCHES = 1000, 4000
BARE_MERGE = """
UNWIND $rows AS row
MERGE (user:BareUser {user_id: row.user_id})
MERGE (item:BareItem {item_id: row.item_id})
MERGE (user)-[event:BARE {event_id: row.event_id}]->(item)
ON CREATE SET event.occurred_at = datetime()
"""


def made_events(count: int, prefix: str) -> list[dict[str, Any]]:
    """Seeded events of 2,000 users of their own with 5,000 items of skewed popularity."""
    chance = random.Random(11)
    return [
        {
            "event_id": f"{prefix}-{number}",
            "user_id": f"user-{prefix}-{chance.randrange(2000)}",
            "item_id": f"item-{int(chance.paretovariate(0.9)) % 5000}",
            "event_type": chance.choice(["view", "click", "purchase"]),
        }
        for number in range(count)
    ]


def send(stack: Target, bodies: list[bytes]) -> None:
    """One client's requests, one after the other on one connection.

    Raises:
        RuntimeError: One was not answered by 202.
    """
    place = urlsplit(stack.url)
    with closing(HTTPConnection(place.hostname or "", place.port, timeout=60)) as connection:
        for body in bodies:
            connection.request("POST", "/v1/events", body, _headers(stack))
            answer = connection.getresponse()
            answer.read()
            if answer.status != HTTPStatus.ACCEPTED:
                message = f"events were answered by {answer.status}"
                raise RuntimeError(message)


def _headers(stack: Target) -> dict[str, str]:
    """What every request says of itself."""
    return {"Authorization": f"Bearer {stack.token}", "Content-Type": "application/json"}


def accepted_per_s(stack: Target, events: list[dict[str, Any]]) -> float:
    """Events accepted a second by eight clients, whose batches of 100 are ready before."""
    bodies = [orjson.dumps(events[i : i + BATCH]) for i in range(0, len(events), BATCH)]
    with ThreadPoolExecutor(CLIENTS) as pool:
        began = time.perf_counter()
        clients = [pool.submit(send, stack, bodies[first::CLIENTS]) for first in range(CLIENTS)]
        for client in clients:
            client.result()
        return len(events) / (time.perf_counter() - began)


def accepted_each_second_synced(stack: Target, events: list[dict[str, Any]]) -> float:
    """The same with a log that is synced once a second, as the setting `durability` allows."""
    with closing(connect(stack.settings.log_url, stack.settings)) as client:
        client.config_set("appendfsync", "everysec")
        try:
            return accepted_per_s(stack, events)
        finally:
            client.config_set("appendfsync", "always")


def into_graph_per_s(stack: Target, paths: StackPaths, events: int) -> float:
    """Events a second that the ingest worker moves into Neo4j, once it runs."""
    with closing(connect(stack.settings.log_url, stack.settings)) as client:
        log = EventStream(client, stack.settings)
        start(next(p for p in programs(paths, stack.settings) if p.name == INGEST), paths)
        while log.length() == events:
            time.sleep(0.01)
        began = time.perf_counter()
        while log.length():
            time.sleep(0.01)
        return events / (time.perf_counter() - began)


def bare_merge_per_s(stack: Target, events: list[dict[str, Any]], batch: int) -> float:
    """The baseline: the same rows by a plain batched MERGE with the same constraints."""
    for label, key in (("BareUser", "user_id"), ("BareItem", "item_id")):
        stack.driver.execute_query(
            f"CREATE CONSTRAINT IF NOT EXISTS FOR (n:{label}) REQUIRE n.{key} IS UNIQUE"
        )
    stack.driver.execute_query(
        "CREATE CONSTRAINT IF NOT EXISTS FOR ()-[e:BARE]-() REQUIRE e.event_id IS UNIQUE"
    )
    began = time.perf_counter()
    for first in range(0, len(events), batch):
        stack.driver.execute_query(BARE_MERGE, rows=events[first : first + batch])
    return len(events) / (time.perf_counter() - began)


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--warm-up", type=int, default=2, help="rounds before those that count")
    parser.add_argument("--workers", type=int, default=2, help="API processes")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    os.environ["INTEREST_GRAPH_API_WORKERS"] = str(options.workers)
    with tempfile.TemporaryDirectory() as folder:
        paths = StackPaths(Path(folder))
        try:
            bring_up(paths)
            with target(paths.data_dir) as stack:
                setup = {"clients": CLIENTS, "batch": BATCH, "rounds": options.rounds}
                setup["warm_up"] = options.warm_up
                report = Report("Ingest", {**stack.described, **setup, "events": options.events})
                measure(stack, paths, options, report)
        finally:
            bring_down(paths)
    report.show(options.json)


def measure(stack: Target, paths: StackPaths, options: argparse.Namespace, report: Report) -> None:
    """Rounds of: accept without the ingest worker, let it work, the baseline."""
    stop(paths, [REFRESH], grace_s=20)  # what it does afterwards is not ingest
    every = [
        one_round(stack, paths, options.events, f"round-{number}")
        for number in range(options.warm_up + options.rounds)
    ]
    if options.warm_up:
        _, _, graph, bare = every[0]
        ratio = round(graph / bare, 2)
        report.add(what="into Neo4j, right after its start", events_per_s=graph, of_bare=ratio)
        report.add(what="bare batched MERGE, after that", events_per_s=bare)
    counted = every[options.warm_up :]
    synced, every_second, graphs, bares = (spread(values) for values in zip(*counted, strict=True))
    ratios = spread([round(graph / bare, 2) for _, _, graph, bare in counted])
    report.add(what="accepted by REST, fsynced", events_per_s=synced)
    report.add(what="accepted by REST, everysec", events_per_s=every_second)
    report.add(what="into Neo4j, exactly once", events_per_s=graphs, of_bare=ratios)
    report.add(what="bare batched MERGE", events_per_s=bares)


def one_round(
    stack: Target, paths: StackPaths, count: int, name: str
) -> tuple[float, float, float, float]:
    """Events a second: accepted with each write synced, with one sync a second, in Neo4j, bare.

    The baseline is the better of two sizes of its batches.
    """
    stop(paths, [INGEST], grace_s=20)
    sets = [made_events(count, f"{name}-{number}") for number in range(2)]
    synced = accepted_per_s(stack, sets[0])
    every_second = accepted_each_second_synced(stack, sets[1])
    graph = into_graph_per_s(stack, paths, _length(stack))
    bare = max(map(partial(bare_merge_per_s, stack), sets, BARE_BATCHES))
    return round(synced), round(every_second), round(graph), round(bare)


def _length(stack: Target) -> int:
    """Entries in the log."""
    with closing(connect(stack.settings.log_url, stack.settings)) as client:
        return EventStream(client, stack.settings).length()


if __name__ == "__main__":
    main()
