"""A lane of an ingest worker: one transaction after the other, beside those of other lanes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from interest_graph.errors import GraphOverloadedError
from interest_graph.ingest import Ingested, first_batch, ingest
from interest_graph.log_reader import is_full

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Collection, Sequence

    from interest_graph.entry import Entry
    from interest_graph.leases import Leases
    from interest_graph.log_reader import LogReader
    from interest_graph.services import Services

PAUSE_S = 1.0

logger = structlog.get_logger(__name__)


class Lane:
    """Brings entries into the graph in their order; what is not done when that fails stays in hand.

    Args:
        services: The graph and the log.
        reader: Leaves out what failed until its next attempt.
        leases: Of the worker.
        stopping: When nothing more is to be begun.
        apply: Called with what each batch did.
    """

    def __init__(
        self,
        services: Services,
        reader: LogReader,
        leases: Leases,
        stopping: threading.Event,
        apply: Callable[[Ingested], None],
    ) -> None:
        self._services, self._reader, self._leases = services, reader, leases
        self._stopping, self._apply = stopping, apply
        self._most = services.settings.ingest_batch
        self.in_hand: list[Entry] = []

    def drop(self, partitions: Collection[int]) -> None:
        """Let go of entries of some partitions."""
        self.in_hand = [entry for entry in self.in_hand if entry.partition not in partitions]

    def drain(self, partitions: Collection[int], until: Callable[[], bool]) -> None:
        """Read and ingest some partitions until less than a batch is left or `until` says so."""
        batch = self._services.settings.ingest_batch
        while not self._stopping.is_set() and not until():
            self.in_hand = self._reader.read(batch, 0, partitions)
            last = not is_full(self.in_hand, batch)
            self.work(until)
            if last or self.in_hand:
                return

    def work(self, until: Callable[[], bool]) -> None:
        """Ingest what is in hand, batch by batch, until it is done or `until` says so.

        Raises:
            TransientError, SettingsError: As `ingest`.
        """
        services = self._services
        while self.in_hand and not self._stopping.is_set() and not until():
            batch = first_batch(self.in_hand, self._most)
            done = Ingested()
            try:
                ingest(
                    batch, services.graph, services.events, services.settings, done, self._leases
                )
            except GraphOverloadedError as error:
                self._take_less(batch, error)
            else:
                self._most = min(2 * self._most, services.settings.ingest_batch)
                self._reader.set_aside(done.failed)
                self.in_hand = self.in_hand[len(batch) :]
                self._apply(done)

    def _take_less(self, batch: Sequence[Entry], error: GraphOverloadedError) -> None:
        """Try half of a batch that is too much for Neo4j, which may be at fault itself.

        So nothing is buried for it: a single entry lets others pass and is tried again for ever.
        """
        logger.warning("ingest_batch_too_much", entries=len(batch), error=str(error))
        if len(batch) > 1:
            self._most = len(batch) // 2
        else:
            self._reader.set_aside(batch)
            self.in_hand = self.in_hand[1:]
        self._stopping.wait(PAUSE_S)
