"""The running stack a benchmark drives, with a key of its own that is revoked at the end."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import requests
from neo4j import GraphDatabase

from interest_graph.api_key import ApiKeyStore
from interest_graph.redis_client import connect
from interest_graph.settings import Settings, load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from neo4j import Driver

SCOPES = ("events:write", "catalog:write", "read")


@dataclass
class Target:
    """A running stack.

    Args:
        data_dir: Its data directory.
        settings: Its settings.
        url: Where its API answers.
        token: A key for everything.
        session: A connection with that key.
        driver: A connection to its Neo4j.
        users: Users with events, most events first.
        items: Items with events, most events first.
        events: Number of events in the graph.
    """

    data_dir: Path
    settings: Settings
    url: str
    token: str
    session: requests.Session
    driver: Driver
    users: list[str]
    items: list[str]
    events: int

    @property
    def described(self) -> dict[str, object]:
        """What the graph holds, for the set-up."""
        return {
            "api_workers": self.settings.api_workers,
            "durability": self.settings.durability,
            "users": len(self.users),
            "items": len(self.items),
            "events": self.events,
        }


@contextmanager
def target(data_dir: Path) -> Iterator[Target]:
    """Connect to the stack in a data directory.

    Raises:
        requests.ConnectionError: It does not run.
    """
    settings = load_settings(data_dir)
    url = f"http://{settings.api_host}:{settings.api_port}"
    requests.get(f"{url}/v1/health/live", timeout=5).raise_for_status()
    keys = ApiKeyStore(connect(settings.log_url, settings))
    token = keys.create(SCOPES, "benchmark")
    auth = (settings.neo4j_user, settings.neo4j_password.get_secret_value())
    with (
        requests.Session() as session,
        GraphDatabase.driver(settings.neo4j_uri, auth=auth) as driver,
    ):
        session.headers["Authorization"] = f"Bearer {token}"
        users, items, events = _contents(driver)
        try:
            yield Target(data_dir, settings, url, token, session, driver, users, items, events)
        finally:
            for key in keys.list():
                if key.name == "benchmark":
                    keys.revoke(key.key_id)


def _contents(driver: Driver) -> tuple[list[str], list[str], int]:
    """Users and items with events, and the number of events."""
    users = driver.execute_query(
        """MATCH (user:User) RETURN user.user_id AS id, COUNT { (user)-[]->(:Item) } AS degree
        ORDER BY degree DESC"""
    ).records
    items = driver.execute_query(
        """MATCH (item:Item) WHERE item.event_count > 0
        RETURN item.item_id AS id, item.event_count AS events ORDER BY events DESC"""
    ).records
    events = sum(record["events"] for record in items)
    return [r["id"] for r in users], [r["id"] for r in items], events
