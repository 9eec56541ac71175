"""Wake-ups: bounded, in batches, and never worth an error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest
import redis
from kombu.exceptions import OperationalError

from interest_graph.errors import GraphUnavailableError
from interest_graph.settings import Settings
from workers.wake_up import MAX_QUEUED, MAX_WAITING, REFRESH_ITEMS, REFRESH_USERS, WakeUps

if TYPE_CHECKING:
    from celery import Celery

    from interest_graph.graph.store import GraphStore
    from interest_graph.serving_state import ServingState


class Outbox:
    """Stands for the Celery application: keeps what is sent, or fails."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.sent: list[tuple[str, list[str]]] = []

    def send_task(self, name: str, args: list[list[str]], queue: str) -> None:
        """Keep a message."""
        assert queue == "refresh"
        if self.error:
            raise self.error
        self.sent.append((name, args[0]))


class StaleGraph:
    """Stands for the graph: every read finds the same ids stale."""

    def __init__(self, *stale: str) -> None:
        self.stale = list(stale)

    def read(self, _work: object) -> list[str]:
        """What is stale."""
        return self.stale


class Head:
    """Stands for the serving state: says whether a model is published."""

    def __init__(self, manifest: object) -> None:
        self.manifest = manifest

    def head(self) -> tuple[object, int]:
        """The manifest and a revision."""
        return self.manifest, 0


PUBLISHED = cast("ServingState", Head(object()))


def wake_ups(outbox: Outbox, queued: int | None = 0, **fields: Any) -> WakeUps:
    """Wake-ups on a broker with that many messages; None: the broker is away."""
    found = WakeUps(cast("Celery", outbox), Settings(broker_url="redis://127.0.0.1:1/0", **fields))

    class Broker:
        def llen(self, _: str) -> int:
            if queued is None:
                message = "away"
                raise redis.ConnectionError(message)
            return queued

    found._broker = cast("redis.Redis", Broker())
    return found


def graph_of(*stale: str) -> GraphStore:
    """A graph where these are stale."""
    return cast("GraphStore", StaleGraph(*stale))


def test_ids_are_sent_in_batches() -> None:
    """Users and items by turns, users first; each message holds a batch, and none is left out."""
    outbox = Outbox()
    wake_ups(outbox, queued=-1, refresh_batch=2).send({"u-3", "u-1", "u-2"}, {"i-1"})
    assert outbox.sent == [
        (REFRESH_USERS, ["u-1", "u-2"]),
        (REFRESH_ITEMS, ["i-1"]),
        (REFRESH_USERS, ["u-3"]),
    ]


@pytest.mark.parametrize(
    "error",
    [redis.ConnectionError("away"), redis.TimeoutError("slow"), OperationalError(), OSError()],
)
def test_a_broker_that_is_away_is_no_error(error: Exception) -> None:
    """What cannot be sent is left to the sweeper, whatever the client raises."""
    wake_ups(Outbox(error)).send(["u-1"], [])
    wake_ups(Outbox(error)).sweep(graph_of("n-1"), PUBLISHED)
    wake_ups(Outbox(), queued=None).send(["u-1"], [])
    wake_ups(Outbox(), queued=None).sweep(graph_of("n-1"), PUBLISHED)


def test_a_real_client_without_a_broker_is_no_error() -> None:
    """Nothing answers at the broker's address, and ingest goes on."""
    settings = Settings(broker_url="redis://127.0.0.1:1/0")
    found = WakeUps(cast("Celery", Outbox()), settings)
    found.send(["u-1"], ["i-1"])
    found.sweep(graph_of("n-1"), PUBLISHED)
    found._broker.close()


def test_what_comes_while_the_workers_are_busy_goes_together() -> None:
    """A long queue is not made longer; what waits for room is sent in one message, each id once."""
    outbox = Outbox()
    busy = wake_ups(outbox, queued=MAX_QUEUED)
    for user_id in ("u-2", "u-1", "u-2", "u-3"):
        busy.send([user_id], ["i-1"])
    assert outbox.sent == []
    assert busy.waiting
    busy._broker = wake_ups(outbox, queued=MAX_QUEUED - 1)._broker
    busy.send()
    assert outbox.sent == [(REFRESH_USERS, ["u-2", "u-1", "u-3"]), (REFRESH_ITEMS, ["i-1"])]
    assert not busy.waiting


def test_what_waits_is_bounded() -> None:
    """More than the sweeper would find at once is left to it."""
    outbox = Outbox()
    busy = wake_ups(outbox, queued=MAX_QUEUED)
    busy.send([f"u-{number}" for number in range(MAX_WAITING + 10)])
    busy.send(["late"])
    busy._broker = wake_ups(outbox, queued=-MAX_WAITING)._broker
    busy.send()
    assert sum(len(ids) for _, ids in outbox.sent) == MAX_WAITING


def test_after_an_error_nothing_waits() -> None:
    """Otherwise the sweeper, which lets those that wait go first, would never come."""
    away = wake_ups(Outbox(redis.ConnectionError("away")))
    away.send(["u-1"], ["i-1"])
    assert not away.waiting


def test_nobody_is_woken_before_a_model_is_published() -> None:
    """There is nothing to refresh with, and the whole graph is stale."""
    outbox = Outbox()
    wake_ups(outbox).sweep(graph_of("n-1"), cast("ServingState", Head(None)))
    assert not outbox.sent


def test_the_sweeper_waits_for_an_empty_queue() -> None:
    """What stays stale is sent again once nothing waits any more, and not before."""
    outbox = Outbox()
    wake_ups(outbox, queued=1).sweep(graph_of("n-1"), PUBLISHED)
    assert outbox.sent == []
    wake_ups(outbox).sweep(graph_of("n-1"), PUBLISHED)
    assert outbox.sent == [(REFRESH_USERS, ["n-1"]), (REFRESH_ITEMS, ["n-1"])]


def test_a_graph_that_is_away_is_told_to_the_loop() -> None:
    """The sweeper leaves it to the ingest loop to wait for Neo4j."""

    class Away:
        def read(self, _work: object) -> list[str]:
            message = "Neo4j does not answer"
            raise GraphUnavailableError(message)

    with pytest.raises(GraphUnavailableError):
        wake_ups(Outbox()).sweep(cast("GraphStore", Away()), PUBLISHED)
