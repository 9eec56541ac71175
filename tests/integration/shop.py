"""A small shop for tests: a published model of random weights, a catalogue, recommenders on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from interest_graph.documents import Documents
from interest_graph.event import Event, parse_event
from interest_graph.event_stream import EventStream
from interest_graph.explain import Explainer
from interest_graph.published_model import ModelShelf
from interest_graph.recommend import Recommender
from interest_graph.serving_state import ServingState
from tests.integration.published_directory import FIRST, item_names, write_model

if TYPE_CHECKING:
    from pathlib import Path

    import redis

    from interest_graph.settings import Settings

ITEMS = item_names(16)
NOW = 1_760_000_000
CATEGORIES = [["Home"], ["Home", "Kitchen"], ["Garden"], ["Garden", "Tools", "Saws"]]


def rfc3339(at: float) -> str:
    """A time in seconds since 1970 as clients write it."""
    return datetime.fromtimestamp(at, UTC).isoformat()


@dataclass
class Shop:
    """Everything a request touches, on one Redis.

    Args:
        settings: Of every part.
        client: The connection to Redis.
        now: The time all clocks show.
    """

    settings: Settings
    client: redis.Redis
    now: float = NOW
    events: EventStream = field(init=False)
    items: Documents = field(init=False)
    users: Documents = field(init=False)
    serving: ServingState = field(init=False)

    def __post_init__(self) -> None:
        self.events = EventStream(self.client, self.settings)
        self.items = Documents(self.client, self.settings, "item")
        self.users = Documents(self.client, self.settings, "user")
        self.serving = ServingState(self.client, self.settings)

    def publish(self, version: str = FIRST, seed: int = 1, items: list[str] = ITEMS) -> Path:
        """Write a model and make it the published one."""
        directory = write_model(self.settings.models_dir, items, version, seed)
        self.serving.roll_out(version)
        return directory

    def stock(self) -> None:
        """Describe every item of the model."""
        self.items.put(
            [
                {
                    "item_id": item_id,
                    "title": f"Title of {item_id}",
                    "hidden": False,
                    "categories": [CATEGORIES[number % len(CATEGORIES)]],
                }
                for number, item_id in enumerate(ITEMS)
            ]
        )

    def recommender(self) -> Recommender:
        """A recommender with memory of its own, like another API process."""
        shelf = ModelShelf(self.settings.models_dir, self.serving)
        return Recommender(self.settings, self.serving, self.items, shelf, lambda: self.now)

    def explainer(self, recommender: Recommender | None = None) -> Explainer:
        """An explainer on a recommender's memory."""
        return Explainer(recommender or self.recommender(), self.serving, self.items)

    def event(self, event_id: str, user_id: str, item_id: str, kind: str, **more: Any) -> Event:
        """A valid event; by default an hour ago."""
        body = {
            "event_id": event_id,
            "user_id": user_id,
            "item_id": item_id,
            "event_type": kind,
            "occurred_at": rfc3339(self.now - 3600),
        }
        return parse_event(body | more, self.settings)

    def send(self, user_id: str, *sent: tuple[str, str]) -> int:
        """Accept events (event type, item) of a user; returns the history's revision."""
        known = len(self.serving.read(user_id).user.history)
        return self.events.accept(
            [
                self.event(
                    f"{user_id}-{known + number}",
                    user_id,
                    item_id,
                    kind,
                    occurred_at=rfc3339(self.now - 3600 + known + number),
                )
                for number, (kind, item_id) in enumerate(sent)
            ]
        ).history_revision
