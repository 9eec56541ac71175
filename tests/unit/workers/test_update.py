"""What a worker loads when it starts."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from celery.signals import celeryd_after_setup, worker_process_init

from interest_graph.settings import Settings
from workers import update
from workers.celery_factory import create_celery
from workers.wake_up import REFRESH_QUEUE, TRAINING_QUEUE

if TYPE_CHECKING:
    from interest_graph.metrics import Metrics


@pytest.mark.parametrize(("queue", "loads"), [(REFRESH_QUEUE, 1), (TRAINING_QUEUE, 0)])
def test_a_model_is_loaded_at_the_start_by_who_refreshes(
    monkeypatch: pytest.MonkeyPatch, queue: str, loads: int
) -> None:
    """A worker of the training queue alone has no use for it, and it takes most of its memory."""
    loaded: list[int] = []
    state = SimpleNamespace(warm=lambda: loaded.append(1))
    monkeypatch.setattr(update, "WorkerState", lambda *_: state)
    for signal in (celeryd_after_setup, worker_process_init):
        monkeypatch.setattr(signal, "receivers", [])
    counted = SimpleNamespace(transactions_retried=SimpleNamespace(inc=None))
    app = create_celery(Settings())
    update.register_updates(app, Settings(), cast("Metrics", counted))
    app.amqp.queues.select([queue])  # as `celery worker -Q` does
    celeryd_after_setup.send(sender="worker", instance=SimpleNamespace(app=app), conf=app.conf)
    worker_process_init.send(sender=None)
    assert len(loaded) == loads
