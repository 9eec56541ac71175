"""Items and users: written, read, listed, changed, deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from interest_graph.errors import StreamUnavailableError

if TYPE_CHECKING:
    from flask.testing import FlaskClient

    from tests.unit.api.fakes import FakeServices

Auth = dict[str, dict[str, str]]
RESOURCES = [("/v1/items", "item_id"), ("/v1/users", "user_id")]


@pytest.mark.parametrize(("url", "key"), RESOURCES)
def test_a_list_is_read_by_cursor_and_repeats_nothing(
    client: FlaskClient, auth: Auth, url: str, key: str
) -> None:
    """Pages follow each other by `next` and by the Link header; together they are the list."""
    ids = [f"n-{number}" for number in range(5)]
    written = client.post(url, json=[{key: i} for i in ids], headers=auth["catalog:write"])
    assert (written.status_code, written.json["written"]) == (200, 5)
    seen, where = [], f"{url}?limit=2"
    while where:
        page = client.get(where, headers=auth["read"])
        seen.append([entry[key] for entry in page.json["items"]])
        link = page.headers.get("Link", "")
        assert bool(link) == bool(page.json["next"])
        where = link.partition(">")[0].removeprefix("<")
    assert seen == [ids[:2], ids[2:4], ids[4:]]


@pytest.mark.parametrize(("url", "key"), RESOURCES)
def test_one_at_fault_does_not_sink_the_others(
    client: FlaskClient, auth: Auth, url: str, key: str
) -> None:
    """Of a batch the valid ones are written, and the others named with their faults."""
    body = [{key: "a"}, {key: "b", "colour": 1}]
    answer = client.post(url, json=body, headers=auth["catalog:write"]).json
    assert answer["written"] == 1
    assert [fault["pointer"] for fault in answer["rejected"]] == ["/1/colour"]


@pytest.mark.parametrize(("url", "key"), RESOURCES)
def test_a_patch_changes_what_it_names(client: FlaskClient, auth: Auth, url: str, key: str) -> None:
    """A patch answers with the whole, changed document; an empty one changes nothing."""
    headers = auth["catalog:write"]
    client.post(url, json={key: "a", "properties": {"x": 1}}, headers=headers)
    changed = client.patch(f"{url}/a", json={"properties": {"y": 2}}, headers=headers)
    assert changed.json == client.get(f"{url}/a", headers=auth["read"]).json
    assert changed.json["properties"] == {"y": 2}
    assert client.patch(f"{url}/a", json={}, headers=headers).json == changed.json
    assert client.patch(f"{url}/a", json={key: "b"}, headers=headers).status_code == 422
    assert client.patch(f"{url}/a", json=[], headers=headers).status_code == 422


@pytest.mark.parametrize(("url", "key"), RESOURCES)
def test_a_deletion_is_answered_with_a_receipt(
    client: FlaskClient, auth: Auth, url: str, key: str
) -> None:
    """A deletion is a 202 with a receipt, and then the thing is gone."""
    headers = auth["catalog:write"]
    client.post(url, json={key: "a"}, headers=headers)
    answer = client.delete(f"{url}/a", headers=headers)
    assert answer.status_code == 202
    assert answer.json["receipt_id"]
    assert client.get(f"{url}/a", headers=auth["read"]).json["code"] == "not_found"


def test_a_store_that_is_away_is_503(
    client: FlaskClient, auth: Auth, services: FakeServices
) -> None:
    """Nothing is answered as written that is not."""
    services.items.error = StreamUnavailableError("away")
    answer = client.post("/v1/items", json={"item_id": "a"}, headers=auth["catalog:write"])
    assert (answer.status_code, answer.json["code"]) == (503, "log_unavailable")


def test_a_patch_must_leave_a_valid_item(client: FlaskClient, auth: Auth) -> None:
    """What a patch would make of the whole item is validated too."""
    headers = auth["catalog:write"]
    item = {"item_id": "a", "available_from": "2026-01-02T00:00:00Z"}
    client.post("/v1/items", json=item, headers=headers)
    patch = {"available_until": "2026-01-01T00:00:00Z"}
    answer = client.patch("/v1/items/a", json=patch, headers=headers)
    assert (answer.status_code, answer.json["code"]) == (422, "invalid_input")
