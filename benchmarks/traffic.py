"""What shops send all day: lists of any users, single events of popular items."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

import orjson

from .load import OpenLoop, Requests

if TYPE_CHECKING:
    from .target import Target

USERS = 5000
BODIES = 20_000
POPULARITY = 0.9
K = 10


def any_users(stack: Target) -> list[str]:
    """Users with events, at most 5,000, any of them."""
    return random.Random(1).sample(stack.users, min(USERS, len(stack.users)))


def lists_of(stack: Target) -> Requests:
    """Personal lists of these users."""
    paths = [f"/v1/users/{user}/recommendations?k={K}" for user in any_users(stack)]
    return Requests(stack.url, paths, _headers(stack))


def events_of(stack: Target) -> Requests:
    """Single views by these users, of popular items more often, by a power law."""
    chance, users, items = random.Random(2), any_users(stack), stack.items
    bodies = [
        {
            "user_id": chance.choice(users),
            "item_id": items[int(chance.paretovariate(POPULARITY) - 1) % len(items)],
            "event_type": "view",
        }
        for _ in range(BODIES)
    ]
    lines = [orjson.dumps(body).decode() for body in bodies]
    return Requests(stack.url, ["/v1/events"], _headers(stack), lines)


def warm_up(stack: Target, lists_per_s: float, events_per_s: float, seconds: float) -> None:
    """The same traffic before anything counts: Neo4j compiles what it runs, memories fill."""
    if seconds:
        with (
            OpenLoop(events_of(stack), events_per_s, seconds),
            OpenLoop(lists_of(stack), lists_per_s, seconds),
        ):
            time.sleep(seconds)


def _headers(stack: Target) -> dict[str, str]:
    return {"Authorization": f"Bearer {stack.token}"}
