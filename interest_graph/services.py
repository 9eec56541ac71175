"""The composition root: builds every port from the settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .dead_letters import DeadLetters
from .documents import Documents
from .event_stream import EventStream
from .explain import Explainer
from .graph.store import GraphStore
from .published_model import ModelShelf
from .recommend import Recommender
from .redis_client import connect
from .serving_state import ServingState

if TYPE_CHECKING:
    import redis

    from .settings import Settings


@dataclass(frozen=True, slots=True)
class Services:
    """Everything an entry point works with.

    Args:
        settings: The settings all of it was built from.
        log: Connection to the log's Redis.
        events: The log.
        dead_letters: What could not be brought into the graph.
        items: The catalogue's documents.
        users: The users' documents.
        serving: The serving state.
        graph: Neo4j.
        recommender: Answers recommendations.
        explainer: Explains them.
    """

    settings: Settings
    log: redis.Redis
    events: EventStream
    dead_letters: DeadLetters
    items: Documents
    users: Documents
    serving: ServingState
    graph: GraphStore
    recommender: Recommender
    explainer: Explainer

    def close(self) -> None:
        """Close every connection."""
        self.graph.close()
        self.log.close()
        self.serving.close()


def build_services(settings: Settings) -> Services:
    """Build the services; nothing connects before it is used.

    The log and the serving state share one server, since one script writes to both.
    """
    log = connect(settings.log_url, settings)
    serving_client = connect(settings.serving_url, settings)
    serving = ServingState(serving_client, settings)
    items = Documents(log, settings, "item")
    shelf = ModelShelf(settings.models_dir, serving)
    recommender = Recommender(settings, serving, items, shelf)
    return Services(
        settings=settings,
        log=log,
        events=EventStream(log, settings),
        dead_letters=DeadLetters(log, settings),
        items=items,
        users=Documents(log, settings, "user"),
        serving=serving,
        graph=GraphStore(settings),
        recommender=recommender,
        explainer=Explainer(recommender, serving, items),
    )
