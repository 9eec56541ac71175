"""The graph falls behind: the log fills to its bound, refuses, and drains in order afterwards."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from cli.local_stack.endpoints import read_endpoints
from cli.local_stack.neo4j_server import NEO4J, start_neo4j
from cli.local_stack.process import stop
from tests.e2e.api_processes import api_processes

if TYPE_CHECKING:
    import requests

    from tests.running_service import RunningService

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(900)]

BOUND, BATCH, USERS = 600, 20, 30
PATIENCE_S = 300.0


class Shop:
    """A shop that goes on while the graph is away.

    Args:
        service: The service.
        url: Of an API process whose log has a small bound.
    """

    def __init__(self, service: RunningService, url: str) -> None:
        self.service, self.url = service, url
        self.prefix = f"full-{uuid.uuid4().hex[:6]}"
        self.items = [item["item_id"] for item in service.get("/v1/items/popular", k=50)["items"]]
        self.accepted: dict[str, list[str]] = {self.user(number): [] for number in range(USERS)}
        self.revision = dict.fromkeys(self.accepted, 0)
        self.sent = 0

    def user(self, number: int) -> str:
        """One of some users, by turns."""
        return f"{self.prefix}-user-{number % USERS}"

    def send(self) -> requests.Response:
        """A batch of events; what a 202 accepts is remembered, in its order."""
        batch = [
            {
                "event_id": f"{self.prefix}-{self.sent + place}",
                "user_id": self.user(self.sent + place),
                "item_id": self.items[(self.sent + place) % len(self.items)],
                "event_type": "purchase",
            }
            for place in range(BATCH)
        ]
        answer = self.service.session.post(f"{self.url}/v1/events", json=batch, timeout=30)
        if answer.status_code == 202:
            assert answer.json()["accepted"] == BATCH
            self.sent += BATCH
            for event in batch:
                self.accepted[event["user_id"]].append(event["event_id"])
                self.revision[event["user_id"]] = answer.json()["history_revision"]
        return answer

    def check_lists(self) -> None:
        """Every user's list is whole, as new as the last 202, and without what was bought."""
        for user in self.accepted:
            answer = self.service.session.get(
                f"{self.url}/v1/users/{user}/recommendations?k=20", timeout=30
            )
            assert answer.status_code == 200, answer.text
            found = answer.json()
            assert found["degraded"] == []
            assert found["history_revision"] >= self.revision[user]
            assert len(found["items"]) == 20
            numbers = [int(one.rpartition("-")[2]) for one in self.accepted[user]]
            bought = {self.items[number % len(self.items)] for number in numbers}
            assert not bought & {item["item_id"] for item in found["items"]}

    def facts(self) -> dict[str, list[str]]:
        """By user the ids of the events that are facts, each as often as it is one."""
        rows = self.service.graph(
            """MATCH (user:User)-[event]->(:Item) WHERE event.event_id STARTS WITH $prefix
            RETURN user.user_id AS user_id, collect(event.event_id) AS event_ids""",
            prefix=f"{self.prefix}-",
        )
        return {row["user_id"]: row["event_ids"] for row in rows}

    def watch_it_drain(self) -> list[int]:
        """Whenever an event of a user is a fact, all earlier ones are; how many were at a look."""
        counts, before = [], self.facts()
        deadline = time.monotonic() + PATIENCE_S
        while counts[-1:] != [self.sent]:
            assert time.monotonic() < deadline, counts
            now = self.facts()
            for user, found in before.items():  # a look is no snapshot: the next one has them all
                last = max(self.accepted[user].index(one) for one in found)
                assert set(self.accepted[user][: last + 1]) <= set(now[user]), user
            counts.append(sum(map(len, now.values())))
            before = now
            time.sleep(0.02)
        return counts


def start_again(service: RunningService) -> None:
    """Start Neo4j as it was."""
    endpoints = read_endpoints(service.paths)
    assert endpoints is not None
    start_neo4j(service.paths, endpoints)


def test_a_graph_that_is_away_stops_neither_lists_nor_events_until_the_log_is_full(
    running_service: RunningService,
) -> None:
    """Up to the bound 202, then 429 and when to come back; every 202 becomes a fact, in order."""
    service = running_service
    service.wait_until_quiet()
    bound: dict[str, Any] = {"INTEREST_GRAPH_MAX_LOG_ENTRIES": str(BOUND)}
    with api_processes(service, 1, bound) as [url]:
        shop = Shop(service, url)
        shop.check_lists()
        stop(service.paths, [NEO4J], grace_s=60)
        try:
            answer = shop.send()
            while answer.status_code == 202:
                answer = shop.send()
            for refused in (answer, shop.send()):
                assert (refused.status_code, refused.json()["code"]) == (429, "log_full")
                assert int(refused.headers["Retry-After"]) >= 1
            assert service.log_length() == shop.sent == BOUND
            shop.check_lists()
        finally:
            start_again(service)
        counts = shop.watch_it_drain()
        assert shop.send().status_code == 202
        service.wait_until_quiet()
        shop.check_lists()
    assert counts == sorted(counts)
    assert any(0 < count < shop.sent for count in counts), "it was never seen to drain"
    facts = shop.facts()
    assert {user: sorted(found) for user, found in facts.items()} == {
        user: sorted(accepted) for user, accepted in shop.accepted.items()
    }
    assert service.redis.xlen("ig:dead") == 0
