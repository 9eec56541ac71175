"""Tasks of the update workers: refresh these users, refresh these items."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import structlog
from celery.signals import celeryd_after_setup, worker_process_init

from interest_graph.errors import InterestGraphError, TransientError
from interest_graph.garbage import spare_what_stays
from interest_graph.refresh_items import refresh_items
from interest_graph.refresh_users import refresh_users

from .wake_up import REFRESH_ITEMS, REFRESH_QUEUE, REFRESH_USERS
from .worker_state import WorkerState

if TYPE_CHECKING:
    from celery import Celery

    from interest_graph.metrics import Metrics
    from interest_graph.settings import Settings

logger = structlog.get_logger(__name__)


def register_updates(app: Celery, settings: Settings, metrics: Metrics) -> WorkerState:
    """Add the refresh tasks to the application; returns what they hold."""
    state = WorkerState(settings, metrics.transactions_retried.inc)
    _warm_up(state)

    @app.task(name=REFRESH_USERS, shared=False)
    def refresh_users_task(user_ids: list[str]) -> None:
        try:
            done = refresh_users(user_ids, state.graph, state.serving, state.shelf, settings)
        except TransientError as error:  # they stay stale, and the sweeper comes back to them
            logger.warning("refresh_users_waits", error=str(error))
            return
        metrics.nodes_refreshed.labels("User").inc(done.written)
        for stale_since in done.stale_since:
            metrics.event_to_refresh_seconds.observe(max(0.0, time.time() - stale_since))

    @app.task(name=REFRESH_ITEMS, shared=False)
    def refresh_items_task(item_ids: list[str]) -> None:
        try:
            manifest, _ = state.serving.head()
            if manifest is None:
                return
            state.shelf.fold(state.shelf.current(manifest))
            encoder = state.encoder(manifest.model_version)
            written = refresh_items(
                item_ids, state.graph, state.serving, state.shelf, encoder, settings
            )
        except TransientError as error:  # they stay stale, and the sweeper comes back to them
            logger.warning("refresh_items_waits", error=str(error))
            return
        metrics.nodes_refreshed.labels("Item").inc(len(written))

    return state


def _warm_up(state: WorkerState) -> None:
    """Load the model when a worker of the refresh queue starts, not when the first event waits."""
    queues: list[str] = []

    @celeryd_after_setup.connect(weak=False)
    def note_queues(instance: Any, **_: object) -> None:
        queues.extend(instance.app.amqp.queues.consume_from)

    @worker_process_init.connect(weak=False)
    def load_model(**_: object) -> None:
        if REFRESH_QUEUE not in queues:
            return
        spare_what_stays()  # before the model, which is to go when another comes into service
        try:
            state.warm()
        except InterestGraphError as error:  # the first task tries again
            logger.warning("model_not_loaded", error=str(error))
