"""`/metrics`: Prometheus' text format, over all processes."""

from contextlib import suppress

from flask import Response
from flask_openapi.blueprint import APIBlueprint
from flask_openapi.models.tag import Tag

from interest_graph.errors import TransientError

from .access import scope
from .wiring import services, wired

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
metrics = APIBlueprint("metrics", __name__, abp_tags=[Tag(name="operations")])


@metrics.get(
    "/metrics",
    operation_id="metrics",
    responses={
        200: {
            "description": "The metrics.",
            "content": {"text/plain": {"schema": {"type": "string"}}},
        }
    },
)
@scope("read")
def read_metrics() -> Response:
    """Read the metrics of all processes, for Prometheus."""
    text = wired().metrics.exposition(_look())
    return Response(text, content_type=CONTENT_TYPE)


def _look() -> str | None:
    """Set the gauges that say how things stand now; returns the version of the model in service.

    What does not answer keeps its value: a scrape must not fail with what it watches.
    """
    gauges, events = wired().metrics, services().events
    with suppress(TransientError):
        lengths = events.lengths()
        gauges.log_entries.set(sum(lengths))
        for partition, length in enumerate(lengths):
            gauges.partition_entries.labels(str(partition)).set(length)
        owned = sum(lease.left_s > 0 for lease in events.leases().values())
        gauges.ownerless_partitions.set(len(lengths) - owned)
        gauges.dead_letters.set(events.dead_letters())
        manifest, _ = services().serving.head()
        return manifest.model_version if manifest else None
    return None
