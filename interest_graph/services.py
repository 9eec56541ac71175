"""The composition root: builds every port from the settings."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from .dead_letters import DeadLetters
from .documents import Documents
from .event_stream import EventStream
from .graph.store import GraphStore
from .redis_client import connect
from .serving_state import ServingState

if TYPE_CHECKING:
    import redis

    from .explain import Explainer
    from .recommend import Recommender
    from .settings import Settings


@dataclass(frozen=True)
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
    """

    settings: Settings
    log: redis.Redis
    events: EventStream
    dead_letters: DeadLetters
    items: Documents
    users: Documents
    serving: ServingState
    graph: GraphStore

    @cached_property
    def recommender(self) -> Recommender:
        """Answers recommendations; with it come the kernels, which take a second to load."""
        from .published_model import ModelShelf  # noqa: PLC0415
        from .recommend import Recommender  # noqa: PLC0415

        shelf = ModelShelf(self.settings.models_dir, self.serving)
        return Recommender(self.settings, self.serving, self.items, shelf)

    @cached_property
    def explainer(self) -> Explainer:
        """Explains them."""
        from .explain import Explainer  # noqa: PLC0415

        return Explainer(self.recommender, self.serving, self.items)

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
    return Services(
        settings=settings,
        log=log,
        events=EventStream(log, settings),
        dead_letters=DeadLetters(log, settings),
        items=Documents(log, settings, "item"),
        users=Documents(log, settings, "user"),
        serving=ServingState(serving_client, settings),
        graph=GraphStore(settings),
    )
