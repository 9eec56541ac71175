"""Where the time of a recommendation goes: key, Redis, scores, reasons, server, part by part.

    python -m benchmarks.recommendation

A closed loop asks for lists while py-spy looks, many times a second, at what the main thread of
each API process does. A part's time is its own: a sample belongs to the innermost function that
names a part. Nothing else runs, and nobody sends events.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from .lists import lists_of_shop, served
from .load import GRACE_S, closed_loop, need
from .random_shop import ShopSize, random_shop
from .report import Report

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .lists import Server
    from .load import Requests

PARTS = {
    ("api/plain_request.py", "plain_request"): "key and permit",
    ("interest_graph/serving_state.py", "read_each"): "read of Redis",
    ("interest_graph/recommend.py", "synchronise"): "is there a newer model or catalogue",
    ("interest_graph/user_memory.py", "take_each"): "users: known, changed or new",
    ("interest_graph/user_memory.py", "interest"): "weights of the events in this minute",
    ("interest_graph/scores.py", "near_scores"): "nearly all scores, in eight bits",
    ("interest_graph/lists.py", "_filter"): "what is left out",
    ("interest_graph/lists.py", "_best"): "the best, by exact scores",
    ("interest_graph/scores.py", "terms"): "what each event contributes to the best",
    ("interest_graph/lists.py", "_items"): "items, titles and reasons",
    ("interest_graph/lists.py", "_answer"): "the list and its id",
    ("interest_graph/recommend.py", "recommend_each"): "the rest of the lists",
    ("api/short_way.py", "_answer_waiting"): "turns of those who wait",
    ("api/short_way.py", "_list"): "turns of those who wait",
    ("api/recommendations.py", "counted_json"): "JSON",
    ("api/plain_request.py", "told"): "header fields, log line, metrics",
    ("api/gateway.py", "_send"): "the answer, handed to the server",
    ("api/short_way.py", "answer"): "the rest of a request",
}
"""The part that a function, with what it calls, is; innermost first."""
MAIN = "MainThread"
SERVER = "server and event loop"
WAITING = "waiting for Redis"
WHOLE = "all of it"
LISTS = "lists a second meanwhile"
READ = PARTS["interest_graph/serving_state.py", "read_each"]
_FRAME = re.compile(r"(.+\.)?(?P<function>[^.]+) \((?P<file>[^():]+)(:\d+)?\)")
SPARE_S = 8.0
"""How much longer than the samples the load is, by which py-spy may be late."""


def part_of(stack: str) -> str:
    """The part that a sample belongs to.

    Args:
        stack: As py-spy writes it, outermost frame first.

    >>> part_of("answer (api/short_way.py:9);Lists._filter (interest_graph/lists.py:7)")
    'what is left out'
    """
    for frame in reversed(stack.split(";")):
        found = _FRAME.fullmatch(frame)
        if found is None:
            continue
        for (file, function), part in PARTS.items():
            if found["function"] == function and found["file"].endswith(file):
                return part
    return SERVER


def samples(lines: Iterable[str]) -> Counter[str]:
    """How many samples of the main thread each part has, of py-spy's raw output with threads.

    >>> samples(["thread (7): MainThread;told (api/plain_request.py:3) 5", "thread (8) 2"])
    Counter({'header fields, log line, metrics': 5})
    """
    found: Counter[str] = Counter()
    for line in lines:
        stack, _, count = line.rpartition(" ")
        if stack.partition(";")[0].endswith(MAIN):
            found[part_of(stack)] += int(count)
    return found


def sampled(server: Server, options: argparse.Namespace, *, asleep: bool) -> Counter[str]:
    """Samples of the API processes.

    Args:
        server: Whose children they are.
        options: For how many seconds, and how many samples of each a second.
        asleep: Whether samples count in which a thread waits for something.
    """
    words = ["py-spy", "record", "--threads", "--format", "raw"]
    words += ["--idle"] if asleep else []
    words += ["--rate", str(options.rate), "--duration", str(options.seconds)]
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="py-spy-") as folder:
        looking = {}
        for child in psutil.Process(server.pid).children(recursive=True):
            file = Path(folder, str(child.pid))
            own = [*words, "--pid", file.name, "--output", str(file)]
            looking[file] = subprocess.Popen(own, stdout=subprocess.DEVNULL)  # noqa: S603 our own arguments
        for file, process in looking.items():
            if process.wait(options.seconds + GRACE_S):
                sys.exit(f"py-spy ended with {process.returncode}")
            found += samples(file.read_text(encoding="utf-8").splitlines())
    return found


def microseconds(
    server: Server,
    lists: Requests,
    connections: int,
    options: argparse.Namespace,
    *,
    asleep: bool = False,
) -> tuple[dict[str, float], float]:
    """What each part takes of a list, and how many lists a second there were meanwhile."""
    with ThreadPoolExecutor() as threads:
        load = threads.submit(closed_loop, lists, connections, options.seconds + SPARE_S)
        found = sampled(server, options, asleep=asleep)
        if load.done():
            sys.exit("py-spy took longer than the load: try a lower --rate")
        lists_per_s = load.result()["requests_per_s"]
    lists_meanwhile = lists_per_s * options.seconds
    each_us = 1e6 / options.rate / lists_meanwhile
    parts = (*dict.fromkeys(PARTS.values()), SERVER)
    return {part: found[part] * each_us for part in parts}, lists_per_s


def measure(server: Server, lists: Requests, options: argparse.Namespace, report: Report) -> None:
    """A row for each part, a column for each number of connections."""
    closed_loop(lists, 8, 5)  # every process loads the model and meets users before it counts
    columns, rates = {}, {}
    for connections in options.connections:
        name = f"µs at {connections}"
        parts, rates[name] = microseconds(server, lists, connections, options)
        waited, _ = microseconds(server, lists, connections, options, asleep=True)
        whole = {WHOLE: sum(parts.values()), WAITING: max(0.0, waited[READ] - parts[READ])}
        columns[name] = parts | whole
    for part in (*dict.fromkeys(PARTS.values()), SERVER, WHOLE, WAITING):
        report.add(part=part, **{name: round(found[part], 1) for name, found in columns.items()})
    report.add(part=LISTS, **rates)


def main(words: Sequence[str] | None = None) -> None:
    """Entry point."""
    parser = argparse.ArgumentParser("python -m benchmarks.recommendation", description=__doc__)
    parser.add_argument("--items", type=int, default=12_101)
    parser.add_argument("--users", type=int, default=5_000)
    parser.add_argument("--events", type=int, default=9, help="in the history of each user")
    parser.add_argument("--workers", type=int, default=2, help="API processes")
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--seconds", type=int, default=20, help="of samples, twice for each")
    parser.add_argument("--rate", type=int, default=250, help="samples a second of each process")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(words)
    need("wrk", "py-spy")
    size = ShopSize(items=options.items, users=options.users, events=options.events)
    setup = {name: value for name, value in vars(options).items() if name != "json"}
    setup["connections"] = " and ".join(map(str, options.connections))
    report = Report("Where a recommendation goes", setup)
    with random_shop(size) as shop, served(shop, options.workers) as server:
        measure(server, lists_of_shop(shop, server.url), options, report)
    report.show(options.json)


if __name__ == "__main__":
    main()
