"""What every answer carries, and what the logs and the metrics say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
import pytest

from tests.unit.api.fakes import FakeServices

if TYPE_CHECKING:
    from flask.testing import FlaskClient

Auth = dict[str, dict[str, str]]
LIST = "/v1/users/u-secret/recommendations"


def test_a_request_id_is_taken_over_or_made(client: FlaskClient) -> None:
    """A usable `X-Request-Id` comes back; an unusable one is replaced."""
    sent = client.get("/v1/health/live", headers={"X-Request-Id": "mine-1"})
    assert sent.headers["X-Request-Id"] == "mine-1"
    made = client.get("/v1/health/live", headers={"X-Request-Id": "no spaces"})
    assert made.headers["X-Request-Id"].startswith("r-")


@pytest.mark.parametrize("path", [LIST, "/nowhere", "/v1/health/live"])
def test_every_answer_is_hardened_and_not_stored(
    client: FlaskClient, auth: Auth, path: str
) -> None:
    """Security headers and `no-store` are on lists, errors and health alike."""
    headers = client.get(path, headers=auth["read"]).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in headers["Content-Security-Policy"]


def test_a_log_line_names_the_route_and_nobody(
    capsys: pytest.CaptureFixture[str], auth: Auth
) -> None:
    """A request is logged under its route's template with its id: no user, no key."""
    client = FakeServices().client()
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    client.get(LIST, headers=auth["read"] | {"X-Request-Id": "mine-1", "traceparent": parent})
    logged = capsys.readouterr().err
    line = next(
        line for line in map(orjson.loads, logged.splitlines()) if line["event"] == "request"
    )
    assert line["route"] == "/v1/users/<user_id>/recommendations"
    assert (line["request_id"], line["status"]) == ("mine-1", 200)
    assert line["trace_id"] == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert "secret" not in logged
    assert "ig-read" not in logged


def test_requests_are_counted_by_route(client: FlaskClient, auth: Auth) -> None:
    """`/metrics` counts by route template and status; a made-up path makes no new series."""
    client.get(LIST, headers=auth["read"])
    client.get("/made-up", headers=auth["read"])
    text = client.get("/metrics", headers=auth["read"]).text
    assert (
        'interest_graph_http_requests_total{method="GET",'
        'route="/v1/users/<user_id>/recommendations",status="200"} 1.0'
    ) in text
    assert 'route="none",status="404"' in text
    assert "made-up" not in text
    assert "u-secret" not in text
