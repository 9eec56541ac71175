"""Lists of a whole service next to a bare route of the same server, and next to a peer.

Usage: python -m benchmarks.serving [--shop beauty] [--seconds 30] [--rounds 5] [--peer-url URL]

Throughput and one connection by a closed loop; latency by an open loop at 25, 50 and 75 % of the
throughput of the same round. Neo4j and all workers run, and events come in at a constant rate.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .bare_route import bare_route
from .load import OpenLoop, Requests, closed_loop, need, open_loop
from .peer import BATCH, Peer, add_peer_options
from .report import Report, spread
from .shops import add_shop_options, measured_stack, note, read_shop
from .traffic import any_users, events_of, lists_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .target import Target

Figures = dict[str, Any]

OURS, BARE, PEER = "lists", "bare route", "peer"
NAMES = ("requests_per_s", "p50_ms", "p99_ms")
NO_PEER = "none: --peer-url names a running gorse, whose columns are empty without"
CONNECTIONS = (1, 8, 32)
SHARES = (0.25, 0.5, 0.75)
WARM_UP_S = 5.0


class Rounds:
    """Figures of every round, by what was measured and of whom.

    Args:
        seconds: Of each run.
        connections: Of closed loops; the last one finds the throughput.
        meanwhile: For each of whom lists are asked, the events that come in meanwhile.
        events_per_s: How often.
    """

    def __init__(
        self,
        seconds: float,
        connections: Sequence[int],
        meanwhile: Mapping[str, Requests],
        events_per_s: float,
    ) -> None:
        self._seconds, self._connections = seconds, connections
        self._meanwhile, self._events_per_s = meanwhile, events_per_s
        self.found: defaultdict[str, defaultdict[str, list[Figures]]] = defaultdict(
            lambda: defaultdict(list)
        )

    def measure(self, whose: str, asked: Requests, *, latency: bool) -> None:
        """One round of one of them.

        Args:
            whose: Its name.
            asked: What is asked for.
            latency: Whether to run open loops, at shares of the throughput that was just found.
        """
        for connections in self._connections:
            loop = partial(closed_loop, asked, connections, self._seconds)
            one = self._run(whose, f"closed loop, connections: {connections}", loop)
        for share in SHARES if latency else ():
            rate = max(1.0, share * one["requests_per_s"])
            loop = partial(open_loop, asked, rate, self._seconds)
            self._run(whose, f"open loop at {share:.0%}", loop)

    def _run(self, whose: str, what: str, loop: Callable[[], Figures]) -> Figures:
        """One run, with events meanwhile."""
        with OpenLoop(self._meanwhile[whose], self._events_per_s, self._seconds) as events:
            figures = loop()
            figures["failed_events"] = events.result()["errors"]
        note(f"{whose}, {what}: {figures}")
        self.found[what][whose].append(figures)
        return figures


def rows_of(found: Mapping[str, Mapping[str, Sequence[Figures]]]) -> list[Figures]:
    """One row a measurement: ours, the bare route and the peer; medians, ranges, ratios by round.

    Args:
        found: By what was measured and of whom, the figures of every round.
    """
    rows = []
    for what, rounds in found.items():
        row: Figures = {"what": what}
        for whose, prefix in ((OURS, ""), (BARE, "bare_"), (PEER, "peer_")):
            for name in NAMES:
                values = [one[name] for one in rounds.get(whose, ()) if one[name] is not None]
                row[prefix + name] = spread(values) if values else None
        for whose, name in ((BARE, "of_bare_route"), (PEER, "of_peer")):
            pairs = zip(rounds[OURS], rounds.get(whose, ()), strict=False)
            ratios = [ours["requests_per_s"] / theirs["requests_per_s"] for ours, theirs in pairs]
            rated = ratios and not what.startswith("open")  # whose rate is given
            row[name] = spread([round(ratio, 3) for ratio in ratios]) if rated else None
        for name in ("errors", "failed_events"):
            row[name] = sum(one[name] for one in rounds[OURS])
        rows.append(row)
    return rows


def measure(stack: Target, peer: Peer | None, options: argparse.Namespace, report: Report) -> None:
    """All rounds: the bare route, ours and the peer by turns."""
    events = events_of(stack)
    meanwhile = {BARE: events, OURS: events}
    with bare_route(stack.settings.api_workers) as bare:
        sources = {BARE: bare, OURS: lists_of(stack)}
        if peer is not None:
            sources[PEER] = peer.lists(any_users(stack))
            meanwhile[PEER] = peer.events(events.bodies)
        rounds = Rounds(options.seconds, options.connections, meanwhile, options.events_per_s)
        for asked in sources.values():  # every process loads its model before anything counts
            closed_loop(asked, options.connections[-1], WARM_UP_S)
        for number in range(options.rounds):
            note(f"round {number + 1} of {options.rounds}")
            for whose, asked in sources.items():
                rounds.measure(whose, asked, latency=whose != BARE)
    for row in rows_of(rounds.found):
        report.add(**row)


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_shop_options(parser)
    add_peer_options(parser)
    parser.add_argument("--seconds", type=float, default=30.0, help="of each run")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--connections",
        type=int,
        nargs="+",
        default=CONNECTIONS,
        help="of closed loops; as many as the last find the throughput",
    )
    parser.add_argument("--events-per-s", type=float, default=50.0, help="that come in meanwhile")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    need("wrk", "oha")
    peer = Peer(options.peer_url, options.peer_key) if options.peer_url else None
    with measured_stack(options.shop, options.workers, options.data_dir) as stack:
        setup = {"shop": options.shop, **stack.described}
        for name in ("seconds", "rounds", "events_per_s"):
            setup[name] = getattr(options, name)
        setup["peer"] = ready(peer, options.shop, load=not options.peer_loaded)
        report = Report("Serving", setup)
        measure(stack, peer, options, report)
    report.show(options.json)


def ready(peer: Peer | None, shop: str, *, load: bool) -> str:
    """Load the shop into the peer and wait for its lists; says what was done."""
    if peer is None:
        note(NO_PEER)
        return NO_PEER
    events = read_shop(shop)
    done = "loaded before"
    if load:
        done = f"{peer.load(events):,.0f} rows of feedback a second in batches of {BATCH}"
    peer.wait(events)
    return f"{peer.url}, {done}"


if __name__ == "__main__":
    main()
