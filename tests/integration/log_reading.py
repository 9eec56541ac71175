"""What an ingest worker that is alone does, without its loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interest_graph.ingest import Ingested, ingest
from interest_graph.log_reader import LogReader

if TYPE_CHECKING:
    from interest_graph.entry import Entry
    from interest_graph.event_stream import EventStream
    from interest_graph.graph.store import GraphStore
    from interest_graph.settings import Settings


def read_log(events: EventStream, count: int = 1000) -> list[Entry]:
    """What is in the log, oldest first, at most `count` entries."""
    return LogReader(events, range(len(events.lengths()))).read(count, 10)


def work_off(
    events: EventStream, graph: GraphStore, settings: Settings, each: int = 1000
) -> Ingested:
    """Bring all of the log into the graph that can be brought there."""
    reader, done = LogReader(events, range(settings.log_partitions)), Ingested()
    while entries := reader.read(each, 10):
        ingest(entries, graph, events, settings, done)
        reader.set_aside(done.failed)
    return done
