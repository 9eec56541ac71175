"""The same twice at once becomes one fact, and is accepted once; planted bugs are found."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from interest_graph.event_stream import EventStream
from interest_graph.graph.schema import migrate
from interest_graph.graph.store import GraphStore
from interest_graph.redis_client import connect
from tests.faults.overlap import check_accepted_once, check_facts_of_two_transactions
from tests.faults.planted import check_duplicates_outside, constraint_dropped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from neo4j import Driver

    from interest_graph.settings import Settings

SEEDS = range(1, 4)


@pytest.fixture
def graph(settings: Settings) -> Iterator[GraphStore]:
    with closing(GraphStore(settings)) as store:
        migrate(store, settings)
        yield store


@pytest.fixture
def query(neo4j_driver: Driver) -> Callable[..., list[dict[str, Any]]]:
    return lambda text: [record.data() for record in neo4j_driver.execute_query(text)[0]]


@pytest.fixture
def stream(settings: Settings) -> Iterator[EventStream]:
    with closing(connect(settings.log_url, settings)) as client:
        yield EventStream(client, settings)


def verdict(check: Callable[[int], None]) -> str:
    """What a check finds within three seeds; "" for nothing."""
    for seed in SEEDS:
        try:
            check(seed)
        except AssertionError as error:
            return str(error)
    return ""


def test_entries_written_by_two_at_once_are_facts_once(
    graph: GraphStore, settings: Settings, query: Any
) -> None:
    """With the constraint, whatever the transactions saw before."""
    found = verdict(lambda seed: check_facts_of_two_transactions(seed, graph, settings, query))
    assert not found


def test_without_the_constraint_the_facts_are_found_wrong(
    graph: GraphStore, settings: Settings, query: Any
) -> None:
    """The same check is red when the constraint is gone."""
    with constraint_dropped(graph, settings, query):
        found = verdict(lambda seed: check_facts_of_two_transactions(seed, graph, settings, query))
    assert "are a fact twice" in found


def test_events_sent_by_two_at_once_are_accepted_once(
    stream: EventStream, settings: Settings
) -> None:
    """The accept script decides who was first."""
    assert not verdict(lambda seed: check_accepted_once(seed, stream, settings))


def test_a_duplicate_check_outside_the_script_is_found(
    stream: EventStream, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same check is red when duplicates are looked for before the script."""
    monkeypatch.setattr(EventStream, "accept", EventStream.accept)  # put back afterwards
    check_duplicates_outside()
    found = verdict(lambda seed: check_accepted_once(seed, stream, settings))
    assert "were accepted twice" in found
