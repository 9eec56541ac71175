"""Lists of a random shop by number of items and events, next to a bare route of the same server.

Usage: python -m benchmarks.lists [--items 12101] [--events 9] [--workers 2] [--json FILE]

Only the API runs, on a Redis of its own: what serving costs and nothing else. `benchmarks.serving`
measures the same on a whole stack.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cli.local_stack.ports import free_port
from cli.local_stack.programs import api_command

from .bare_route import bare_route, wait_until_it_answers
from .load import Requests, closed_loop, need
from .random_shop import RandomShop, ShopSize, environment_of, random_shop
from .report import Report

if TYPE_CHECKING:
    from collections.abc import Iterator


CONNECTIONS = (1, 8, 32)


class Server(NamedTuple):
    """A running API: where it answers, and the process whose children serve."""

    url: str
    pid: int


@contextmanager
def served(shop: RandomShop, workers: int) -> Iterator[Server]:
    """The API on a shop while this lasts."""
    update = {"api_port": free_port(), "api_workers": workers}
    settings = shop.settings.model_copy(update=update)
    process = subprocess.Popen(  # noqa: S603 our own arguments
        [sys.executable, "-m", *api_command(settings)],
        env=environment_of(shop),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://{settings.api_host}:{settings.api_port}"
    try:
        wait_until_it_answers(f"{url}/v1/health/live")
        yield Server(url, process.pid)
    finally:
        process.terminate()
        process.wait()


def lists_of_shop(shop: RandomShop, url: str) -> Requests:
    """Personal lists of its users."""
    paths = [f"/v1/users/{user}/recommendations?k=10" for user in shop.users]
    return Requests(url, paths, {"Authorization": f"Bearer {shop.token}"})


def measure(shop: RandomShop, options: argparse.Namespace, report: Report) -> None:
    """Lists and the bare route by turns, at each concurrency."""
    with served(shop, options.workers) as server, bare_route(options.workers) as bare:
        lists = lists_of_shop(shop, server.url)
        closed_loop(lists, 8, 5)  # every process loads the model before anything counts
        for connections in CONNECTIONS:
            for turn in range(options.turns):
                base = closed_loop(bare, connections, options.seconds)
                ours = closed_loop(lists, connections, options.seconds)
                ratio = round(ours["requests_per_s"] / base["requests_per_s"], 3)
                place = {"connections": connections, "turn": turn + 1}
                report.add(what="bare route", **place, **base)
                report.add(what="lists, k=10", **place, **ours, of_bare_route=ratio)


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=12_101)
    parser.add_argument("--users", type=int, default=5_000)
    parser.add_argument("--events", type=int, default=9, help="in the history of each user")
    parser.add_argument("--workers", type=int, default=2, help="API processes")
    parser.add_argument("--seconds", type=int, default=10, help="of each run")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    need("wrk")
    size = ShopSize(items=options.items, users=options.users, events=options.events)
    setup = {name: value for name, value in vars(options).items() if name != "json"}
    report = Report("Lists of a random shop", setup)
    with random_shop(size) as shop:
        measure(shop, options, report)
    report.show(options.json)


if __name__ == "__main__":
    main()
