"""Lists of a random shop by number of items and events, next to a bare route of the same server.

Usage: python -m benchmarks.lists [--items 12101] [--events 9] [--workers 2] [--json FILE]

Only the API runs, on a Redis of its own: what serving costs and nothing else. `benchmarks.serving`
measures the same on a whole stack.
"""

from __future__ import annotations

import argparse
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import requests

from cli.local_stack.programs import api_command

from .random_shop import RandomShop, ShopSize, environment_of, random_shop
from .report import Report
from .serving import CONNECTIONS, SCRIPT, bare_route, wrk

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def served(shop: RandomShop, workers: int) -> Iterator[str]:
    """The API on a shop while this lasts; yields its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = shop.settings.model_copy(update={"api_port": port, "api_workers": workers})
    process = subprocess.Popen(  # noqa: S603 our own arguments
        [sys.executable, "-m", *api_command(settings)],
        env=environment_of(shop),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(url)
        yield url
    finally:
        process.terminate()
        process.wait()


def _wait(url: str) -> None:
    """Wait until the API answers."""
    for _ in range(600):
        try:
            requests.get(f"{url}/v1/health/live", timeout=5).raise_for_status()
        except requests.ConnectionError:
            time.sleep(0.1)
        else:
            return
    sys.exit("the API did not start")


def measure(shop: RandomShop, options: argparse.Namespace, report: Report) -> None:
    """Lists and the bare route by turns, at each concurrency."""
    with (
        tempfile.TemporaryDirectory() as folder,
        served(shop, options.workers) as url,
        bare_route(options.workers) as bare,
    ):
        script = Path(folder) / "recommend.lua"
        users = ",".join(f'"{user}"' for user in shop.users)
        script.write_text(SCRIPT.format(users=users, token=shop.token), encoding="utf-8")
        wrk(url, 8, 5, script)  # every process loads the model before anything counts
        for connections in CONNECTIONS:
            for turn in range(options.turns):
                base = wrk(bare, connections, options.seconds, None)
                ours = wrk(url, connections, options.seconds, script)
                rate, bare_rate = ours["requests_per_s"], base["requests_per_s"]
                ratio = round(float(str(rate)) / float(str(bare_rate)), 3)
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
    if shutil.which("wrk") is None:
        sys.exit("wrk is missing: apt-get install wrk")
    size = ShopSize(items=options.items, users=options.users, events=options.events)
    setup = {name: value for name, value in vars(options).items() if name != "json"}
    report = Report("Lists of a random shop", setup)
    with random_shop(size) as shop:
        measure(shop, options, report)
    report.show(options.json)


if __name__ == "__main__":
    main()
