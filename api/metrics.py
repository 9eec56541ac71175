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
    with suppress(TransientError):
        _look()
    return Response(wired().metrics.exposition(), content_type=CONTENT_TYPE)


def _look() -> None:
    """Set the gauges that say how things stand now; what does not answer keeps its value."""
    gauges, events = wired().metrics, services().events
    gauges.log_entries.set(events.length())
    gauges.dead_letters.set(events.dead_letters())
    manifest, _ = services().serving.head()
    if manifest is not None:
        gauges.model_info.labels(manifest.model_version).set(1)
