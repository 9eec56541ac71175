"""The ingest worker: moves accepted entries from the log into the graph until told to stop.

Run it with `python -m workers.ingest`; SIGTERM ends it after the batch in hand.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from typing import TYPE_CHECKING

import structlog

from interest_graph.errors import SettingsError, TransientError
from interest_graph.graph import reads
from interest_graph.graph.schema import migrate
from interest_graph.ingest import Ingested, ingest
from interest_graph.logs import configure_logs
from interest_graph.metrics import build_metrics
from interest_graph.rebuild import ServingRebuild
from interest_graph.redis_client import check_durability
from interest_graph.services import build_services
from interest_graph.settings import load_settings

from .celery_factory import create_celery
from .wake_up import WakeUps

if TYPE_CHECKING:
    from interest_graph.event_stream import Entry
    from interest_graph.metrics import Metrics
    from interest_graph.services import Services

BLOCK_MS = 200
IDLE_MS = 10_000
RECLAIM_EVERY_S = 5.0
MOST_PENDING = 100_000
PAUSE_S = 1.0

logger = structlog.get_logger(__name__)


class IngestWorker:
    """One consumer of the log; also sweeps for nodes that stayed stale."""

    def __init__(self, services: Services, wake_ups: WakeUps, metrics: Metrics) -> None:
        self._services = services
        self._wake_ups = wake_ups
        self._metrics = metrics
        self._rebuild = ServingRebuild(
            services.graph, services.log, services.events, services.settings
        )
        self._in_hand: list[Entry] = []
        self._doubtful_users: set[str] = set()
        self._doubtful_items: set[str] = set()
        self._name = f"{socket.gethostname()}-{os.getpid()}"
        self._stopping = threading.Event()
        self._next_sweep = 0.0
        self._next_reclaim = 0.0

    def stop(self, *_: object) -> None:
        """Finish the batch in hand, then end."""
        self._stopping.set()

    def run(self) -> None:
        """Work until told to stop; what is away is waited for, and what is in hand comes first."""
        ready = taken_over = False
        while not self._stopping.is_set():
            try:
                if not ready:  # at the start, and after a Redis that came back without the group
                    self._services.events.ensure_group()
                    ready = True
                if not taken_over:  # what was handed out before is older, whoever had it
                    self._in_hand = self._services.events.reclaim(self._name, MOST_PENDING, 0)
                    taken_over = True
                self._step()
            except (TransientError, SettingsError) as error:
                ready = False
                logger.warning("ingest_waits", error=str(error))
                self._stopping.wait(PAUSE_S)
        logger.info("ingest_stopped")

    def _step(self) -> None:
        """One batch, and now and then what others left behind."""
        stream, settings = self._services.events, self._services.settings
        self._ingest(self._in_hand)  # when a server was away: nothing newer may pass it
        now = time.monotonic()
        if now >= self._next_reclaim:
            self._next_reclaim = now + RECLAIM_EVERY_S
            self._ingest(stream.reclaim(self._name, settings.ingest_batch, IDLE_MS))
        self._ingest(stream.read(self._name, settings.ingest_batch, BLOCK_MS))
        if now >= self._next_sweep:
            self._next_sweep = now + settings.sweep_interval_s
            self._observe()
            self._wake_ups.sweep(self._services.graph)

    def _apply(self, done: Ingested) -> None:
        """Count what a batch did, put Redis right, and wake the update workers."""
        now_ms = time.time() * 1000
        self._metrics.events_applied.inc(done.events)
        for reason, count in done.flagged.items():
            self._metrics.events_flagged.labels(reason).inc(count)
        if done.buried:
            self._metrics.events_dead_lettered.labels("poison").inc(done.buried)
        for recorded_at_ms in done.recorded_at_ms:
            self._metrics.event_to_graph_seconds.observe((now_ms - recorded_at_ms) / 1000)
        if self._services.events.length() <= self._services.settings.ingest_batch:
            self._put_right()
            self._wake_ups.send(done.user_ids, done.item_ids)

    def _ingest(self, entries: list[Entry]) -> None:
        """Bring entries into the graph, in batches; what is not done when it fails is kept."""
        services, size = self._services, self._services.settings.ingest_batch
        self._in_hand = entries
        while self._in_hand:
            done = Ingested()
            try:
                batch = self._in_hand[:size]
                ingest(batch, services.graph, services.events, services.settings, done)
            finally:  # whom it left in doubt is known even when a part of it failed
                self._doubtful_users |= done.doubtful_user_ids
                self._doubtful_items |= done.doubtful_item_ids
            self._in_hand = self._in_hand[size:]
            self._apply(done)

    def _put_right(self) -> None:
        """Rebuild what Redis keeps of whom batches left in doubt; what changes on, next time."""
        if self._doubtful_users:
            left = self._rebuild.users(sorted(self._doubtful_users)).given_up
            self._doubtful_users = set(left)
        if self._doubtful_items:
            self._rebuild.items(sorted(self._doubtful_items))
            self._doubtful_items = set()

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
    check_durability(services.log, settings)
    migrate(services.graph, settings)
    worker = IngestWorker(services, WakeUps(create_celery(settings), settings), metrics)
    signal.signal(signal.SIGTERM, worker.stop)
    signal.signal(signal.SIGINT, worker.stop)
    logger.info("ingest_started")
    worker.run()
    services.close()


if __name__ == "__main__":
    main()
