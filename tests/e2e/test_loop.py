"""The whole loop with real processes: event in, explained recommendation out."""

from __future__ import annotations

import math
import uuid
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.running_service import RunningService

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(900)]


def a_user(service: RunningService) -> str:
    """A household with many purchases."""
    query = """
        MATCH (user:User)-[event:PURCHASED]->() WITH user, count(event) AS events
        RETURN user.user_id AS user_id ORDER BY events DESC LIMIT 1"""
    return str(service.graph(query)[0]["user_id"])


def test_a_list_is_personal_and_its_reasons_sum_to_the_score(
    running_service: RunningService,
) -> None:
    """Every item of a list is explained by contributions that sum to its score within 1e-6."""
    user = a_user(running_service)
    answer = running_service.get(f"/v1/users/{user}/recommendations", k=10)
    assert len(answer["items"]) == 10
    assert {item["chosen"] for item in answer["items"]} == {"personal"}
    for item in answer["items"]:
        why = running_service.get(
            f"/v1/users/{user}/recommendations/{item['item_id']}/explanation",
            recommendation_id=answer["recommendation_id"],
        )
        total = math.fsum(term["amount"] for term in why["contributions"])
        assert total == pytest.approx(why["score"], rel=1e-6)
        assert why["score"] == pytest.approx(item["score"], rel=1e-6)
        kinds = {term["kind"] for term in why["contributions"]}
        assert "interest" in kinds, kinds


def test_contributions_name_edges_that_the_graph_holds(running_service: RunningService) -> None:
    """The events and SIMILAR_TO edges of an explanation are found in Neo4j, with their weights."""
    user = a_user(running_service)
    item = running_service.get(f"/v1/users/{user}/recommendations", k=1)["items"][0]["item_id"]
    why = running_service.get(f"/v1/users/{user}/recommendations/{item}/explanation")
    similar = [term for term in why["contributions"] if term["kind"] == "item_graph"]
    for term in [*similar[:5], *why["contributions"][:5]]:
        for edge in term["path"]["edges"]:
            if edge.get("event_id"):
                found = running_service.graph(
                    "MATCH (:User {user_id: $user})-[e {event_id: $event}]->() RETURN type(e) AS t",
                    user=user,
                    event=edge["event_id"],
                )
                assert [row["t"] for row in found] == [edge["type"]]
            elif edge["type"] == "SIMILAR_TO":
                found = running_service.graph(
                    """MATCH (:Item {item_id: $from})-[s:SIMILAR_TO]->(:Item {item_id: $to})
                    RETURN s.weight AS weight""",
                    **{"from": term["path"]["nodes"][1]["id"], "to": item},
                )
                assert found[0]["weight"] == pytest.approx(edge["weight"], rel=1e-5)


def test_the_next_list_reflects_an_event(running_service: RunningService) -> None:
    """The very next request after a 202 carries its revision and another list, before the graph."""
    user = a_user(running_service)
    before = running_service.get(f"/v1/users/{user}/recommendations", k=20)
    bought = before["items"][0]["item_id"]
    accepted = running_service.post(
        "/v1/events", {"user_id": user, "item_id": bought, "event_type": "purchase"}
    )
    after = running_service.get(f"/v1/users/{user}/recommendations", k=20)
    assert after["history_revision"] >= accepted["history_revision"] > before["history_revision"]
    assert bought not in {item["item_id"] for item in after["items"]}, "seen items are left out"
    scores = {item["item_id"]: item["score"] for item in before["items"]}
    moved = [
        item
        for item in after["items"]
        if abs(scores.get(item["item_id"], 0) - item["score"]) > 1e-9
    ]
    assert moved, "an event must change scores"


def test_the_graph_follows_an_event(running_service: RunningService) -> None:
    """An event becomes a fact, and the user's INTERESTED_IN gains the item, with the model."""
    user = f"newcomer-{uuid.uuid4().hex[:8]}"
    item = running_service.get("/v1/items/popular", k=1)["items"][0]["item_id"]
    sent = running_service.post(
        "/v1/events", {"user_id": user, "item_id": item, "event_type": "click"}
    )
    query = """
        MATCH (:User {user_id: $user})-[fact:CLICKED]->(item:Item)
        MATCH (:User {user_id: $user})-[edge:INTERESTED_IN]->(item)
        RETURN fact.event_id AS event_id, edge.weight AS weight, edge.model_version AS version"""
    running_service.wait(lambda: bool(running_service.graph(query, user=user)), "INTERESTED_IN")
    row = running_service.graph(query, user=user)[0]
    assert row["event_id"] == sent["event_ids"][0]
    assert row["weight"] == pytest.approx(1.0)
    interests = running_service.get(f"/v1/users/{user}/interests")
    assert row["version"] == interests["items"][0]["model_version"]


def test_an_unknown_user_gets_what_is_popular(running_service: RunningService) -> None:
    """A user nobody has heard of gets popular items, and says so."""
    answer = running_service.get(f"/v1/users/{uuid.uuid4().hex}/recommendations", k=5)
    popular = running_service.get("/v1/items/popular", k=5)
    assert [i["item_id"] for i in answer["items"]] == [i["item_id"] for i in popular["items"]]
    assert {item["chosen"] for item in answer["items"]} == {"popular"}


def test_a_new_item_is_recommended_from_its_text_and_category(
    running_service: RunningService,
) -> None:
    """An item that nobody has touched reaches a list within seconds, from text and category."""
    twin = running_service.graph(
        """MATCH (item:Item)-[:IN_CATEGORY]->(category) WHERE item.known
        RETURN item.item_id AS item_id, item.title AS title, category.path AS path
        ORDER BY item.event_count DESC LIMIT 1"""
    )[0]
    new, user = f"new-{uuid.uuid4().hex[:8]}", a_user(running_service)
    running_service.post(
        "/v1/items",
        {"item_id": new, "title": twin["title"], "categories": [twin["path"].split(" > ")]},
    )
    shelf = {"k": 200, "category": twin["path"], "exclude_seen": False}

    def listed() -> list[str]:
        items = running_service.get(f"/v1/users/{user}/recommendations", **shelf)["items"]
        return [item["item_id"] for item in items]

    running_service.wait(lambda: new in listed(), "the new item to be recommended")
    alike = running_service.get(f"/v1/items/{twin['item_id']}/similar", k=50)["items"]
    assert new in {item["item_id"] for item in alike}, "it lies where its text and category say"


def test_a_hidden_item_is_gone_at_once(running_service: RunningService) -> None:
    """The next list after an item was hidden does not hold it; after showing it again, it may."""
    user = a_user(running_service)
    url = f"/v1/users/{user}/recommendations"
    item = running_service.get(url, k=1)["items"][0]["item_id"]
    patch = running_service.session.patch
    assert patch(f"{running_service.url}/v1/items/{item}", json={"hidden": True}).status_code == 200
    assert item not in {one["item_id"] for one in running_service.get(url, k=50)["items"]}
    assert (
        patch(f"{running_service.url}/v1/items/{item}", json={"hidden": False}).status_code == 200
    )
    assert item in {one["item_id"] for one in running_service.get(url, k=50)["items"]}
