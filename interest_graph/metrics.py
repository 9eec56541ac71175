"""The Prometheus instruments of every process, shared through files when there are several.

`build_metrics` must run before a process makes its first instrument: the client library decides
then whether values live in memory or in the shared directory. The API reads them for `/metrics`.
"""

from __future__ import annotations

import functools
import os
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, values
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
DELAYS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
NAMESPACE = "interest_graph"


@dataclass(frozen=True, slots=True)
class Metrics:
    """Every instrument; names begin with `interest_graph_`, labels are bounded, never an id."""

    registry: CollectorRegistry
    directory: Path | None
    http_requests: Counter
    http_request_seconds: Histogram
    events_accepted: Counter
    events_duplicate: Counter
    events_rejected: Counter
    recommend_seconds: Histogram
    recommendations_empty: Counter
    ineligible_returned: Counter
    events_applied: Counter
    events_flagged: Counter
    events_dead_lettered: Counter
    nodes_refreshed: Counter
    event_to_list_seconds: Histogram
    event_to_graph_seconds: Histogram
    event_to_refresh_seconds: Histogram
    leases_lost: Counter
    transactions_retried: Counter
    log_entries: Gauge
    partition_entries: Gauge
    ownerless_partitions: Gauge
    dead_letters: Gauge
    stale_nodes: Gauge
    oldest_stale_node_seconds: Gauge
    _of_requests: dict[tuple[str, str, int], tuple[Counter, Histogram]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def count_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answered request; its instruments are looked up once.

        Args:
            method: Its method.
            route: Its route's template.
            status: Of its answer.
            seconds: What it took.
        """
        asked = method, route, status
        if asked not in self._of_requests:
            counter = self.http_requests.labels(method, route, str(status))
            self._of_requests[asked] = counter, self.http_request_seconds.labels(method, route)
        counter, histogram = self._of_requests[asked]
        counter.inc()
        histogram.observe(seconds)

    def exposition(self, model_version: str | None = None) -> bytes:
        """Prometheus' text format, over all processes when they share a directory.

        Args:
            model_version: The model in service, for `interest_graph_model_info`. It is no
                instrument: shared values would keep the model before it.
        """
        info = CollectorRegistry()
        info.register(_ModelInfo(model_version))
        if self.directory is None:
            return generate_latest(self.registry) + generate_latest(info)
        collected = CollectorRegistry()
        MultiProcessCollector(collected, path=str(self.directory))  # type: ignore[no-untyped-call] # untyped in prometheus-client
        return generate_latest(collected) + generate_latest(info)


class _ModelInfo(Collector):
    """One series with the value 1: the model in service."""

    def __init__(self, model_version: str | None) -> None:
        self._model_version = model_version

    def collect(self) -> Iterator[Metric]:
        """The series, or none before the first model."""
        name, text = f"{NAMESPACE}_model_info", "1 for the model in service."
        family = GaugeMetricFamily(name, text, labels=["model_version"])
        if self._model_version is not None:
            family.add_metric([self._model_version], 1)
        yield family


class _Factory:
    """Makes instruments in one registry and namespace."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, namespace=NAMESPACE, registry=self._registry)

    def histogram(
        self, name: str, text: str, buckets: tuple[float, ...], *labels: str
    ) -> Histogram:
        return Histogram(
            name, text, labels, namespace=NAMESPACE, registry=self._registry, buckets=buckets
        )

    def gauge(self, name: str, text: str, *labels: str) -> Gauge:
        """A gauge whose newest value counts, whichever process set it."""
        return Gauge(
            name,
            text,
            labels,
            namespace=NAMESPACE,
            registry=self._registry,
            multiprocess_mode="mostrecent",
        )


def _share(directory: Path) -> None:
    """Make the client library keep its values in `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(directory)
    values.ValueClass = values.MultiProcessValue(_process_name)  # type: ignore[no-untyped-call] # untyped in prometheus-client


@functools.cache
def _process_name() -> str:
    """A name for the values of this process, for which the library asks with each of them.

    Containers that share the directory have equal pids: the host's name tells them apart.
    """
    return f"{socket.gethostname().replace('_', '-')}-{os.getpid()}"


os.register_at_fork(after_in_child=_process_name.cache_clear)


def build_metrics(directory: Path | None) -> Metrics:
    """Make the instruments of this process.

    Args:
        directory: Where the processes share their values (`metrics_dir`), emptied before the first
            of them starts; None keeps them in this process.
    """
    if directory is not None:
        _share(directory)
    registry = CollectorRegistry()
    make = _Factory(registry)
    return Metrics(
        registry=registry,
        directory=directory,
        http_requests=make.counter(
            "http_requests_total", "Requests answered.", "method", "route", "status"
        ),
        http_request_seconds=make.histogram(
            "http_request_duration_seconds", "Time to an answer.", SECONDS, "method", "route"
        ),
        events_accepted=make.counter("events_accepted_total", "Events in the log.", "event_type"),
        events_duplicate=make.counter("events_duplicate_total", "Events sent again."),
        events_rejected=make.counter("events_rejected_total", "Events at fault."),
        recommend_seconds=make.histogram(
            "recommend_duration_seconds", "Time to make a list.", SECONDS, "kind"
        ),
        recommendations_empty=make.counter(
            "recommendations_empty_total", "Empty lists, by reason.", "reason"
        ),
        ineligible_returned=make.counter(
            "ineligible_returned_total", "Items the last check caught: alarm above 0."
        ),
        events_applied=make.counter("events_applied_total", "Events written to the graph."),
        events_flagged=make.counter(
            "events_flagged_total", "Flagged events written to the graph.", "reason"
        ),
        events_dead_lettered=make.counter(
            "events_dead_lettered_total", "Events that could not be written.", "reason"
        ),
        nodes_refreshed=make.counter("nodes_refreshed_total", "Nodes recomputed.", "label"),
        event_to_list_seconds=make.histogram(
            "event_to_list_seconds",
            "From received to counted by every later list, once a request.",
            SECONDS,
        ),
        event_to_graph_seconds=make.histogram(
            "event_to_graph_seconds", "From accepted to in the graph.", DELAYS
        ),
        event_to_refresh_seconds=make.histogram(
            "event_to_refresh_seconds", "From accepted to refreshed.", DELAYS
        ),
        leases_lost=make.counter(
            "leases_lost_total", "Partitions that were taken from a living ingest worker."
        ),
        transactions_retried=make.counter(
            "transactions_retried_total", "Write transactions tried again, after deadlocks mostly."
        ),
        log_entries=make.gauge("log_entries", "Events accepted and not yet in the graph."),
        partition_entries=make.gauge(
            "partition_entries", "The same in each partition of the log.", "partition"
        ),
        ownerless_partitions=make.gauge(
            "ownerless_partitions", "Partitions of the log that no living worker owns."
        ),
        dead_letters=make.gauge("dead_letters", "Entries waiting to be looked at."),
        stale_nodes=make.gauge("stale_nodes", "Nodes that wait for a refresh.", "label"),
        oldest_stale_node_seconds=make.gauge(
            "oldest_stale_node_seconds", "Age of the oldest mark.", "label"
        ),
    )
