"""One event followed through the service: to the next list, into the graph, to a refresh."""

from __future__ import annotations

import random
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .target import Target

IN_GRAPH = "MATCH ()-[e:CLICKED {event_id: $event_id}]->() RETURN 1 AS found"
REFRESHED = """
MATCH (user:User {user_id: $user_id})-[e:CLICKED {event_id: $event_id}]->()
WHERE user.refreshed_revision = user.facts_revision AND user.stale_since IS NULL
RETURN 1 AS found"""
PATIENCE_S = 60.0
POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class Probe:
    """What became of an event.

    Args:
        pair_s: Seconds for the event and the next list together.
        listed_s: Seconds from its 202 to the next list.
        in_graph_s: Seconds from its 202 until it was a fact.
        refreshed_s: Seconds from its 202 until its user was refreshed; None if not waited for.
        reflected: Whether the list was as new as the event.
    """

    pair_s: float
    listed_s: float
    in_graph_s: float
    refreshed_s: float | None
    reflected: bool


def probe(stack: Target, seed: int, *, refresh: bool = False) -> Probe:
    """Send a click of some user, ask for the user's list, and watch the graph.

    Args:
        stack: The service.
        seed: Of user and item.
        refresh: Whether to wait until the user is refreshed.

    Raises:
        TimeoutError: It did not arrive within a minute.
        requests.HTTPError: It was refused.
    """
    chance, event_id = random.Random(seed), uuid.uuid4().hex
    user, item = chance.choice(stack.users[:300]), chance.choice(stack.items[:2000])
    body = {"event_id": event_id, "user_id": user, "item_id": item, "event_type": "click"}
    began = time.perf_counter()
    sent = stack.session.post(f"{stack.url}/v1/events", json=body, timeout=30)
    accepted = time.perf_counter()
    answer = stack.session.get(f"{stack.url}/v1/users/{user}/recommendations", timeout=30)
    listed = time.perf_counter()
    sent.raise_for_status()
    answer.raise_for_status()
    in_graph = _wait_for(stack, IN_GRAPH, event_id=event_id)
    refreshed = None
    if refresh:
        refreshed = _wait_for(stack, REFRESHED, event_id=event_id, user_id=user) - accepted
    reflected = answer.json()["history_revision"] >= sent.json()["history_revision"]
    return Probe(listed - began, listed - accepted, in_graph - accepted, refreshed, reflected)


def _wait_for(stack: Target, query: str, **parameters: str) -> float:
    """The moment at which a query first finds something."""
    deadline = time.perf_counter() + PATIENCE_S
    while time.perf_counter() < deadline:
        if stack.driver.execute_query(query, parameters).records:
            return time.perf_counter()
        time.sleep(POLL_S)
    message = f"nothing was found within {PATIENCE_S:.0f} s"
    raise TimeoutError(message)
