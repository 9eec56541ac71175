"""Entry point of Celery's workers: `celery -A workers.celery_app:app worker -Q refresh`."""

from __future__ import annotations

from celery.signals import setup_logging

from interest_graph.logs import configure_logs, log_libraries
from interest_graph.metrics import build_metrics
from interest_graph.settings import load_settings

from .celery_factory import create_celery
from .training import register_training
from .update import register_updates

settings = load_settings()
configure_logs(settings.log_level)
setup_logging.connect(log_libraries, weak=False)
metrics = build_metrics(settings.metrics_dir)
app = create_celery(settings)
register_updates(app, settings, metrics)
register_training(app, settings)
