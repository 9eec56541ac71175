"""Services on the session's real servers, and a shop to put into them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from interest_graph.documents import Documents
from interest_graph.event import Event, parse_event
from interest_graph.event_stream import EventStream
from interest_graph.graph.schema import migrate
from interest_graph.graph.store import GraphStore
from interest_graph.redis_client import connect
from interest_graph.serving_state import ServingState
from interest_graph.settings import Settings
from tests.integration.shop import Shop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis
    from neo4j import Driver

    from tests.conftest import Neo4jServer

    Query = Callable[..., list[dict[str, Any]]]
    MakeEvent = Callable[..., Event]


@pytest.fixture(autouse=True)
def own_logs() -> Iterator[None]:
    """What a command did to the logs ends with its test, whose stderr is closed then."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def migrated(neo4j_server: Neo4jServer) -> None:
    """Constraints and indexes, which outlive the nodes that each test deletes."""
    settings = Settings(
        neo4j_uri=neo4j_server.uri,
        neo4j_user=neo4j_server.user,
        neo4j_password=neo4j_server.password,  # type: ignore[arg-type] # pydantic wraps it
        neo4j_database=neo4j_server.database,
    )
    graph = GraphStore(settings)
    migrate(graph, settings)
    graph.close()


@pytest.fixture
def graph(migrated: None, settings: Settings) -> Iterator[GraphStore]:
    """The store on an empty graph."""
    store = GraphStore(settings)
    yield store
    store.close()


@pytest.fixture
def query(neo4j_driver: Driver) -> Query:
    """Runs Cypher of the test's own, and returns the rows."""

    def run(text: str, **parameters: object) -> list[dict[str, Any]]:
        return [record.data() for record in neo4j_driver.execute_query(text, parameters)[0]]

    return run


@pytest.fixture
def log(settings: Settings) -> Iterator[redis.Redis]:
    """A client of the empty Redis."""
    client = connect(settings.log_url, settings)
    yield client
    client.close()


@pytest.fixture
def events(log: redis.Redis, settings: Settings) -> EventStream:
    """The empty log."""
    return EventStream(log, settings)


@pytest.fixture
def items(log: redis.Redis, settings: Settings) -> Documents:
    """The empty catalogue."""
    return Documents(log, settings, "item")


@pytest.fixture
def users(log: redis.Redis, settings: Settings) -> Documents:
    """The users' documents: none."""
    return Documents(log, settings, "user")


@pytest.fixture
def serving(log: redis.Redis, settings: Settings) -> ServingState:
    """The empty serving state."""
    return ServingState(log, settings)


@pytest.fixture
def shop(settings: Settings, log: redis.Redis) -> Shop:
    """A shop with a published model and every item described."""
    shop = Shop(settings, log)
    shop.publish()
    shop.stock()
    return shop


@pytest.fixture
def make_event(settings: Settings) -> MakeEvent:
    """Makes valid events; `at` is in seconds since 1970."""

    def make(
        event_id: str,
        user_id: str = "u-1",
        item_id: str = "item-00",
        event_type: str = "view",
        at: float = 1_700_000_000,
        **fields: object,
    ) -> Event:
        moment = datetime.fromtimestamp(at, UTC).isoformat()
        ids = {"event_id": event_id, "user_id": user_id, "item_id": item_id}
        body = ids | {"event_type": event_type, "occurred_at": moment} | fields
        return parse_event(body, settings)

    return make
