"""Freshness: from a 202 to the next list, to the graph, and to refreshed interests, under load.

Usage: python -m benchmarks.freshness [--shop beauty] [--seconds 600] [--events-per-s 200]
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .bare_route import bare_route
from .load import OpenLoop, closed_loop, need
from .probe import probes
from .report import Report, percentiles
from .shops import add_shop_options, measured_stack, note, wait_until_quiet
from .traffic import events_of, lists_of, warm_up

if TYPE_CHECKING:
    from .target import Target

BARE_CONNECTIONS = 32
BARE_S = 5.0
FACTS = "MATCH (:User)-[event:VIEWED|CLICKED]->(:Item) RETURN count(event) AS events"


def measure(stack: Target, options: argparse.Namespace, report: Report) -> None:
    """Clicks that are followed, events and lists, all at constant rates.

    The same traffic runs before, so that Neo4j has compiled what it runs. A bare route alone, at
    the beginning and at the end, tells how quick the machine is.
    """
    bare = {"before": bare_alone(stack)}
    warm_up(stack, options.lists_per_s, options.events_per_s, options.warm_up)
    note("warm")
    wait_until_quiet(stack.settings)
    before, last_due = facts(stack), time.monotonic() + options.seconds
    with (
        OpenLoop(events_of(stack), options.events_per_s, options.seconds) as events,
        OpenLoop(lists_of(stack), options.lists_per_s, options.seconds) as lists,
    ):
        clicks = probes(stack, options.seconds, options.probes_per_s, _say)
        if options.clicks:
            lines = (json.dumps(asdict(one)) + "\n" for one in clicks)
            options.clicks.write_text("".join(lines), encoding="utf-8")
        found = {"events": events.result()}
        wait_until_quiet(stack.settings)
        drain_s = time.monotonic() - last_due
        found["lists"] = lists.result()
    bare["after"] = bare_alone(stack)
    sent = round(options.events_per_s * options.seconds) - found["events"]["errors"]
    counted = facts(stack) - before - len(clicks)
    report.add(what="event and next list together", **percentiles([one.pair_s for one in clicks]))
    stale = sum(not one.reflected for one in clicks)
    report.add(
        what="202 → next list",
        **percentiles([one.listed_s for one in clicks]),
        lists_without_the_event=stale,
    )
    report.add(what="202 → in the graph", **percentiles([one.in_graph_s for one in clicks]))
    report.add(what="202 → refreshed", **percentiles([one.refreshed_s for one in clicks]))
    for what, figures in found.items():
        report.add(what=f"{what} meanwhile", **figures)
    report.add(what="events meanwhile that are facts", count=counted, sent=sent)
    for when, figures in bare.items():
        report.add(what=f"bare route alone, {when}", **figures)
    report.add(what="all refreshed after the last was due", seconds=round(drain_s, 1))


def bare_alone(stack: Target) -> dict[str, Any]:
    """What a bare route of the same server answers while nothing else is asked for."""
    with bare_route(stack.settings.api_workers) as bare:
        closed_loop(bare, BARE_CONNECTIONS, BARE_S)  # every process is up before anything counts
        return closed_loop(bare, BARE_CONNECTIONS, BARE_S)


def _say(seconds: float, clicks: int) -> None:
    note(f"after {seconds:.0f} s {clicks} clicks are followed")


def facts(stack: Target) -> int:
    """Views and clicks in the graph."""
    return int(stack.driver.execute_query(FACTS).records[0]["events"])


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_shop_options(parser)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--warm-up", type=float, default=120.0, help="seconds of traffic before")
    parser.add_argument("--events-per-s", type=float, default=200.0, help="that come in meanwhile")
    parser.add_argument("--lists-per-s", type=float, default=500.0, help="asked for meanwhile")
    parser.add_argument("--probes-per-s", type=float, default=5.0, help="events that are followed")
    parser.add_argument("--clicks", type=Path, help="write the moments of each click, JSON lines")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    need("oha", "wrk")
    with measured_stack(options.shop, options.workers, options.data_dir) as stack:
        setup = {"shop": options.shop, **stack.described}
        for name in ("seconds", "warm_up", "events_per_s", "lists_per_s", "probes_per_s"):
            setup[name] = getattr(options, name)
        report = Report("Freshness", setup)
        measure(stack, options, report)
    report.show(options.json)


if __name__ == "__main__":
    main()
