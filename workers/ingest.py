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
from interest_graph.ingest import ingest
from interest_graph.logs import configure_logs
from interest_graph.metrics import build_metrics
from interest_graph.rebuild import ServingRebuild
from interest_graph.redis_client import check_durability
from interest_graph.services import build_services
from interest_graph.settings import load_settings

from .celery_factory import create_celery
from .wake_up import WakeUps

if TYPE_CHECKING:
    from interest_graph.ingest import Ingested
    from interest_graph.metrics import Metrics
    from interest_graph.services import Services

BLOCK_MS = 200
IDLE_MS = 10_000
RECLAIM_EVERY_S = 5.0
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
        self._name = f"{socket.gethostname()}-{os.getpid()}"
        self._stopping = threading.Event()
        self._next_sweep = 0.0
        self._next_reclaim = 0.0

    def stop(self, *_: object) -> None:
        """Finish the batch in hand, then end."""
        self._stopping.set()

    def run(self) -> None:
        """Work until told to stop; what is away is waited for."""
        ready = False
        while not self._stopping.is_set():
            try:
                if not ready:  # at the start, and after a Redis that came back without the group
                    self._services.events.ensure_group()
                    ready = True
                self._step()
            except (TransientError, SettingsError) as error:
                ready = False
                logger.warning("ingest_waits", error=str(error))
                self._stopping.wait(PAUSE_S)
        logger.info("ingest_stopped")

    def _step(self) -> None:
        """One batch, and now and then what others left behind."""
        stream, settings = self._services.events, self._services.settings
        now = time.monotonic()
        if now >= self._next_reclaim:
            self._next_reclaim = now + RECLAIM_EVERY_S
            left = stream.reclaim(self._name, settings.ingest_batch, IDLE_MS)
            if left:
                self._apply(ingest(left, self._services.graph, stream, settings))
        entries = stream.read(self._name, settings.ingest_batch, BLOCK_MS)
        if entries:
            self._apply(ingest(entries, self._services.graph, stream, settings))
        if now >= self._next_sweep:
            self._next_sweep = now + settings.sweep_interval_s
            self._observe()
            self._wake_ups.sweep(self._services.graph)

    def _apply(self, done: Ingested) -> None:
        """Count what a batch did, put histories right, and wake the update workers."""
        now_ms = time.time() * 1000
        self._metrics.events_applied.inc(done.events)
        if done.doubtful_user_ids:
            self._rebuild.users(sorted(done.doubtful_user_ids))
        if done.buried:
            self._metrics.events_dead_lettered.labels("poison").inc(done.buried)
        for recorded_at_ms in done.recorded_at_ms:
            self._metrics.event_to_graph_seconds.observe((now_ms - recorded_at_ms) / 1000)
        if self._services.events.length() <= self._services.settings.ingest_batch:
            self._wake_ups.send(done.user_ids, done.item_ids)

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
