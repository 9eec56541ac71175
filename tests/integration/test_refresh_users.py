"""Refreshing users on a real Neo4j: no mark is lost, nothing older replaces anything newer."""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pytest

from interest_graph.errors import GraphUnavailableError
from interest_graph.graph import learned
from interest_graph.graph.store import GraphStore
from interest_graph.ingest import ingest
from interest_graph.interest import interest
from interest_graph.published_model import ModelShelf
from interest_graph.refresh_users import Refreshed, refresh_users
from interest_graph.settings import EventTypeSettings
from tests.integration.log_reading import read_log
from tests.integration.published_directory import FIRST, MAX_EVENTS, SECOND
from tests.integration.shop import ITEMS, NOW, Shop
from tests.integration.test_recommend import delta

if TYPE_CHECKING:
    from collections.abc import Callable

    import neo4j

    from interest_graph.settings import Settings

T = TypeVar("T")
STATE = (
    "MATCH (u:User {user_id: 'u-1'}) RETURN u.facts_revision AS facts, "
    "u.refreshed_revision AS refreshed, u.stale_since IS NOT NULL AS stale, "
    "u.embedding AS embedding, u.model_version AS model_version, u.updated_at AS updated_at"
)
EDGES = (
    "MATCH (u:User {user_id: 'u-1'})-[e:INTERESTED_IN]->(x) RETURN labels(x)[0] AS label, "
    "coalesce(x.item_id, x.path) AS id, e.weight AS weight, e.model_version AS model_version "
    "ORDER BY label, id"
)


class Interrupted(GraphStore):
    """A store where something happens between a worker's reads and its write."""

    def __init__(self, settings: Settings, interruption: Callable[[], object]) -> None:
        super().__init__(settings)
        self.interruption = interruption

    def write(self, work: Callable[[neo4j.ManagedTransaction], T]) -> T:
        """Let it happen, then write."""
        self.interruption()
        return super().write(work)


class Meanwhile(GraphStore):
    """A store where something happens between what a worker reads and all that it does next."""

    def __init__(self, settings: Settings, happens: Callable[[], object]) -> None:
        super().__init__(settings)
        self.happens = happens

    def read(self, work: Callable[[neo4j.ManagedTransaction], T]) -> T:
        """Read, then let it happen."""
        found = super().read(work)
        self.happens()
        return found


class Desk:
    """A shop whose log is ingested, and update workers on it."""

    def __init__(self, shop: Shop, graph: GraphStore) -> None:
        self.shop, self.graph = shop, graph
        self.drain()
        self.put_in_service(FIRST)

    def drain(self) -> None:
        """Ingest what is in the log."""
        entries = read_log(self.shop.events)
        ingest(entries, self.graph, self.shop.events, self.shop.settings)

    def send(self, *sent: tuple[str, str]) -> None:
        """Events of u-1, through the log into the graph."""
        self.shop.send("u-1", *sent)
        self.drain()

    def put_in_service(self, model_version: str) -> None:
        """Make the graph name a model."""
        self.graph.write(lambda tx: learned.register_model(tx, model_version, {}))
        assert self.graph.write(lambda tx: learned.put_model_in_service(tx, model_version))

    def refresh(self, graph: GraphStore | None = None, *user_ids: str) -> Refreshed:
        """One task of an update worker with memory of its own."""
        shelf = ModelShelf(self.shop.settings.models_dir, self.shop.serving)
        return refresh_users(
            user_ids or ("u-1",),
            graph or self.graph,
            self.shop.serving,
            shelf,
            self.shop.settings,
            as_of=NOW,
        )


@pytest.fixture
def desk(shop: Shop, graph: GraphStore) -> Desk:
    return Desk(shop, graph)


def test_a_refresh_writes_the_interest_that_answers_use(desk: Desk, query: Any) -> None:
    """The embedding in the graph is that of the history in Redis; the user is fresh after it."""
    desk.send(("view", ITEMS[3]), ("purchase", ITEMS[8]), ("view", ITEMS[3]))
    done = desk.refresh()
    assert done.written == len(done.stale_since) == 1
    (user,) = query(STATE)
    state = desk.shop.serving.read("u-1")
    model = desk.shop.recommender().shelf.current(state.manifest)
    felt = interest(model.encoder, model.matrix, state.user.history, NOW)
    np.testing.assert_allclose(user["embedding"], felt.embedding, atol=1e-5)
    assert (user["refreshed"], user["facts"], user["stale"]) == (3, 3, False)
    assert user["model_version"] == FIRST


def test_interests_are_attention_summed_by_item_and_category(desk: Desk, query: Any) -> None:
    """INTERESTED_IN to items and to their categories sums to one each, and carries the version."""
    desk.send(("view", ITEMS[3]), ("purchase", ITEMS[8]), ("view", ITEMS[3]))
    desk.refresh()
    rows = query(EDGES)
    for label, ids in (
        ("Item", [ITEMS[3], ITEMS[8]]),
        ("Category", ["Garden > Tools > Saws", "Home"]),
    ):
        own = [row for row in rows if row["label"] == label]
        assert [row["id"] for row in own] == ids
        assert sum(row["weight"] for row in own) == pytest.approx(1, abs=1e-5)
    assert {row["model_version"] for row in rows} == {FIRST}


def test_interests_are_replaced_and_bounded(desk: Desk, query: Any) -> None:
    """After more events the old edges are gone, and no more than the bounds remain."""
    desk.shop.settings = desk.shop.settings.model_copy(
        update={"interest_items": 3, "interest_categories": 2}
    )
    desk.send(("view", ITEMS[0]))
    desk.refresh()
    desk.send(*[("view", ITEMS[number]) for number in range(6, 12)])
    desk.refresh()
    rows = query(EDGES)
    assert [row["label"] for row in rows] == ["Category"] * 2 + ["Item"] * 3
    assert ITEMS[0] not in {row["id"] for row in rows}


def test_a_fact_that_arrives_while_refreshing_leaves_the_user_stale(
    desk: Desk, query: Any, settings: Settings
) -> None:
    """An event ingested between reading and writing keeps its mark, and the next refresh has it."""
    desk.send(("view", ITEMS[3]))
    arrived: list[str] = []

    def event_arrives() -> None:
        if not arrived:
            arrived.append("once")
            desk.send(("click", ITEMS[5]))

    interrupted = Interrupted(settings, event_arrives)
    assert desk.refresh(interrupted).written == 1
    interrupted.close()
    (user,) = query(STATE)
    assert (user["refreshed"], user["facts"], user["stale"]) == (1, 2, True)
    assert ITEMS[5] not in {row["id"] for row in query(EDGES)}
    assert desk.refresh().written == 1
    (user,) = query(STATE)
    assert (user["refreshed"], user["facts"], user["stale"]) == (2, 2, False)
    assert ITEMS[5] in {row["id"] for row in query(EDGES)}


def test_nothing_older_replaces_anything_newer(desk: Desk, query: Any, settings: Settings) -> None:
    """A worker that read before another one wrote writes nothing."""
    desk.send(("view", ITEMS[3]))
    newer: list[Any] = []

    def another_worker_is_faster() -> None:
        if not newer:
            desk.send(("click", ITEMS[5]))
            desk.refresh()
            newer.append((query(STATE), query(EDGES)))

    interrupted = Interrupted(settings, another_worker_is_faster)
    assert desk.refresh(interrupted).written == 0
    interrupted.close()
    assert (query(STATE), query(EDGES)) == newer[0]


def test_a_model_out_of_service_writes_nothing(desk: Desk, query: Any) -> None:
    """While the graph names another model than the manifest, users stay as they are, stale."""
    desk.send(("view", ITEMS[3]))
    desk.put_in_service(SECOND)
    before = query(STATE)
    assert desk.refresh().written == 0
    assert query(STATE) == before
    assert before[0]["stale"]
    assert query(EDGES) == []
    desk.shop.publish(SECOND, seed=2)
    assert desk.refresh().written == 1
    assert {row["model_version"] for row in query(EDGES)} == {SECOND}


def test_a_model_that_comes_into_service_meanwhile_leaves_users_stale(
    desk: Desk, query: Any, settings: Settings
) -> None:
    """Events are read as one model attends to them, and are not given to another."""
    desk.send(("view", ITEMS[3]))

    def rolled_out() -> None:
        desk.put_in_service(SECOND)
        desk.shop.publish(SECOND, seed=2)

    meanwhile = Meanwhile(settings, rolled_out)
    assert desk.refresh(meanwhile) == Refreshed()
    meanwhile.close()
    assert query(STATE)[0]["stale"]
    assert desk.refresh().written == 1
    assert query(STATE)[0]["model_version"] == SECOND


def test_only_events_are_read_that_the_encoder_attends_to(desk: Desk, query: Any) -> None:
    """The interest is that of the whole history, and nobody waits for an item from before."""
    attended = ModelShelf(desk.shop.settings.models_dir, desk.shop.serving).current(
        desk.shop.serving.head()[0]
    )
    most = attended.encoder.max_events
    newest = [("view", ITEMS[number % len(ITEMS)]) for number in range(most)]
    desk.send(("purchase", "brand-new"), ("purchase", ITEMS[8]), *newest)
    assert desk.refresh().written == 1
    (user,) = query(STATE)
    history = desk.shop.serving.read("u-1").user.history
    assert len(history) == most + 2
    felt = interest(attended.encoder, attended.matrix, history, NOW)
    np.testing.assert_allclose(user["embedding"], felt.embedding, atol=1e-5)
    assert not user["stale"]


@pytest.mark.parametrize(
    ("declared", "history_events"), [(("wish",), 12), ((), MAX_EVENTS - 2)], ids=["type", "history"]
)
def test_what_lists_do_not_attend_to_is_not_attended_to(
    shop: Shop, graph: GraphStore, query: Any, declared: tuple[str, ...], history_events: int
) -> None:
    """Newer events of a type unknown to the model hide others, and so does a short history."""
    types = dict(shop.settings.event_types)
    types |= {name: EventTypeSettings(relationship=name.upper(), weight=1.0) for name in declared}
    changed = {"event_types": types, "history_events": history_events}
    desk = Desk(Shop(shop.settings.model_copy(update=changed), shop.client), graph)
    desk.send(*[("view", ITEMS[number]) for number in range(MAX_EVENTS + 2)])
    desk.send(*[(name, ITEMS[8]) for name in declared for _ in range(history_events - 3)])
    assert desk.refresh().written == 1
    (user,) = query(STATE)
    state = desk.shop.serving.read("u-1")
    model = desk.shop.recommender().shelf.current(state.manifest)
    assert len(state.user.history) == history_events
    felt = interest(model.encoder, model.matrix, state.user.history, NOW)
    np.testing.assert_allclose(user["embedding"], felt.embedding, atol=1e-5)


def test_the_fresh_and_the_unknown_are_left_alone(desk: Desk, query: Any) -> None:
    """A wake-up for users that are fresh, erased or were never there changes nothing."""
    desk.send(("view", ITEMS[3]))
    desk.refresh()
    before = query(STATE)
    assert desk.refresh(None, "u-1", "nobody").written == 0
    assert query(STATE) == before


def test_a_user_without_events_becomes_fresh_without_interests(desk: Desk, query: Any) -> None:
    """A described user of whom nothing is known yet has no embedding and no edges, not an error."""
    desk.shop.users.put([{"user_id": "u-1", "categories": [["Home"]]}])
    desk.drain()
    assert desk.refresh().written == 1
    (user,) = query(STATE)
    assert (user["embedding"], user["stale"]) == (None, False)
    assert query(EDGES) == []


def test_two_workers_at_once_double_no_edge(desk: Desk, query: Any) -> None:
    """Four workers woken for the same user leave each edge once."""
    desk.send(*[("view", item_id) for item_id in ITEMS[:6]])
    failures: list[BaseException] = []

    def work() -> None:
        try:
            desk.refresh()
        except Exception as error:  # noqa: BLE001 shown below
            failures.append(error)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not failures
    ids = [(row["label"], row["id"]) for row in query(EDGES)]
    assert len(ids) == len(set(ids)) == 6 + 4
    assert not query(STATE)[0]["stale"]


def test_before_the_first_model_nothing_is_refreshed(
    shop: Shop, graph: GraphStore, query: Any
) -> None:
    """Without a published model a wake-up changes nothing and is no error."""
    desk = Desk(shop, graph)
    desk.send(("view", ITEMS[3]))
    shop.client.delete("ig:manifest")
    assert desk.refresh() == Refreshed()
    assert query(STATE)[0]["stale"]


def test_without_neo4j_the_users_stay_stale(desk: Desk, query: Any, settings: Settings) -> None:
    """A Neo4j that goes away before the write is an error to retry on, and the mark stays."""
    desk.send(("view", ITEMS[3]))

    def gone() -> None:
        message = "Neo4j does not answer"
        raise GraphUnavailableError(message)

    interrupted = Interrupted(settings, gone)
    with pytest.raises(GraphUnavailableError):
        desk.refresh(interrupted)
    interrupted.close()
    assert query(STATE)[0]["stale"]


def test_a_user_waits_for_an_item_that_is_not_encoded_yet(desk: Desk, query: Any) -> None:
    """An event of an item without an embedding is not forgotten: its user stays stale for it."""
    desk.send(("view", ITEMS[3]), ("purchase", "brand-new"))
    assert desk.refresh().written == 0
    assert query(STATE)[0]["stale"]
    desk.shop.serving.publish(delta(["brand-new"]))
    assert desk.refresh().written == 1
    assert "brand-new" in {edge["id"] for edge in query(EDGES)}


def test_what_is_written_replaces_every_edge_whatever_was_there(
    graph: GraphStore, query: Any
) -> None:
    """After each write the edges are the rows, also where an item and a category share an id."""
    ids = ["a", "b b", "c`$.", "ä"]
    query(
        "UNWIND $ids AS id CREATE (:Item {item_id: id}), (:Category {category_id: id}) "
        "WITH count(*) AS n CREATE (:Model {model_version: $model, in_service: true}) "
        "CREATE (:User {user_id: 'u-1', facts_revision: 99, refreshed_revision: 0})",
        ids=ids,
        model=FIRST,
    )
    chance = random.Random(3)
    for revision in range(1, 20):
        wanted = {
            kind: {one: chance.random() for one in chance.sample(ids, chance.randrange(5))}
            for kind in ("items", "categories")
        }
        row = {"user_id": "u-1", "read_revision": revision, "embedding": [0.0], **wanted}
        written = graph.write(
            lambda tx, row=row: learned.write_user_interests(tx, [row], FIRST)  # type: ignore[misc]
        )
        assert written == 1
        found = query(
            "MATCH (:User)-[edge:INTERESTED_IN]->(n) RETURN edge.weight AS weight, "
            "n:Item AS item, coalesce(n.item_id, n.category_id) AS id"
        )
        assert len(found) == sum(map(len, wanted.values()))
        for row in found:
            assert wanted["items" if row["item"] else "categories"][row["id"]] == row["weight"]
