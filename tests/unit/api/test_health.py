"""Live and ready."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interest_graph.errors import (
    GraphUnavailableError,
    ModelNotReadyError,
    ServingStateUnavailableError,
    StreamUnavailableError,
)

if TYPE_CHECKING:
    from flask.testing import FlaskClient

    from tests.unit.api.fakes import FakeServices

Auth = dict[str, dict[str, str]]


def missing(client: FlaskClient, auth: Auth, purpose: str) -> list[str]:
    """What an answer about readiness says is missing."""
    answer = client.get(f"/v1/health/ready?for={purpose}", headers=auth["read"])
    if answer.status_code == 200:
        assert answer.json["ready"] is True
        return []
    assert (answer.status_code, answer.json["code"]) == (503, "not_ready")
    return [fault["field"] for fault in answer.json["errors"]]


def test_live_asks_nobody(client: FlaskClient, services: FakeServices) -> None:
    """Live needs no key and no dependency."""
    services.events.error = StreamUnavailableError("away")
    assert client.get("/v1/health/live").json == {"status": "live"}


def test_ready_when_everything_answers(client: FlaskClient, auth: Auth) -> None:
    """With every dependency there, every purpose is ready."""
    for purpose in ("events", "recommendations", "writes", "all"):
        assert missing(client, auth, purpose) == []


def test_each_purpose_names_what_it_misses(
    client: FlaskClient, auth: Auth, services: FakeServices
) -> None:
    """A dependency that is away stops what needs it and nothing else."""
    services.graph.error = GraphUnavailableError("away")
    assert missing(client, auth, "events") == []
    assert missing(client, auth, "recommendations") == []
    assert missing(client, auth, "all") == ["graph"]
    services.events.error = StreamUnavailableError("away")
    assert missing(client, auth, "events") == ["log"]
    assert missing(client, auth, "recommendations") == []
    services.recommender.error = ModelNotReadyError("no model")
    assert missing(client, auth, "recommendations") == ["model"]
    services.serving.error = ServingStateUnavailableError("away")
    assert missing(client, auth, "writes") == ["log", "serving_state"]


def test_a_log_that_may_lose_events_is_not_ready(
    client: FlaskClient, auth: Auth, services: FakeServices
) -> None:
    """It may have come, or come back with other settings, after the process had started."""
    services.log.configuration["appendfsync"] = "everysec"
    assert missing(client, auth, "events") == ["log"]
    assert missing(client, auth, "writes") == ["log"]
    assert missing(client, auth, "recommendations") == []
    answer = client.get("/v1/health/ready?for=events", headers=auth["read"])
    assert answer.json["errors"][0]["reason"].endswith("set appendfsync always")


def test_an_unknown_purpose_is_a_fault(client: FlaskClient, auth: Auth) -> None:
    """A misspelt purpose is refused, not taken for all."""
    answer = client.get("/v1/health/ready?for=event", headers=auth["read"])
    assert answer.json["errors"][0]["pointer"] == "/for"
