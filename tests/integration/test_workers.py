"""The ingest loop, the sweeper and the refresh tasks on real servers, in this process."""

from __future__ import annotations

import base64
import threading
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from interest_graph import ingest as core
from interest_graph import redis_client as keys
from interest_graph.dead_letters import DeadLetters
from interest_graph.errors import GraphUnavailableError, StreamUnavailableError
from interest_graph.graph import facts, learned
from interest_graph.leases import Leases
from interest_graph.metrics import build_metrics
from interest_graph.services import build_services
from tests.integration.log_reading import read_log
from tests.integration.published_directory import FIRST, SECOND
from tests.integration.shop import ITEMS, Shop, rfc3339
from workers import ingest as ingest_worker
from workers import ingest_lane
from workers.celery_factory import create_celery
from workers.ingest import IngestWorker
from workers.update import register_updates
from workers.wake_up import (
    FINISH_ROLL_OUT,
    MAX_QUEUED,
    REFRESH_ITEMS,
    REFRESH_QUEUE,
    REFRESH_USERS,
    TRAINING_QUEUE,
    WakeUps,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from celery import Celery

    from interest_graph.graph.store import GraphStore
    from interest_graph.services import Services
    from interest_graph.settings import Settings


@pytest.fixture
def services(migrated: None, settings: Settings) -> Iterator[Services]:
    built = build_services(settings)
    yield built
    built.close()


@pytest.fixture
def app(settings: Settings) -> Iterator[Celery]:
    celery = create_celery(settings)
    yield celery
    celery.close()


@pytest.fixture
def wake_ups(app: Celery, settings: Settings) -> Iterator[WakeUps]:
    sender = WakeUps(app, settings)
    sender._broker.flushdb()
    yield sender
    sender._broker.close()


@pytest.fixture
def worker(services: Services, wake_ups: WakeUps) -> IngestWorker:
    return IngestWorker(services, wake_ups, build_metrics(None))


def messages(wake_ups: WakeUps) -> list[tuple[str, list[str]]]:
    """Task and ids of the messages that wait, oldest first."""
    found = []
    for raw in wake_ups._broker.lrange(REFRESH_QUEUE, 0, -1)[::-1]:
        message = orjson.loads(raw)
        ((ids,), _, _) = orjson.loads(base64.b64decode(message["body"]))
        found.append((message["headers"]["task"], ids))
    return found


def taken(wake_ups: WakeUps) -> list[tuple[str, list[str]]]:
    """The same, taken out, as an update worker would."""
    found = messages(wake_ups)
    wake_ups._broker.delete(REFRESH_QUEUE)
    return found


def until(holds: Callable[[], bool], seconds: float = 20) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)


def run(worker: IngestWorker) -> threading.Thread:
    """The worker's loop in a thread of its own."""
    thread = threading.Thread(target=worker.run, daemon=True)
    thread.start()
    return thread


def test_the_loop_empties_the_log_and_wakes_the_workers(
    worker: IngestWorker, services: Services, wake_ups: WakeUps, shop: Shop, query: Any
) -> None:
    """Events become facts, the nodes they touched are woken, and a stop ends after the batch."""
    shop.send("u-1", ("view", ITEMS[0]), ("view", ITEMS[1]))
    thread = run(worker)
    until(lambda: services.events.length() == 0)
    until(lambda: len(messages(wake_ups)) >= 2)
    woken = taken(wake_ups)
    shop.send("u-2", ("view", ITEMS[0]))
    until(lambda: "u-2" in [one for _, ids in taken(wake_ups) for one in ids])
    worker.stop()
    thread.join(10)
    assert not thread.is_alive()
    assert query("MATCH (:User)-[e:VIEWED]->(:Item) RETURN count(e) AS n") == [{"n": 3}]
    assert {name for name, _ in woken} == {REFRESH_ITEMS, REFRESH_USERS}
    assert {i for name, ids in woken if name == REFRESH_ITEMS for i in ids} == set(ITEMS)


def test_what_finds_no_room_is_sent_when_there_is_some(
    worker: IngestWorker, wake_ups: WakeUps, shop: Shop
) -> None:
    """Nobody takes a message for a while: then those who became stale meanwhile go together."""
    shop.send("u-1", ("view", ITEMS[0]))
    thread = run(worker)
    until(lambda: len(messages(wake_ups)) == MAX_QUEUED)
    for user_id in ("u-2", "u-3"):
        shop.send(user_id, ("view", ITEMS[1]))
    until(lambda: len(wake_ups._waiting[REFRESH_USERS]) == 2)
    assert len(messages(wake_ups)) == MAX_QUEUED
    wake_ups._broker.delete(REFRESH_QUEUE)
    until(lambda: (REFRESH_USERS, ["u-2", "u-3"]) in messages(wake_ups))
    worker.stop()
    thread.join(10)


def test_what_a_dead_worker_left_is_taken_over(
    worker: IngestWorker, services: Services, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When its leases are over the next reads from the oldest entry that is there, in order."""
    dead = Leases(services.log, services.graph, shop.settings, "dead")
    short = shop.settings.model_copy(update={"lease_s": 1.0})
    assert len(Leases(services.log, services.graph, short, "dead").keep().taken) == 8
    shop.send("u-1", ("view", ITEMS[0]))
    shop.send("u-1", ("view", ITEMS[1]))
    order = written(monkeypatch)
    thread = run(worker)
    until(lambda: services.events.length() == 0)
    worker.stop()
    thread.join(10)
    assert order == ["u-1-0", "u-1-1"]
    assert services.events.dead_letters() == 0
    assert dead.keep().taken == [*range(8)], "a stop gives everything back at once"


def test_nothing_newer_passes_what_a_server_that_was_away_held_up(
    worker: IngestWorker, services: Services, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batch in hand is tried again first, and that is no further delivery of its entries."""
    monkeypatch.setattr(ingest_worker, "PAUSE_S", 0.01)
    worker._step()  # the catalogue
    write, failed = services.graph.write, []

    def away_at_first(_: object, work: Any) -> Any:
        if len(failed) < 8:
            failed.append(work)
            if len(failed) == 1:
                shop.send("u-1", ("view", ITEMS[1]))
            message = "Neo4j does not answer"
            raise GraphUnavailableError(message)
        return write(work)

    order = written(monkeypatch)
    monkeypatch.setattr(type(services.graph), "write", away_at_first)
    shop.send("u-1", ("view", ITEMS[0]))
    thread = run(worker)
    until(lambda: services.events.length() == 0)
    worker.stop()
    thread.join(10)
    assert order == ["u-1-0", "u-1-1"]
    assert len(failed) == 8
    assert services.events.dead_letters() == 0


def test_what_is_too_much_for_neo4j_is_halved_and_never_buried(
    worker: IngestWorker, services: Services, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real time-out: others are written, and what alone is too much is tried for ever."""
    monkeypatch.setattr(ingest_lane, "PAUSE_S", 0.01)
    partitions = services.settings.log_partitions
    while len(worker._leases.partitions) < partitions or services.events.length():
        worker._step()  # the catalogue
    write, write_entries = type(services.graph).write, core.write_entries
    heavy, tried = {"u-1-2"}, []

    def weighed(tx: Any, entries: Any, settings: Any) -> Any:
        ids = [orjson.loads(entry.payload)["event_id"] for entry in entries]
        tried.append([one.removeprefix("u-1-") for one in ids])
        if heavy & {*ids}:
            tx.run("UNWIND range(1, 1000000000000) AS n RETURN sum(n)").consume()
        return write_entries(tx, entries, settings)

    monkeypatch.setattr(core, "write_entries", weighed)
    monkeypatch.setattr(
        type(services.graph),
        "write",
        lambda self, work, timeout_s=4.0: write(self, work, timeout_s),
    )
    shop.send("u-1", *(("view", item) for item in ITEMS[:4]))
    worker._step()
    assert tried == [["0", "1", "2", "3"], ["0", "1"], ["2", "3"], ["2"], ["3"]]
    (left,) = read_log(services.events)
    attempts = worker._reader._attempts
    attempts[left.partition, left.entry_id] = 2 * services.settings.max_deliveries
    shop.send("u-1", ("view", ITEMS[4]), ("view", ITEMS[5]))
    worker._reader.try_again()
    worker._step()
    assert (services.events.length(), services.events.dead_letters()) == (1, 0)
    assert tried[5:] == [["2"], ["4", "5"]], "what failed before fails alone"
    heavy.clear()
    worker._reader.try_again()
    worker._step()
    assert (services.events.length(), services.events.dead_letters()) == (0, 0)


def test_a_backlog_is_worked_off_by_lanes_side_by_side(
    settings: Settings,
    migrated: None,
    wake_ups: WakeUps,
    shop: Shop,
    query: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two transactions are under way at once, of different partitions; users' orders are kept."""
    services = build_services(settings.model_copy(update={"ingest_batch": 10}))
    worker = IngestWorker(services, wake_ups, build_metrics(None))
    while len(worker._leases.partitions) < settings.log_partitions or services.events.length():
        worker._step()  # the catalogue
    both, partitions = threading.Barrier(2), defaultdict(set)
    write_entries, order = core.write_entries, written(monkeypatch)

    def seen(tx: Any, entries: Any, given: Any) -> Any:
        name = threading.current_thread().name
        if name.startswith("lane") and not partitions[name]:
            both.wait(20)
        partitions[name] |= {entry.partition for entry in entries}
        return write_entries(tx, entries, given)

    monkeypatch.setattr(core, "write_entries", seen)
    users = [f"u-{number}" for number in range(16)]
    for user in users:
        shop.send(user, *[("view", item) for item in ITEMS[:5]])
    thread = run(worker)
    until(lambda: services.events.length() == 0)
    worker.stop()
    thread.join(10)
    services.close()
    first, second = (found for name, found in partitions.items() if name.startswith("lane"))
    assert not first & second
    assert query("MATCH (:User)-[e:VIEWED]->(:Item) RETURN count(e) AS n") == [{"n": 80}]
    for user in users:
        own = [one for one in order if one.rpartition("-")[0] == user]
        assert own == [f"{user}-{number}" for number in range(5)]


def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of events in the order in which they become facts, filled while the test goes on."""
    order: list[str] = []
    record = facts.record_events

    def noted(tx: Any, relationship: str, events: Any) -> int:
        order.extend(event.event_id for event in events)
        return record(tx, relationship, events)

    monkeypatch.setattr(facts, "record_events", noted)
    return order


def test_a_history_forgets_what_the_graph_refuses(
    worker: IngestWorker, services: Services, shop: Shop
) -> None:
    """After the duplicate window a conflict, and an event at another time, change no history."""
    shop.send("u-1", ("view", ITEMS[0]), ("view", ITEMS[1]), ("purchase", ITEMS[2]))
    worker._step()
    before = services.serving.read("u-1")
    for key in services.log.scan_iter("ig:event:*"):
        services.log.delete(key)
    services.log.hset(keys.user_key("u-1"), mapping={"h": b"", "n": 0})  # it forgot them
    conflict = shop.event("u-1-0", "u-1", ITEMS[5], "purchase")
    again = shop.event("u-1-1", "u-1", ITEMS[1], "view", occurred_at=rfc3339(shop.now - 60))
    assert services.events.accept([conflict, again]).accepted == 2
    spoiled = services.serving.read("u-1")
    assert {event.item_id for event in spoiled.user.history} == {ITEMS[5], ITEMS[1]}
    worker._step()
    after = services.serving.read("u-1")
    assert after.user.history == before.user.history
    assert set(after.user.seen) == set(before.user.seen)
    assert after.history_revision >= spoiled.history_revision
    assert services.events.dead_letters() == 2


def test_who_is_in_doubt_is_put_right_before_a_stop(
    worker: IngestWorker, services: Services, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the log is long it is left for later, and the next worker may be long in coming."""
    shop.send("u-1", ("view", ITEMS[0]))
    worker._step()
    before = services.serving.read("u-1").user.history
    services.log.delete(keys.event_key("u-1-0"))
    services.log.hset(keys.user_key("u-1"), mapping={"h": b"", "n": 0})  # it forgot it too
    conflict = shop.event("u-1-0", "u-1", ITEMS[5], "purchase")
    assert services.events.accept([conflict]).accepted == 1
    length = services.events.length
    monkeypatch.setattr(type(services.events), "length", lambda _: 10**6)
    worker._step()
    monkeypatch.setattr(type(services.events), "length", lambda _: length())
    assert services.serving.read("u-1").user.history != before
    worker.stop()
    worker.run()
    assert services.serving.read("u-1").user.history == before
    assert services.events.dead_letters() == 1
    assert not services.events.leases()


def test_a_replayed_event_is_in_its_history_again(
    worker: IngestWorker, services: Services, shop: Shop, settings: Settings
) -> None:
    """Burying took it out of the history; the replay that writes it puts it back."""
    worker._step()  # the catalogue
    shop.send("u-1", ("view", ITEMS[0]), ("purchase", ITEMS[1]))
    entries = read_log(services.events)
    assert services.events.bury(entries[1], "because", doubts=["user u-1"])
    worker._step()
    assert len(services.serving.read("u-1").user.history) == 1
    letters = DeadLetters(services.log, settings)
    letters.replay([letter.letter_id for letter in letters.all()])
    worker._step()
    state = services.serving.read("u-1")
    assert [event.item_id for event in state.user.history] == [ITEMS[0], ITEMS[1]]
    assert len(state.user.seen) == 1


def test_the_loop_waits_for_what_is_away(
    worker: IngestWorker, services: Services, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the log does not answer for a while the loop goes on by itself."""
    monkeypatch.setattr(ingest_worker, "PAUSE_S", 0.01)
    read, failed = services.events.read, []

    def away_at_first(*given: Any) -> Any:
        if len(failed) < 3:
            failed.append(given)
            message = "the event log does not answer"
            raise StreamUnavailableError(message)
        return read(*given)

    monkeypatch.setattr(type(services.events), "read", lambda _, *given: away_at_first(*given))
    shop.send("u-1", ("view", ITEMS[0]))
    thread = run(worker)
    until(lambda: services.events.length() == 0)
    worker.stop()
    thread.join(10)
    assert len(failed) == 3


def test_the_loop_survives_the_loss_of_redis(
    worker: IngestWorker, services: Services, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When Redis lost everything, leases too, the loop takes its partitions again and goes on."""
    monkeypatch.setattr(ingest_worker, "PAUSE_S", 0.01)
    thread = run(worker)
    until(lambda: services.events.length() == 0)
    services.log.flushdb()
    shop.send("u-1", ("view", ITEMS[0]))
    until(lambda: services.events.length() == 0)
    assert thread.is_alive()
    worker.stop()
    thread.join(10)
    assert worker._metrics.registry.get_sample_value("interest_graph_leases_lost_total")


def test_the_sweeper_finds_what_stayed_stale(
    worker: IngestWorker, services: Services, wake_ups: WakeUps, shop: Shop
) -> None:
    """Wake-ups that were lost are sent again for every node that is still stale."""
    shop.send("u-1", ("view", ITEMS[0]))
    shop.send("u-2", ("view", "stub"))
    worker._step()
    wake_ups._broker.delete(REFRESH_QUEUE)
    wake_ups.sweep(services.graph, services.serving)
    woken = messages(wake_ups)
    assert {i for name, ids in woken if name == REFRESH_USERS for i in ids} == {"u-1", "u-2"}
    assert {i for name, ids in woken if name == REFRESH_ITEMS for i in ids} == {*ITEMS, "stub"}
    wake_ups.sweep(services.graph, services.serving)
    assert messages(wake_ups) == woken


def test_a_refresh_task_makes_users_fresh_and_counts_them(
    worker: IngestWorker, services: Services, app: Celery, shop: Shop, query: Any
) -> None:
    """The task that a wake-up names refreshes its users; a second message changes nothing."""
    shop.send("u-1", ("view", ITEMS[0]))
    worker._step()
    graph = services.graph
    graph.write(lambda tx: learned.register_model(tx, FIRST, {}))
    graph.write(lambda tx: learned.put_model_in_service(tx, FIRST))
    metrics = build_metrics(None)
    state = register_updates(app, shop.settings, metrics)
    for _ in range(2):
        app.tasks[REFRESH_USERS].run(["u-1", "unknown"])
    state.close()
    refreshed = metrics.registry.get_sample_value(
        "interest_graph_nodes_refreshed_total", {"label": "User"}
    )
    assert refreshed == 1
    assert query("MATCH (u:User) WHERE u.stale_since IS NULL RETURN count(u) AS n") == [{"n": 1}]


@pytest.mark.parametrize("task", [REFRESH_USERS, REFRESH_ITEMS])
def test_a_task_leaves_what_is_away_to_the_sweeper(
    app: Celery, settings: Settings, task: str, graph: GraphStore
) -> None:
    """With Redis or Neo4j away a task ends without an error, so nothing is redelivered for ever."""
    away = settings.model_copy(update={"serving_url": "redis://127.0.0.1:1/0"})
    state = register_updates(app, away, build_metrics(None))
    app.tasks[task].run(["x-1"])
    state.close()


def test_a_roll_out_that_died_is_resumed_once(
    services: Services, wake_ups: WakeUps, shop: Shop
) -> None:
    """Not while somebody rolls out, not when all is well, and not again while one waits."""

    def asked() -> list[str]:
        wake_ups.resume_roll_out(services.graph, services.serving)
        waiting = wake_ups._broker.lrange(TRAINING_QUEUE, 0, -1)
        return [orjson.loads(raw)["headers"]["task"] for raw in waiting]

    services.graph.write(lambda tx: learned.register_model(tx, FIRST, {}))
    services.graph.write(lambda tx: learned.put_model_in_service(tx, FIRST))
    assert asked() == []
    services.graph.write(lambda tx: learned.register_model(tx, SECOND, {}))
    services.graph.write(lambda tx: learned.put_model_in_service(tx, SECOND))
    services.serving.hold_roll_out("somebody")
    assert asked() == []
    services.serving.hold_roll_out("somebody", 0)
    assert asked() == [FINISH_ROLL_OUT]
    assert asked() == [FINISH_ROLL_OUT]
