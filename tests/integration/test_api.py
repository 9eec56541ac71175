"""The API on real servers: what it answers is what is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from api.app import create_app
from interest_graph.api_key import ApiKeyStore
from interest_graph.services import Services, build_services

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask.testing import FlaskClient

    from interest_graph.settings import Settings


@pytest.fixture
def services(settings: Settings) -> Iterator[Services]:
    built = build_services(settings)
    yield built
    built.close()


@pytest.fixture
def client(services: Services) -> FlaskClient:
    """A client that may do everything."""
    made = create_app(services).test_client()
    key = ApiKeyStore(services.log).create(["admin"])
    made.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key}"
    return made


def event(**changes: object) -> dict[str, object]:
    return {"user_id": "u", "item_id": "lamp", "event_type": "view", **changes}


def test_an_accepted_event_is_in_the_log_and_the_history(
    client: FlaskClient, services: Services
) -> None:
    """After the 202 the event is in both, with the revision that was answered."""
    answer = client.post("/v1/events", json=[event(event_id="e-1"), event(event_id="bad id")])
    assert answer.status_code == 202
    assert answer.json["event_ids"] == ["e-1", None]
    state = services.serving.read("u")
    assert [entry.event_id for entry in state.user.history] == ["e-1"]
    assert state.history_revision == answer.json["history_revision"]
    assert services.events.length() == 1


def test_a_resend_changes_nothing(client: FlaskClient, services: Services) -> None:
    """The same request again is all duplicates; another body under the id is rejected."""
    batch = [event(event_id="e-1"), event(event_id="e-2", value=3)]
    client.post("/v1/events", json=batch)
    again = client.post("/v1/events", json=batch).json
    assert (again["accepted"], again["duplicates"]) == (0, 2)
    mixed = client.post("/v1/events", json=[event(event_id="e-1", value=1), event()]).json
    assert (mixed["accepted"], [fault["pointer"] for fault in mixed["rejected"]]) == (
        1,
        ["/0/event_id"],
    )
    assert services.events.length() == 3


def test_a_retry_with_an_idempotency_key_counts_once(
    client: FlaskClient, services: Services
) -> None:
    """Events without id or time, sent twice under one key, are in the log once."""
    headers = {"Idempotency-Key": "order-7"}
    for _ in range(2):
        answer = client.post("/v1/events", json=[event(), event()], headers=headers)
        assert answer.status_code == 202
    assert services.events.length() == 2


def test_a_full_log_refuses_everything(settings: Settings, services: Services) -> None:
    """At the bound a request is refused whole, with the time to come back."""
    small = settings.model_copy(update={"max_log_entries": 100})
    full = build_services(small)
    client = create_app(full).test_client()
    key = ApiKeyStore(full.log).create(["events:write"])
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key}"
    assert client.post("/v1/events", json=[event()] * 100).status_code == 202
    answer = client.post("/v1/events", json=[event()] * 2)
    assert (answer.status_code, answer.json["code"]) == (429, "log_full")
    assert int(answer.headers["Retry-After"]) >= 1
    assert services.events.length() == 100
    full.close()


def test_items_are_written_read_changed_listed_and_deleted(client: FlaskClient) -> None:
    """What was put is got; a patch changes a field; a deletion is seen at once."""
    lamp = {"item_id": "lamp", "title": "Lamp", "price": 9.5, "categories": [["Home", "Light"]]}
    written = client.post("/v1/items", json=[lamp, {"item_id": "bulb"}]).json
    assert written["written"] == 2
    assert client.get("/v1/items/lamp").json == {**lamp, "hidden": False}
    patched = client.patch("/v1/items/lamp", json={"price": None, "hidden": True}).json
    assert ("price" in patched, patched["hidden"], patched["title"]) == (False, True, "Lamp")
    page = client.get("/v1/items?limit=1").json
    assert [item["item_id"] for item in page["items"]] == ["bulb"]
    rest = client.get(f"/v1/items?limit=1&cursor={page['next']}").json
    assert ([item["item_id"] for item in rest["items"]], rest["next"]) == (["lamp"], None)
    receipt = client.delete("/v1/items/lamp")
    assert receipt.status_code == 202
    assert receipt.json["revision"] > written["revision"]
    assert client.get("/v1/items/lamp").status_code == 404
    assert client.delete("/v1/items/lamp").status_code == 404


def test_an_erased_user_stays_erased(client: FlaskClient, services: Services) -> None:
    """After the receipt nothing is kept of the user, and no late event brings them back."""
    client.post("/v1/users", json={"user_id": "u", "categories": [["Home"]]})
    client.post("/v1/events", json=event(event_type="purchase"))
    assert client.delete("/v1/users/u").status_code == 202
    late = client.post("/v1/events", json=event())
    assert (late.status_code, late.json["errors"][0]["field"]) == (422, "user_id")
    state = services.serving.read("u")
    assert (state.user.history, state.user.declared, len(state.user.seen)) == ((), (), 0)
    assert client.get("/v1/users/u").status_code == 404


def test_ready_tells_dependencies_apart(client: FlaskClient) -> None:
    """Events and writes are ready before the first model; recommendations say what is missing."""
    assert client.get("/v1/health/ready?for=events").status_code == 200
    assert client.get("/v1/health/ready?for=writes").status_code == 200
    answer = client.get("/v1/health/ready?for=all")
    assert answer.status_code == 503
    assert [fault["field"] for fault in answer.json["errors"]] == ["model"]


def test_gauges_say_what_waits(client: FlaskClient) -> None:
    """The metrics show the length of the log as it is when they are read."""
    client.post("/v1/events", json=[event(), event()])
    text = client.get("/metrics").text
    assert "interest_graph_log_entries 2.0" in text
    assert 'interest_graph_events_accepted_total{event_type="view"} 2.0' in text
