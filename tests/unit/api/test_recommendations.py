"""Lists, explanations, interests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
import pytest

from api.recommendations import list_json
from api.schemas.recommendation import RecommendationsOut
from interest_graph.errors import GraphUnavailableError, ModelNotReadyError
from interest_graph.recommendation import Because, Query, Recommendations, RecommendedItem, WhyEmpty

if TYPE_CHECKING:
    from flask.testing import FlaskClient

    from tests.unit.api.fakes import FakeServices

Auth = dict[str, dict[str, str]]
URL = "/v1/users/u/recommendations"


def test_a_list_is_asked_for_with_its_parameters(
    client: FlaskClient, auth: Auth, services: FakeServices
) -> None:
    """The parameters of a list reach the recommender as they were sent."""
    query = "k=5&exclude_seen=false&category=c1&exclude=a&exclude=b"
    answer = client.get(f"{URL}?{query}", headers=auth["read"])
    lamp = {"item_id": "lamp", "title": "Lamp", "score": 1.5, "chosen": "personal", "because": None}
    assert answer.json == {
        "recommendation_id": "rec-1",
        "model_version": "m-1",
        "history_revision": 7,
        "items": [lamp],
        "degraded": [],
        "why_empty": None,
    }
    asked = Query(5, exclude_seen=False, category="c1", exclude=("a", "b"))
    assert services.recommender.asked == [("u", asked)]


def test_an_empty_list_says_why(client: FlaskClient, auth: Auth, services: FakeServices) -> None:
    """An empty list carries what each rule took away, and is counted by reason."""
    services.recommender.items = []
    why = client.get(URL, headers=auth["read"]).json["why_empty"]
    assert why == {"candidates": 40, "hidden": 0, "already_seen": 40, "excluded": 0}
    text = client.get("/metrics", headers=auth["read"]).text
    assert 'interest_graph_recommendations_empty_total{reason="already_seen"} 1.0' in text


def test_no_model_yet_is_503(client: FlaskClient, auth: Auth, services: FakeServices) -> None:
    """Before the first training the answer says so."""
    services.recommender.error = ModelNotReadyError("train first")
    answer = client.get(URL, headers=auth["read"])
    assert (answer.status_code, answer.json["code"]) == (503, "model_not_ready")


def test_an_explanation_names_event_and_path(client: FlaskClient, auth: Auth) -> None:
    """Each contribution has its event and its path in the graph; together they are the score."""
    url = f"{URL}/lamp/explanation?recommendation_id=rec-1"
    answer = client.get(url, headers=auth["read"]).json
    assert answer["recommendation_id"] == "rec-1"
    assert sum(term["amount"] for term in answer["contributions"]) == answer["score"]
    first = answer["contributions"][0]
    assert first["event_id"] == "e-1"
    assert [edge["type"] for edge in first["path"]["edges"]] == ["PURCHASED", "SIMILAR_TO"]
    assert [node["id"] for node in first["path"]["nodes"]] == ["u", "bulb", "lamp"]


def test_interests_come_from_the_graph(
    client: FlaskClient, auth: Auth, services: FakeServices
) -> None:
    """The learned edges are answered with their time; without the graph it is a 503."""
    services.graph.rows = [
        {
            "kind": "category",
            "id": "c1",
            "name": "Home",
            "weight": 0.5,
            "model_version": "m-1",
            "updated_at_ms": 1_767_225_600_000,
        }
    ]
    answer = client.get("/v1/users/u/interests", headers=auth["read"]).json
    assert answer["items"][0]["updated_at"] == "2026-01-01T00:00:00Z"
    services.graph.error = GraphUnavailableError("away")
    away = client.get("/v1/users/u/interests", headers=auth["read"])
    assert (away.status_code, away.json["code"]) == (503, "graph_unavailable")


@pytest.mark.parametrize("url", ["/v1/items/popular", "/v1/items/lamp/similar"])
def test_lists_without_a_user(client: FlaskClient, auth: Auth, url: str) -> None:
    """Popular and similar items are lists of the same shape."""
    assert client.get(url, headers=auth["read"]).json["items"][0]["item_id"] == "lamp"


def test_the_busiest_answer_is_what_its_schema_says() -> None:
    """Written by itself, a list is the JSON that `RecommendationsOut` would make of it."""
    because = Because("e-1", "view", "lamp", None)
    found = Recommendations(
        "rec-1",
        "m-1",
        7,
        [
            RecommendedItem("desk", "Desk äß", 1 / 3, "personal", because),
            RecommendedItem("lamp", None, -2e-9, "popular"),
        ],
        degraded=("serving_state",),
    )
    for one in (found, Recommendations("rec-2", "m-1", 0, [], WhyEmpty(3, 1, 1, 1))):
        schema = RecommendationsOut.model_validate(one).model_dump_json(exclude_unset=True)
        assert orjson.loads(list_json(one)) == orjson.loads(schema)
