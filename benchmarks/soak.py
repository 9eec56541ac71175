"""A soak: hours of nothing but the usual, and whether anything grows: memory, delays, the log.

Usage: python -m benchmarks.soak [--shop beauty] [--minutes 20] [--share 0.5]

Lists come at a share of the throughput that a short closed loop of 32 connections finds, events at
a constant rate.
"""

from __future__ import annotations

import argparse
import os
import time
from collections import defaultdict
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import linregress

from cli.local_stack.neo4j_configuration import Neo4jMemory
from cli.local_stack.paths import StackPaths
from cli.local_stack.process import read_process
from cli.local_stack.programs import API
from interest_graph.services import build_services

from .bare_route import bare_route
from .load import OpenLoop, Requests, closed_loop, need
from .probe import probe
from .pss import mapped_mb, stack_pss_mb
from .report import Report
from .shops import add_shop_options, measured_stack, note, stale_nodes
from .traffic import events_of, lists_of, warm_up

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .target import Target

    Values = NDArray[np.float64]

CONNECTIONS = 32
PEAK_S = 20.0
BARE_REQUESTS = 21
Series = dict[str, list[float]]


def watch(
    stack: Target, bare: Requests, seconds: float, every_s: float
) -> tuple[list[float], Series]:
    """Samples while the load goes on.

    Args:
        stack: The service.
        bare: A bare route beside it: what it takes is how quick the machine is at that moment.
        seconds: How long.
        every_s: Seconds between samples.

    Returns:
        When samples were taken, in minutes, and by name what was found.
    """
    paths = StackPaths(stack.data_dir)
    times, series = [], defaultdict(list)
    began = time.monotonic()
    with closing(build_services(stack.settings)) as services:
        while (passed := time.monotonic() - began) < seconds:
            times.append(passed / 60)
            sample = {f"{name}, PSS MB": mb for name, mb in stack_pss_mb(paths).items()}
            sample[f"{API}, of it mapped files, MB"] = _mapped_mb(paths, API)
            sample["entries in the log"] = services.events.length()
            sample["stale nodes"] = stale_nodes(services)
            found = probe(stack, len(times))
            sample["202 → next list, ms"] = found.listed_s * 1000
            sample["202 → in the graph, ms"] = found.in_graph_s * 1000
            sample["bare route, ms"] = _median_ms(stack, bare)
            for name, value in sample.items():
                series[name].append(float(value))
            note(f"{passed / 60:.1f} of {seconds / 60:.1f} minutes: {sample}")
            time.sleep(max(0.0, began + len(times) * every_s - time.monotonic()))
    return times, dict(series)


def _mapped_mb(paths: StackPaths, name: str) -> float:
    """What mapped files take of a process and its children."""
    process = read_process(paths, name)
    return 0.0 if process is None else mapped_mb(process.pid)


def _median_ms(stack: Target, bare: Requests) -> float:
    """Milliseconds of a bare request, one after the other."""
    took = []
    for _ in range(BARE_REQUESTS):
        began = time.perf_counter()
        stack.session.get(bare.url + bare.paths[0], timeout=30).raise_for_status()
        took.append(time.perf_counter() - began)
    return float(np.median(took)) * 1000


def growth_rows(times: Sequence[float], series: Series) -> list[dict[str, Any]]:
    """Of each series its beginning and end (medians of a third each), its highest, its slopes.

    A slope stands with its standard error: what is less than twice as much is not told from noise.
    What moves in steps and drifts, as memory does, is less certain than that.

    Args:
        times: Minutes.
        series: Values at these times.
    """
    minutes, rows = np.asarray(times), []
    third = max(1, len(minutes) // 3)
    for name, found in series.items():
        values = np.asarray(found)
        slope, error = _slope(minutes, values)
        late, late_error = _slope(minutes[len(minutes) // 2 :], values[len(values) // 2 :])
        figures = {
            "first_third": np.median(values[:third]),
            "last_third": np.median(values[-third:]),
            "highest": values.max(),
            "slope_per_minute": slope,
            "standard_error": error,
            "slope_of_the_last_half": late,
            "standard_error_of_that": late_error,
        }
        rows.append({"what": name, **{key: round(float(v), 2) for key, v in figures.items()}})
    return rows


def _slope(minutes: Values, values: Values) -> tuple[float, float]:
    """Of a straight line through some samples, and its standard error; zeros where none is told."""
    if len(minutes) < 3 or not np.ptp(values):  # noqa: PLR2004 a line goes through any two
        return 0.0, 0.0
    line = linregress(minutes, values)
    return float(line.slope), float(line.stderr)


def measure(stack: Target, options: argparse.Namespace, report: Report) -> None:
    """Find the peak, then load, warm up and watch, then say what grew."""
    lists, events = lists_of(stack), events_of(stack)
    closed_loop(lists, CONNECTIONS, PEAK_S)  # every process loads its model
    best = closed_loop(lists, CONNECTIONS, PEAK_S)
    peak = best["requests_per_s"]
    report.add(what=f"lists, {CONNECTIONS} connections: the peak", **best)
    rate, seconds = max(1.0, options.share * peak), options.minutes * 60
    note(f"{peak} lists a second at most; {rate:.0f} for {options.minutes:g} minutes")
    warm_up(stack, rate, options.events_per_s, options.warm_up * 60)
    with (
        bare_route(1) as bare,
        OpenLoop(lists, rate, seconds) as loop,
        OpenLoop(events, options.events_per_s, seconds) as sender,
    ):
        times, series = watch(stack, bare, seconds, options.every)
        found = {"lists": loop.result(), "events": sender.result()}
    for what, figures in found.items():
        report.add(what=f"{what} at a constant rate", **figures)
    for row in growth_rows(times, series):
        report.add(**row)


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_shop_options(parser)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--warm-up", type=float, default=12.0, help="minutes of the same before")
    parser.add_argument(
        "--user-memory-mib",
        type=int,
        default=8,
        help="of an API process for users it remembers: so little that it is full before it counts",
    )
    parser.add_argument(
        "--duplicate-window-s",
        type=int,
        default=300,
        help="how long Redis remembers an event's id: as many come as go before it counts",
    )
    parser.add_argument(
        "--history-events",
        type=int,
        default=10,
        help="newest events of a history: most users have as many before it counts",
    )
    parser.add_argument("--heap-mb", type=int, default=384, help="Neo4j's heap, from the start")
    parser.add_argument("--page-cache-mb", type=int, default=64, help="of Neo4j: full early on")
    parser.add_argument("--share", type=float, default=0.5, help="of the throughput of lists")
    parser.add_argument("--events-per-s", type=float, default=50.0)
    parser.add_argument("--every", type=float, default=10.0, help="seconds between samples")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    need("wrk", "oha")
    bounds = ("user_memory_mib", "duplicate_window_s", "history_events")
    for name in bounds:
        os.environ[f"INTEREST_GRAPH_{name.upper()}"] = str(getattr(options, name))
    for name in ("again_events", "interest_events", "repeat_events"):  # no more than a history
        os.environ[f"INTEREST_GRAPH_{name.upper()}"] = str(options.history_events)
    memory = Neo4jMemory(options.heap_mb, options.page_cache_mb, options.heap_mb)
    with measured_stack(options.shop, options.workers, options.data_dir, memory) as stack:
        setup = {"shop": options.shop, **stack.described}
        sizes: tuple[str, ...] = (*bounds, "heap_mb", "page_cache_mb")
        if options.data_dir is not None:
            sizes = ()  # a stack that runs already has bounds of its own
        for name in ("minutes", "warm_up", *sizes, "share", "events_per_s"):
            setup[name] = getattr(options, name)
        report = Report("Soak", setup)
        measure(stack, options, report)
    report.show(options.json)


if __name__ == "__main__":
    main()
