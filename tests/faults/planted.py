"""Bugs to plant, to see that the checks of the fault test find them.

`python -m tests.faults.planted BUG PROGRAM …` runs a program of the service with a bug in it. They
are nowhere in the service itself, and no setting of it leads here.
"""

from __future__ import annotations

import contextlib
import os
import random
import runpy
import sys
import time
from typing import TYPE_CHECKING, Any, cast

from cli.local_stack.programs import API, INGEST, REFRESH
from interest_graph import redis_client as keys
from interest_graph.accepted import Accepted, Status
from interest_graph.errors import StreamUnavailableError
from interest_graph.event_stream import EventStream
from interest_graph.graph.schema import migrate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import neo4j

    from api.gateway import Gateway
    from interest_graph.event import Event
    from interest_graph.graph.store import GraphStore
    from interest_graph.settings import Settings

    Query = Callable[..., list[dict[str, Any]]]

FACTORY = "api.gateway:create_gateway"
BUG = "INTEREST_GRAPH_TEST_PLANTED_BUG"
LATER_S = 0.05


def acknowledge_before_commit() -> None:
    """An entry leaves the log before it is in the graph: a fault in between loses it."""
    from workers import ingest_lane as worker

    right = worker.ingest

    def wrong(entries: Any, graph: Any, stream: Any, *rest: Any) -> Any:
        stream.acknowledge(entries)
        return right(entries, graph, stream, *rest)

    worker.ingest = wrong  # type: ignore[assignment] # the bug


def clear_staleness_by_time() -> None:
    """A refresh says that it has seen whatever is there when it writes, not when it read."""
    from interest_graph.graph import learned, reads

    right = learned.write_user_interests

    def wrong(tx: neo4j.ManagedTransaction, rows: Sequence[Any], model_version: str) -> int:
        now = reads.fetch_user_revisions(tx, [row["user_id"] for row in rows])
        late = [{**row, "read_revision": now[row["user_id"]]["facts_revision"]} for row in rows]
        return right(tx, late, model_version)

    learned.write_user_interests = wrong


def check_duplicates_outside(accept: Callable[..., Accepted] = EventStream.accept) -> None:
    """Duplicates are looked for before the accept script, which takes whatever it gets."""

    def wrong(stream: EventStream, events: Sequence[Event]) -> Accepted:
        names = [keys.event_key(event.event_id) for event in events]
        with keys.translated(StreamUnavailableError, "the event log"):
            held = cast("list[bytes | None]", stream._client.mget(names))
            reached = cast("bytes | None", stream._client.get(keys.HISTORY_REVISION))
            # Each for itself, so that one looks before the other is accepted and deletes after it.
            time.sleep(random.uniform(0, LATER_S))
            fresh = [name for name, body in zip(names, held, strict=True) if body is None]
            if fresh:  # without its key, the script takes an event for new
                stream._client.delete(*fresh)
        new = [event for event, body in zip(events, held, strict=True) if body is None]
        done = accept(stream, new)
        statuses = iter(done.statuses)
        return Accepted(
            tuple(event.event_id for event in events),
            tuple(
                next(statuses) if body is None else _known(body, event)
                for event, body in zip(events, held, strict=True)
            ),
            done.history_revision or int(reached or 0),
            ("",) * len(events),
        )

    EventStream.accept = wrong  # type: ignore[method-assign] # the bug


def _known(body: bytes, event: Event) -> Status:
    """What an event is whose id was sent before."""
    return Status.DUPLICATE if body.decode() == event.body_hash else Status.CONFLICT


@contextlib.contextmanager
def constraint_dropped(graph: GraphStore, settings: Settings, query: Query) -> Iterator[None]:
    """No constraint says that an event_id names one event; then one does, on an empty graph."""
    for relationship in settings.relationships:
        query(f"DROP CONSTRAINT event_id_{relationship} IF EXISTS")
    try:
        yield
    finally:
        query("MATCH (n) DETACH DELETE n")
        migrate(graph, settings)


BUGS: dict[str, tuple[str, Callable[[], None]]] = {
    "acknowledge_before_commit": (INGEST, acknowledge_before_commit),
    "clear_staleness_by_time": (REFRESH, clear_staleness_by_time),
    "check_duplicates_outside": (API, check_duplicates_outside),
}
"""By name the process that has the bug, and what plants it."""


def create_gateway() -> Gateway:
    """The API with the bug that the parent process was told; granian's children load this."""
    from api import gateway

    BUGS[os.environ[BUG]][1]()
    return gateway.create_gateway()


def main() -> None:
    """Plant the bug and run the program."""
    bug, program, *arguments = sys.argv[1:]
    os.environ[BUG] = bug
    BUGS[bug][1]()
    sys.argv = [
        program,
        *(one.replace(FACTORY, f"{__spec__.name}:create_gateway") for one in arguments),
    ]
    if program == "workers.ingest":
        from workers import ingest

        ingest.main()
    else:
        runpy.run_module(program, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
