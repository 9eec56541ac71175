"""Freshness: from a 202 to the next list, to the graph, and to refreshed interests.

Usage: python -m benchmarks.freshness --data-dir .interest-graph [--events 200] [--rate 20]
"""

from __future__ import annotations

import argparse
import random
import time
import uuid
from pathlib import Path

from rich.progress import track

from .report import Report, percentiles
from .target import Target, target

IN_GRAPH = "MATCH ()-[e:CLICKED {event_id: $event_id}]->() RETURN 1 AS found"
REFRESHED = """
MATCH (user:User {user_id: $user_id})-[e:CLICKED {event_id: $event_id}]->()
WHERE user.refreshed_revision = user.facts_revision AND user.stale_since IS NULL
RETURN 1 AS found"""
PATIENCE_S = 60.0


def wait_for(stack: Target, query: str, **parameters: str) -> float:
    """The moment at which a query first finds something."""
    deadline = time.perf_counter() + PATIENCE_S
    while time.perf_counter() < deadline:
        if stack.driver.execute_query(query, parameters).records:
            return time.perf_counter()
        time.sleep(0.005)
    message = f"nothing was found within {PATIENCE_S:.0f} s"
    raise TimeoutError(message)


def measure(stack: Target, count: int, rate: float, report: Report) -> None:
    """One event at a time: send, ask for the list, watch the graph."""
    chance = random.Random(3)
    pair, listed, graph, refreshed = [], [], [], []
    stale_lists = 0
    for _ in track(range(count), description="events"):
        began = time.perf_counter()
        user, item = chance.choice(stack.users[:300]), chance.choice(stack.items[:2000])
        event_id = uuid.uuid4().hex
        body = {"event_id": event_id, "user_id": user, "item_id": item, "event_type": "click"}
        sent = stack.session.post(f"{stack.url}/v1/events", json=body, timeout=30)
        accepted = time.perf_counter()
        answer = stack.session.get(f"{stack.url}/v1/users/{user}/recommendations", timeout=30)
        done = time.perf_counter()
        if answer.json()["history_revision"] < sent.json()["history_revision"]:
            stale_lists += 1
        pair.append(done - began)
        listed.append(done - accepted)
        graph.append(wait_for(stack, IN_GRAPH, event_id=event_id) - accepted)
        refreshed.append(wait_for(stack, REFRESHED, event_id=event_id, user_id=user) - accepted)
        time.sleep(max(0.0, 1 / rate - (time.perf_counter() - began)))
    report.add(what="event and next list together", **percentiles(pair))
    report.add(what="202 → next list", **percentiles(listed), lists_without_the_event=stale_lists)
    report.add(what="202 → in the graph", **percentiles(graph))
    report.add(what="202 → refreshed", **percentiles(refreshed))


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, default=Path(".interest-graph"))
    parser.add_argument("--events", type=int, default=200)
    parser.add_argument("--rate", type=float, default=20.0, help="events a second at most")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with target(options.data_dir) as stack:
        report = Report("Freshness", {**stack.described, "rate_at_most": options.rate})
        measure(stack, options.events, options.rate, report)
    report.show(options.json)


if __name__ == "__main__":
    main()
