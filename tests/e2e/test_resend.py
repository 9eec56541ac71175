"""A day's events sent twice change nothing."""

from __future__ import annotations

import hashlib
import json
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from interest_graph.recommendation import Query
from interest_graph.services import build_services
from tests.running_service import BATCH, RunningService, small_journey

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(900)]

FACTS = """
    MATCH (u:User)-[e]->(i:Item) WHERE e.event_id IS NOT NULL
    RETURN e.event_id AS event, u.user_id AS user, i.item_id AS item, type(e) AS type,
      e.occurred_at.epochMillis AS occurred, e.recorded_at.epochMillis AS recorded
    ORDER BY event"""
REVISIONS = """
    MATCH (n:User|Item)
    RETURN coalesce(n.user_id, n.item_id) AS id, n.facts_revision AS facts,
      n.refreshed_revision AS refreshed, n.popularity AS popularity
    ORDER BY id"""


def digest(rows: object) -> str:
    """SHA-256 of anything that JSON can say."""
    return hashlib.sha256(json.dumps(rows, sort_keys=True, default=repr).encode()).hexdigest()


def state(service: RunningService, users: Sequence[str]) -> dict[str, Any]:
    """Digests of facts, revisions and histories, and the lists of users.

    Not of the revision that a list shows: it may rise to the one that the resend was answered with.
    """
    histories = [repr(service.redis.hmget(f"ig:user:{user}", "h", "n", "d")) for user in users]
    return {
        "facts": digest(service.graph(FACTS)),
        "revisions": digest(service.graph(REVISIONS)),
        "histories": digest(histories),
    }


def answers(
    service: RunningService, users: Sequence[str], now: float
) -> list[list[tuple[str, float]]]:
    """What each user is shown, with the scores: at one moment, since interests change with time."""
    with closing(build_services(service.settings)) as services:
        services.recommender.clock = lambda: now
        lists = [services.recommender.recommend(user, Query(k=10)) for user in users]
    return [[(item.item_id, item.score) for item in one.items] for one in lists]


def test_a_days_events_sent_twice_change_nothing(running_service: RunningService) -> None:
    """Facts, revisions, histories and the answers of 200 users are equal before and after."""
    service = running_service
    day = (datetime.now(UTC) - timedelta(days=1)).date()
    events = list(small_journey().event_bodies())
    newest = [body for body in events if datetime.fromisoformat(body["occurred_at"]).date() == day]
    resent = newest if len(newest) >= 50 else events[-500:]
    households = sorted({body["user_id"] for body in events})
    # Users the shop knows and users it does not: the lists of both must stay as they are.
    users = [*households, *(f"stranger-{number}" for number in range(200 - len(households)))]
    service.wait_until_quiet()
    now = time.time()
    before, lists = state(service, users), answers(service, users, now)
    for start in range(0, len(resent), BATCH):
        batch = resent[start : start + BATCH]
        answer = service.post("/v1/events", batch)
        assert (answer["accepted"], answer["duplicates"]) == (0, len(batch))
    service.wait_until_quiet()
    assert state(service, users) == before
    assert answers(service, users, now) == lists
    assert sum(len(one) for one in lists) == 10 * len(users)


def test_a_resend_after_the_window_changes_nothing_either(
    running_service: RunningService,
) -> None:
    """Events whose duplicate window is over reach the graph again and are found there."""
    service = running_service
    events = list(small_journey().event_bodies())[-300:]
    users = sorted({body["user_id"] for body in events})
    service.wait_until_quiet()
    before = state(service, users)
    service.redis.delete(*(f"ig:event:{body['event_id']}" for body in events))
    service.post("/v1/events", events)
    service.wait_until_quiet()
    after = state(service, users)
    assert after["facts"] == before["facts"]
    assert after["revisions"] == before["revisions"]
