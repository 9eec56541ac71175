"""The Celery application: queues by cost, late acknowledgement, nothing that a result rests on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from celery import Celery

from .wake_up import REFRESH_QUEUE

if TYPE_CHECKING:
    from interest_graph.settings import Settings


def create_celery(settings: Settings) -> Celery:
    """A Celery application without tasks: enough to send wake-ups."""
    app = Celery("interest_graph", broker=settings.broker_url, set_as_current=False)
    app.conf.update(
        task_ignore_result=True,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_default_queue=REFRESH_QUEUE,
        task_serializer="json",
        accept_content=["json"],
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
        worker_proc_alive_timeout=300,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={"socket_timeout": 10, "socket_keepalive": True},
        timezone="UTC",
    )
    return app
