"""An ingest worker: moves accepted entries from its partitions of the log into the graph.

Run it with `python -m workers.ingest`, as often as there is work for; SIGTERM ends it after the
batch in hand.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import structlog

from interest_graph.doubts import PAGE, Doubts
from interest_graph.errors import LeaseLostError, SettingsError, TransientError
from interest_graph.garbage import spare_what_stays
from interest_graph.graph import reads
from interest_graph.graph.schema import migrate
from interest_graph.leases import Leases
from interest_graph.log_reader import LogReader, is_full
from interest_graph.logs import configure_logs
from interest_graph.metrics import build_metrics
from interest_graph.rebuild import ServingRebuild
from interest_graph.redis_client import check_durability, warn_of_durability
from interest_graph.services import build_services
from interest_graph.settings import load_settings

from .celery_factory import create_celery
from .ingest_lane import PAUSE_S, Lane
from .wake_up import WakeUps

if TYPE_CHECKING:
    from collections.abc import Iterable

    from interest_graph.entry import Entry
    from interest_graph.ingest import Ingested
    from interest_graph.metrics import Metrics
    from interest_graph.services import Services

BLOCK_MS = 200
SOON_MS = 20
"""As long as it waits for entries while nodes wait for update workers."""
GATHER_S = 0.25
"""From a read to the next, unless it was full or empty: transactions are dearer than rows.

Nodes that wait for update workers wait as long.
"""
AGAIN_S = 10.0
LANES = 2
"""Transactions at a time while there is a backlog."""
KEEPS_A_LEASE = 5
SWEEPER = 0

logger = structlog.get_logger(__name__)


class IngestWorker:
    """The owner of some partitions.

    That of the first one also puts right who is in doubt, and sweeps for nodes that stayed stale.
    """

    def __init__(self, services: Services, wake_ups: WakeUps, metrics: Metrics) -> None:
        self._services = services
        self._wake_ups = wake_ups
        self._metrics = metrics
        self._rebuild = ServingRebuild(
            services.graph, services.log, services.events, services.settings
        )
        # Names must never come again, and containers have equal pids.
        name = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._leases = Leases(services.log, services.graph, services.settings, name)
        self._reader = LogReader(services.events)
        self._doubts = Doubts(services.log)
        self._stopping = threading.Event()
        self._applying = threading.Lock()
        self._lanes = [
            Lane(services, self._reader, self._leases, self._stopping, self._apply)
            for _ in range(LANES)
        ]
        self._next_read = 0.0
        self._next_keep = 0.0
        self._next_again = 0.0
        self._next_sweep = 0.0

    def stop(self, *_: object) -> None:
        """Finish the batch in hand, then end."""
        self._stopping.set()

    def run(self) -> None:
        """Work until told to stop; what is away is waited for, and what is in hand comes first."""
        while not self._stopping.is_set():
            try:
                self._step()
            except LeaseLostError as error:
                self._lose(error.partitions)
            except (TransientError, SettingsError) as error:
                self._next_keep = 0.0
                logger.warning("ingest_waits", error=str(error))
                self._stopping.wait(PAUSE_S)
        self._leave()

    def _step(self) -> None:
        """One round: what is in hand, what is new, who is in doubt; now and then what failed."""
        self._keep_leases()
        self._ingest([])  # what is in hand since a server was away: nothing newer may pass it
        entries = self._read()
        behind = is_full(entries, self._services.settings.ingest_batch)
        if not self._leases.partitions:
            self._stopping.wait(BLOCK_MS / 1000)
        self._ingest(entries)
        if behind:
            self._drain()
        if self._wake_ups.waiting and not entries:  # else they were sent with these
            self._wake_ups.send()
        if SWEEPER in self._leases.partitions:
            self._put_right()
        now = time.monotonic()
        if now >= self._next_again and not behind:
            self._next_again = now + AGAIN_S
            self._reader.try_again()
        if now >= self._next_sweep and SWEEPER in self._leases.partitions:
            self._next_sweep = now + self._services.settings.sweep_interval_s
            self._observe()
            self._wake_ups.sweep(self._services.graph, self._services.serving)
            self._wake_ups.resume_roll_out(self._services.graph, self._services.serving)

    def _read(self) -> list[Entry]:
        """What is new; what comes within moments of each other is read together."""
        self._stopping.wait(max(0.0, self._next_read - time.monotonic()))
        most = self._services.settings.ingest_batch
        entries = self._reader.read(most, SOON_MS if self._wake_ups.waiting else BLOCK_MS)
        if entries and not is_full(entries, most):
            self._next_read = time.monotonic() + GATHER_S
        return entries

    def _keep_leases(self) -> None:
        """Renew the leases in time, and follow what that changes."""
        if not self._leases_due():
            return
        self._next_keep = time.monotonic() + self._services.settings.lease_s / KEEPS_A_LEASE
        changes = self._leases.keep()
        if changes.given_back:
            logger.info("partitions_given_back", partitions=changes.given_back)
            self._drop(changes.given_back)
        if changes.lost:
            self._lose(changes.lost)
        for partition in changes.taken:
            self._reader.start(partition)
        if changes.taken:
            logger.info("partitions_taken", partitions=changes.taken)

    def _lose(self, partitions: Iterable[int]) -> None:
        """Somebody else owns partitions: what is in hand of them is theirs to write."""
        lost = [*partitions]
        logger.warning("leases_lost", partitions=lost)
        self._metrics.leases_lost.inc(len(lost))
        self._leases.forget(lost)
        self._drop(lost)
        self._next_keep = 0.0

    def _drop(self, partitions: Iterable[int]) -> None:
        """Read partitions no longer, and let go of what is in hand of them."""
        dropped = {*partitions}
        for partition in dropped:
            self._reader.stop(partition)
        for lane in self._lanes:
            lane.drop(dropped)

    def _leave(self) -> None:
        """Put right what waited for a shorter log, and give the partitions back.

        It may be long until the next worker comes, and none should wait for the leases to be over.
        """
        try:
            for _ in range(0, self._doubts.count(), PAGE):
                self._doubts.put_right(self._rebuild)
        except TransientError as error:
            logger.warning("users_left_in_doubt", error=str(error))
        try:
            self._leases.release()
        except TransientError as error:
            logger.warning("leases_not_released", error=str(error))
        logger.info("ingest_stopped")

    def _apply(self, done: Ingested) -> None:
        """Count what a batch did, and wake the update workers; one lane at a time."""
        with self._applying:
            self._count(done)
            if self._is_short():
                self._wake_ups.send(done.user_ids, done.item_ids)

    def _count(self, done: Ingested) -> None:
        """Set the metrics of a batch."""
        now_ms = time.time() * 1000
        self._metrics.events_applied.inc(done.events)
        for reason, count in done.flagged.items():
            self._metrics.events_flagged.labels(reason).inc(count)
        if done.buried:
            self._metrics.events_dead_lettered.labels("poison").inc(done.buried)
        for recorded_at_ms in done.recorded_at_ms:
            self._metrics.event_to_graph_seconds.observe((now_ms - recorded_at_ms) / 1000)

    def _ingest(self, entries: list[Entry]) -> None:
        """Bring entries into the graph; what is not done when it fails is kept in hand."""
        self._lanes[0].in_hand += entries
        for lane in self._lanes:
            while lane.in_hand and not self._stopping.is_set():
                lane.work(self._leases_due)
                self._keep_leases()

    def _drain(self) -> None:
        """Work off a backlog: lanes, each with some of the partitions, side by side.

        So one prepares a transaction while another's is committed.
        """
        owned = sorted(self._leases.partitions)
        with ThreadPoolExecutor(LANES, "lane") as pool:
            running = [
                pool.submit(lane.drain, owned[number::LANES], self._leases_due)
                for number, lane in enumerate(self._lanes)
            ]
        for one in running:
            one.result()

    def _leases_due(self) -> bool:
        """Whether the leases are to be renewed."""
        return time.monotonic() >= self._next_keep

    def _put_right(self) -> None:
        """Rebuild what Redis keeps of some who are in doubt, whoever's batch left them so.

        Not while the log is long, since a rebuild reads all that it holds of their partitions.
        """
        if self._doubts.count() and self._is_short():
            self._doubts.put_right(self._rebuild)

    def _is_short(self) -> bool:
        """Whether the log holds no more than a batch."""
        return self._services.events.length() <= self._services.settings.ingest_batch

    def _observe(self) -> None:
        """Set the gauges of backlog and age."""
        metrics, stream = self._metrics, self._services.events
        metrics.log_entries.set(stream.length())
        metrics.dead_letters.set(stream.dead_letters())
        stale = self._services.graph.read(reads.count_stale)
        metrics.stale_nodes.labels("User").set(stale["stale_users"])
        metrics.stale_nodes.labels("Item").set(stale["stale_items"])
        metrics.oldest_stale_node_seconds.labels("any").set(stale["oldest_stale_seconds"])


def main() -> None:
    """Entry point."""
    settings = load_settings()
    configure_logs(settings.log_level)
    metrics = build_metrics(settings.metrics_dir)
    services = build_services(settings)
    services.graph.on_retry = metrics.transactions_retried.inc
    check_durability(services.log, settings)
    warn_of_durability(settings)
    services.events.settle_partitions()
    migrate(services.graph, settings)
    worker = IngestWorker(services, WakeUps(create_celery(settings), settings), metrics)
    signal.signal(signal.SIGTERM, worker.stop)
    signal.signal(signal.SIGINT, worker.stop)
    logger.info("ingest_started")
    spare_what_stays()
    worker.run()
    services.close()


if __name__ == "__main__":
    main()
