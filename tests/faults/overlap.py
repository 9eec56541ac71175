"""The same at once, twice: entries by two transactions, events by two requests.

So it happens when a worker that was frozen goes on with entries that another one has taken over,
and when a client that waits no longer sends again what is being accepted.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from interest_graph.entry import Entry
from interest_graph.event import Event, parse_event
from interest_graph.ingest import ingest

if TYPE_CHECKING:
    from collections.abc import Callable

    from interest_graph.event_stream import EventStream
    from interest_graph.graph.store import GraphStore
    from interest_graph.settings import Settings

    Query = Callable[..., list[dict[str, Any]]]

ROUNDS, BATCH = 10, 20
TYPES = ("view", "click", "purchase")


class NoLog:
    """Stands for the log of entries that were handed out: acknowledging them is not the point."""

    def acknowledge(self, *_: object) -> None:
        """Nothing."""


def some_events(chance: random.Random, prefix: str, settings: Settings) -> list[Event]:
    """Events of a few users with a few items, so that transactions wait for each other."""
    return [
        parse_event(
            {
                "event_id": f"{prefix}-{number}",
                "user_id": f"u-{chance.randrange(5)}",
                "item_id": f"i-{chance.randrange(5)}",
                "event_type": chance.choice(TYPES),
            },
            settings,
        )
        for number in range(BATCH)
    ]


def twice_at_once(work: Callable[[], Any]) -> list[Any]:
    """Do something in two threads that begin together."""
    together = threading.Barrier(2)

    def one(_: int) -> Any:
        together.wait(10)
        return work()

    with ThreadPoolExecutor(2) as pool:
        return [*pool.map(one, range(2))]


def check_facts_of_two_transactions(
    seed: int, graph: GraphStore, settings: Settings, query: Query
) -> None:
    """Entries that two transactions write at once are facts, each once.

    Raises:
        AssertionError: One is lost or a fact twice.
    """
    chance = random.Random(seed)
    log: Any = NoLog()
    sent: set[str] = set()
    for number in range(ROUNDS):
        events = some_events(chance, f"s{seed}-{number}", settings)
        entries = [Entry(f"{n}-0", "event", one.to_json()) for n, one in enumerate(events, start=1)]
        twice_at_once(lambda entries=entries: ingest(entries, graph, log, settings))  # type: ignore[misc]
        sent |= {one.event_id for one in events}
    rows = query("MATCH (:User)-[e]->(:Item) RETURN e.event_id AS id, count(e) AS times")
    found = {row["id"]: row["times"] for row in rows if row["id"] in sent}
    assert set(found) == sent, f"{len(sent - set(found))} events are lost"
    twice = [name for name, times in found.items() if times > 1]
    assert not twice, f"{len(twice)} events are a fact twice"


def check_accepted_once(seed: int, stream: EventStream, settings: Settings) -> None:
    """Of two requests with the same events one is told that it was first; with others, one is.

    Raises:
        AssertionError: Both were, or neither.
    """
    chance = random.Random(seed)
    first: Counter[str] = Counter()
    for number in range(ROUNDS):
        events = some_events(chance, f"s{seed}-{number}", settings)
        others = [replace(one, body_hash=one.body_hash[::-1]) for one in events]
        order = iter((events, events if number % 2 else others))
        answers = twice_at_once(lambda order=order: stream.accept(next(order)))  # type: ignore[misc]
        for answer in answers:
            first.update(
                name
                for name, status in zip(answer.event_ids, answer.statuses, strict=True)
                if status == 0
            )
    wrong = {name: times for name, times in first.items() if times != 1}
    assert not wrong, f"{len(wrong)} events were accepted twice"
    assert len(first) == ROUNDS * BATCH
