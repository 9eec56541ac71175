"""Lists and explanations over HTTP, with a small published model on real servers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import orjson
import pytest
from safetensors.numpy import save_file

from api.app import create_app, openapi_document
from interest_graph.api_key import ApiKeyStore
from interest_graph.services import Services, build_services
from tests.unit.interest_graph.test_interest import make_matrix, make_tensors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flask.testing import FlaskClient

    from interest_graph.settings import Settings

VERSION = "v1"


def publish(directory: Path) -> list[str]:
    """Write a small random model as training does; returns its items."""
    directory.mkdir(parents=True)
    matrix = make_matrix()
    (directory / "config.json").write_bytes(orjson.dumps({"model_version": VERSION}))
    (directory / "items.json").write_bytes(orjson.dumps(matrix.item_ids))
    np.save(directory / "item_embeddings.npy", matrix.embeddings)
    np.save(directory / "item_bias.npy", matrix.bias)
    np.save(directory / "neighbor_rows.npy", matrix.neighbor_rows)
    np.save(directory / "neighbor_weights.npy", matrix.neighbor_weights)
    save_file(make_tensors(), directory / "interest_encoder.safetensors")
    return list(matrix.item_ids)


@pytest.fixture
def services(settings: Settings) -> Iterator[Services]:
    built = build_services(settings)
    yield built
    built.close()


@pytest.fixture
def client(services: Services) -> FlaskClient:
    """A client that may do everything, on a shop whose items have names and a model."""
    ids = publish(services.settings.models_dir / VERSION)
    services.serving.roll_out(VERSION)
    services.items.put(
        [
            {"item_id": item_id, "title": f"Thing {item_id}", "categories": [["Home"]]}
            for item_id in ids
        ]
    )
    made = create_app(services).test_client()
    key = ApiKeyStore(services.log).create(["admin"])
    made.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key}"
    return made


def listed(client: FlaskClient, query: str = "") -> list[str]:
    answer = client.get(f"/v1/users/u/recommendations?k=50&{query}")
    assert answer.status_code == 200, answer.text
    return [item["item_id"] for item in answer.json["items"]]


def test_the_next_list_counts_an_event_and_says_why(client: FlaskClient) -> None:
    """One purchase makes the next list personal; its explanation sums to the score in the list."""
    before = client.get("/v1/users/u/recommendations").json
    assert {item["chosen"] for item in before["items"]} == {"popular"}
    event = {"user_id": "u", "item_id": "item-3", "event_type": "view", "event_id": "e-1"}
    revision = client.post("/v1/events", json=event).json["history_revision"]
    after = client.get("/v1/users/u/recommendations").json
    assert after["history_revision"] >= revision
    assert {item["chosen"] for item in after["items"]} == {"personal"}
    assert after["items"][0]["because"]["event_id"] == "e-1"
    for item in after["items"]:
        url = f"/v1/users/u/recommendations/{item['item_id']}/explanation"
        why = client.get(f"{url}?recommendation_id={after['recommendation_id']}").json
        total = math.fsum(term["amount"] for term in why["contributions"])
        assert total == pytest.approx(why["score"], rel=1e-6)
        assert why["score"] == pytest.approx(item["score"], rel=1e-6)
        assert why["sentence"]


def test_a_list_leaves_out_what_it_must(client: FlaskClient) -> None:
    """Bought, excluded, hidden and deleted items are gone from the very next list."""
    everything = set(listed(client))
    event = {"user_id": "u", "item_id": "item-1", "event_type": "purchase"}
    client.post("/v1/events", json=event)
    client.patch("/v1/items/item-2", json={"hidden": True})
    client.delete("/v1/items/item-3")
    gone = everything - set(listed(client, "exclude=item-4"))
    assert gone == {"item-1", "item-2", "item-3", "item-4"}
    assert "item-1" in listed(client, "exclude_seen=false")


def test_an_empty_list_says_why(client: FlaskClient) -> None:
    """When nothing is left, the answer says how many items each rule took away."""
    everything = listed(client)
    query = "&".join(f"exclude={item_id}" for item_id in everything)
    answer = client.get(f"/v1/users/u/recommendations?{query}").json
    assert answer["items"] == []
    assert answer["why_empty"]["excluded"] == len(everything)


def test_an_unknown_category_or_answer_is_refused(client: FlaskClient) -> None:
    """A category that does not exist is a fault; an answer that was never given is not found."""
    wrong = client.get("/v1/users/u/recommendations?category=Nowhere")
    assert (wrong.status_code, wrong.json["code"]) == (422, "invalid_input")
    url = "/v1/users/u/recommendations/item-1/explanation?recommendation_id=absent"
    assert client.get(url).json["code"] == "not_found"
    assert client.get("/v1/items/absent/similar").json["code"] == "not_found"


def test_similar_and_popular_lists_hold_what_may_be_shown(client: FlaskClient) -> None:
    """Neither shows a hidden item, and similar items do not hold the item itself."""
    client.patch("/v1/items/item-2", json={"hidden": True})
    popular = client.get("/v1/items/popular?k=50").json["items"]
    similar = client.get("/v1/items/item-1/similar?k=50").json["items"]
    assert "item-2" not in {item["item_id"] for item in popular + similar}
    assert "item-1" not in {item["item_id"] for item in similar}
    assert client.get("/v1/health/ready?for=all").status_code == 200
    text = client.get("/metrics").text
    assert f'interest_graph_model_info{{model_version="{VERSION}"}} 1.0' in text


def test_an_item_may_be_called_popular(client: FlaskClient) -> None:
    """Its own path is the list; everything else of it works, and the document says so."""
    event = {"user_id": "u", "item_id": "popular", "event_type": "view"}
    assert client.post("/v1/events", json=event).status_code == 202
    written = client.post("/v1/items", json={"item_id": "popular", "title": "A song"})
    assert written.json["written"] == 1
    assert "items" in client.get("/v1/items/popular").json
    found = {item["item_id"]: item for item in client.get("/v1/items?limit=1000").json["items"]}
    assert found["popular"]["title"] == "A song"
    assert client.patch("/v1/items/popular", json={}).json["title"] == "A song"
    assert client.delete("/v1/items/popular").status_code == 202
    paths = openapi_document()["paths"]
    for path in ("/v1/items/{item_id}", "/v1/items/popular"):
        assert "with the id `popular`" in paths[path]["get"]["description"]
