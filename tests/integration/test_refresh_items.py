"""Refreshing items on real servers, with an encoder of plain arithmetic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from interest_graph import redis_client as keys
from interest_graph.errors import ServingStateUnavailableError
from interest_graph.graph import reads
from interest_graph.graph.facts import what_is_left
from interest_graph.recommendation import Query
from interest_graph.refresh_items import refresh_items
from interest_graph.roll_out import roll_out
from tests.integration.fake_encoder import FakeEncoder
from tests.integration.published_directory import FIRST, SECOND, WIDTH
from tests.integration.shop import ITEMS, NOW, Shop
from tests.integration.test_refresh_users import Desk, Interrupted

if TYPE_CHECKING:
    from interest_graph.graph.store import GraphStore
    from interest_graph.settings import Settings

STATE = (
    "MATCH (i:Item) WHERE i.item_id IN $ids RETURN i.item_id AS id, i.embedding AS embedding, "
    "i.stale_since IS NOT NULL AS stale, i.facts_revision - i.refreshed_revision AS behind, "
    "i.model_version AS version, "
    "[(i)-[e:SIMILAR_TO]->(o) | [o.item_id, e.weight]] AS similar, "
    "[(i)-[e:BELONGS_TO]->(c) | [c.path, e.weight, e.model_version]] AS belongs ORDER BY id"
)

MARK = "MATCH (i:Item {item_id: $id}) SET i.facts_revision = i.facts_revision + 1"


class Bench:
    """A shop whose model is rolled out, and update workers for its items."""

    def __init__(self, shop: Shop, graph: GraphStore, query: Any) -> None:
        self.desk = Desk(shop, graph)
        self.shop, self.graph, self.query = shop, graph, query
        self.encoder = FakeEncoder()
        self.process = shop.recommender()
        directory = shop.settings.models_dir / FIRST
        roll_out(directory, {}, self.encoder, graph, shop.serving, shop.settings)

    def put(self, item_id: str, **fields: object) -> None:
        """Describe an item, in the catalogue and in the graph."""
        self.shop.items.put([{"item_id": item_id, "hidden": False} | fields])
        self.desk.drain()

    def mark(self, item_id: str) -> None:
        """Make an item stale as a neighbour does that moved."""
        self.query(MARK, id=item_id)

    def refresh(self, *item_ids: str, graph: GraphStore | None = None) -> list[str]:
        """One task of an update worker that starts now."""
        return refresh_items(
            item_ids,
            graph or self.graph,
            self.shop.serving,
            self.shop.recommender().shelf,
            self.encoder,
            self.shop.settings,
            now=NOW,
        )

    def state(self, *item_ids: str) -> list[dict[str, Any]]:
        """What the graph says of items."""
        found: list[dict[str, Any]] = self.query(STATE, ids=list(item_ids))
        return found

    def epoch(self) -> int:
        """Number of the newest delta."""
        manifest, _ = self.shop.serving.head()
        assert manifest
        return manifest.epoch


@pytest.fixture
def bench(shop: Shop, graph: GraphStore, query: Any) -> Bench:
    return Bench(shop, graph, query)


def test_a_new_item_is_placed_and_recommended(bench: Bench) -> None:
    """A described item gets its embedding, categories and similar items, and is in the lists."""
    bench.put("new", title=f"Title of {ITEMS[4]}", categories=[["Home"], ["New"]])
    before = bench.process.recommend("u-1", Query(k=99)).items
    assert bench.refresh("new") == ["new"]
    (item,) = bench.state("new")
    vector = bench.encoder.encode_texts([f"Title of {ITEMS[4]}"])[0]
    np.testing.assert_allclose(item["embedding"], np.tile(vector, 2), rtol=1e-6)
    assert item["version"] == FIRST
    assert sorted(item["belongs"]) == [["Home", 0.5, FIRST], ["New", 0.5, FIRST]]
    assert len(item["similar"]) == WIDTH
    assert "new" not in {other for other, _ in item["similar"]}
    after = bench.process.recommend("u-1", Query(k=99)).items
    assert {i.item_id for i in after} - {i.item_id for i in before} == {"new"}
    assert bench.process.similar("new", WIDTH)


def test_a_new_item_s_neighbours_count_without_an_event(bench: Bench) -> None:
    """It is placed by its text, gets its edges, and is placed once more, among its neighbours."""
    bench.put("new", title=f"Title of {ITEMS[4]}", categories=[["Home"]])
    bench.refresh("new")
    (alone,) = bench.state("new")
    assert (alone["stale"], alone["behind"]) == (True, 1)
    bench.refresh("new")
    (among,) = bench.state("new")
    assert (among["stale"], among["behind"], among["similar"]) == (False, 0, alone["similar"])
    strongest = sorted(among["similar"], key=lambda edge: (-edge[1], edge[0]))
    read = bench.encoder.subgraphs[-1].neighbor_ids
    assert read == [other for other, _ in strongest][: bench.encoder.num_neighbors]
    assert not bench.refresh("new")


def test_a_text_is_encoded_once(bench: Bench) -> None:
    """An event makes an item stale; its text, which did not change, is not encoded again."""
    bench.put("new", title="A title of its own")
    bench.refresh("new")
    bench.put("other", title="A title of its own")
    encoded = list(bench.encoder.texts)
    bench.desk.send(("view", "new"))
    assert bench.refresh("new") == ["new"]
    assert bench.encoder.texts == encoded
    bench.put("new", title="Another title")
    bench.refresh("new")
    assert bench.encoder.texts == [*encoded, "Another title"]


def test_what_did_not_move_is_not_published(bench: Bench) -> None:
    """A refresh that changes nothing makes the item fresh, and that is all."""
    bench.put("new", title="A title of its own")
    bench.refresh("new")
    bench.refresh("new")  # the first step had no neighbours yet
    published = bench.epoch()
    bench.mark("new")
    similar = bench.state("new")[0]["similar"]
    assert bench.refresh("new") == ["new"]
    assert bench.epoch() == published
    assert bench.state("new")[0]["similar"] == similar
    assert bench.state("new")[0]["behind"] == 0


def test_an_item_that_only_became_popular_leaves_what_was_read_of_histories(bench: Bench) -> None:
    """Popularity moves the bias; a user with the item in their history is not encoded again."""
    bench.mark(ITEMS[0])
    bench.refresh(ITEMS[0])
    bench.process.recommend("u1", Query(k=3))
    model, published = bench.process.shelf.current(bench.shop.serving.head()[0]), bench.epoch()
    bias, row = model.matrix.bias.copy(), np.array([model.matrix.row_of[ITEMS[0]]])
    bench.desk.send(*[("view", ITEMS[0])] * 5)
    bench.mark(ITEMS[0])
    bench.encoder.rounding = 2e-7
    bench.refresh(ITEMS[0])
    assert bench.epoch() == published + 1
    bench.process.shelf.current(bench.shop.serving.head()[0])
    assert model.matrix.epoch == published + 1
    assert model.matrix.bias[row[0]] > bias[row[0]]
    assert not model.matrix.changed_since(published, row)


def settled(bench: Bench, item_id: str) -> None:
    """Describe an item and refresh it until it is fresh."""
    bench.put(item_id, title=f"A title of {item_id}")
    while bench.refresh(item_id):
        pass


def test_events_alone_read_neither_text_nor_neighbours(bench: Bench) -> None:
    """Its popularity goes into the lists; embedding and edges stay as they are."""
    settled(bench, "new")
    (before,), encoded = bench.state("new"), len(bench.encoder.subgraphs)
    bench.encoder.rounding = 1.0  # whatever is encoded from here on is seen
    bench.desk.send(("view", "new"))
    assert bench.state("new")[0]["stale"]
    published = bench.epoch()
    assert bench.refresh("new") == ["new"]
    assert bench.state("new") == [before]
    assert len(bench.encoder.subgraphs) == encoded
    assert bench.epoch() == published + 1
    matrix = bench.shop.recommender().shelf.current(bench.shop.serving.head()[0]).matrix
    row = matrix.row_of["new"]
    assert matrix.bias[row] > 0
    np.testing.assert_array_equal(matrix.embeddings[row], np.float32(before["embedding"]))


@pytest.mark.parametrize("first", ["event", "document"])
def test_a_document_beside_events_is_not_taken_for_one(bench: Bench, first: str) -> None:
    """In either order, the item is encoded with its new title."""
    settled(bench, "new")
    steps = [lambda: bench.desk.send(("view", "new")), lambda: bench.put("new", title="Another")]
    for step in steps if first == "event" else reversed(steps):
        step()
    assert bench.refresh("new") == ["new"]
    assert bench.encoder.subgraphs[-1].texts == ["Another"]
    bench.desk.send(("view", "new"))
    bench.mark("new")
    encoded = len(bench.encoder.subgraphs)
    assert bench.refresh("new") == ["new"]
    assert len(bench.encoder.subgraphs) == encoded + 1


def test_a_document_that_arrives_before_events_are_counted_is_read(
    bench: Bench, settings: Settings
) -> None:
    """Whether events alone made it stale is seen under the lock, not when it was read."""
    settled(bench, "new")
    bench.desk.send(("view", "new"))
    titles = ["Another"]

    def document_arrives() -> None:
        if titles:
            bench.put("new", title=titles.pop())

    interrupted = Interrupted(settings, document_arrives)
    assert bench.refresh("new", graph=interrupted) == ["new"]
    interrupted.close()
    assert bench.encoder.subgraphs[-1].texts == ["Another"]
    assert bench.state("new")[0]["stale"]


def test_an_item_whose_neighbour_was_deleted_is_encoded_with_its_next_event(bench: Bench) -> None:
    """A deletion marks nobody, but what leaned on the item is not taken for as it was."""
    settled(bench, "new")
    gone = bench.encoder.subgraphs[-1].neighbor_ids[0]
    bench.shop.items.delete(gone)
    bench.desk.drain()
    bench.desk.send(("view", "new"))
    encoded = len(bench.encoder.subgraphs)
    bench.refresh("new")
    assert len(bench.encoder.subgraphs) == encoded + 1
    assert gone not in bench.encoder.subgraphs[-1].neighbor_ids


def test_a_neighbour_deleted_while_an_item_is_encoded_with_it_is_not_overlooked(
    bench: Bench, settings: Settings
) -> None:
    """What was encoded with it does not stand."""
    settled(bench, "new")
    gone = bench.encoder.subgraphs[-1].neighbor_ids[0]

    def neighbor_is_deleted() -> None:
        bench.shop.items.delete(gone)
        bench.desk.drain()

    bench.mark("new")
    interrupted = Interrupted(settings, neighbor_is_deleted)
    bench.refresh("new", graph=interrupted)
    interrupted.close()
    encoded = len(bench.encoder.subgraphs)
    bench.desk.send(("view", "new"))
    bench.refresh("new")
    assert len(bench.encoder.subgraphs) == encoded + 1
    assert gone not in bench.encoder.subgraphs[-1].neighbor_ids


@pytest.mark.parametrize("encoded_at", ["datetime() - duration({hours: 25})", "null"])
def test_a_day_after_its_encoding_an_item_catches_up_with_its_next_event(
    bench: Bench, encoded_at: str
) -> None:
    """What its neighbours moved without marking it counts then, once; so where no day is known."""
    settled(bench, "new")
    neighbor = bench.encoder.subgraphs[-1].neighbor_ids[0]
    bench.query(
        "MATCH (i:Item {item_id: $id}) SET i.embedding = [x IN i.embedding | x + 0.5]", id=neighbor
    )
    (before,) = bench.state("new")
    bench.desk.send(("view", "new"))
    bench.refresh("new")
    assert bench.state("new") == [before]
    bench.query(f"MATCH (i:Item {{item_id: 'new'}}) SET i.encoded_at = {encoded_at}")
    bench.desk.send(("view", "new"))
    assert bench.refresh("new") == ["new"]
    (after,) = bench.state("new")
    moved = np.array(after["embedding"]) - before["embedding"]
    np.testing.assert_allclose(moved, 0.25, rtol=1e-5)
    encoded = len(bench.encoder.subgraphs)
    bench.desk.send(("view", "new"))
    assert bench.refresh("new") == ["new"]
    assert len(bench.encoder.subgraphs) == encoded


def test_a_delta_that_redis_lost_is_published_with_the_next_event(bench: Bench) -> None:
    """The matrix has the embedding and the edges of the graph again, and then events count."""
    settled(bench, "new")
    epoch, serving = bench.epoch(), bench.shop.serving
    bench.put("new", title="Another", categories=[["Garden"]])
    while bench.refresh("new"):
        pass
    bench.shop.client.hset(keys.MANIFEST, "epoch", epoch)
    bench.shop.client.hdel(keys.deltas_key(FIRST), *[str(n) for n in range(epoch + 1, epoch + 9)])
    (item,) = bench.state("new")
    bench.desk.send(("view", "new"))
    assert bench.refresh("new") == ["new"]
    matrix = bench.shop.recommender().shelf.current(serving.head()[0]).matrix
    row = matrix.row_of["new"]
    np.testing.assert_array_equal(matrix.embeddings[row], np.float32(item["embedding"]))
    assert {matrix.item_ids[n] for n in matrix.neighbor_rows[row] if n >= 0} == {
        other for other, _ in item["similar"]
    }
    encoded = len(bench.encoder.subgraphs)
    bench.desk.send(("view", "new"))
    assert bench.refresh("new") == ["new"]
    assert len(bench.encoder.subgraphs) == encoded


def test_popularity_is_what_is_left_of_it_now(bench: Bench) -> None:
    """A bias follows the weights of an item's events, decayed to the moment of the refresh."""
    bench.desk.send(("purchase", ITEMS[0]), ("view", ITEMS[0]))
    bench.refresh(ITEMS[0])
    half_life = bench.shop.settings.popularity_half_life_days
    share = what_is_left(3_600_000, half_life)
    matrix = bench.process.shelf.current(bench.shop.serving.head()[0]).matrix
    assert matrix.bias[matrix.row_of[ITEMS[0]]] == pytest.approx(np.log1p(1.1 * share), rel=1e-6)


def test_the_neighbourhood_is_bounded_and_ordered(bench: Bench) -> None:
    """A step reads the heaviest SIMILAR_TO, at most num_neighbors, ties by id, never itself."""
    edges = [[ITEMS[n], 0.5] for n in (9, 8, 7)] + [[ITEMS[0], 0.9], [ITEMS[5], 0.7], ["stub", 1.0]]
    bench.desk.send(("view", "stub"))
    bench.mark(ITEMS[0])
    bench.query(
        "MATCH (i:Item {item_id: $id}) OPTIONAL MATCH (i)-[old:SIMILAR_TO]->() DELETE old "
        "WITH DISTINCT i UNWIND $edges AS edge MATCH (o:Item {item_id: edge[0]}) "
        "CREATE (i)-[:SIMILAR_TO {weight: edge[1], evidence: 0.0}]->(o)",
        id=ITEMS[0],
        edges=edges,
    )
    bench.refresh(ITEMS[0])
    subgraph = bench.encoder.subgraphs[-1]
    assert subgraph.neighbor_ids == [ITEMS[5], ITEMS[7], ITEMS[8]]
    assert subgraph.neighbor_index.tolist() == [[0, 0, 0], [0, 1, 2]]
    assert subgraph.edge_weight.tolist() == pytest.approx([0.7, 0.5, 0.5])


def test_a_neighbour_becomes_stale_when_its_input_moved(bench: Bench) -> None:
    """Items that lean on one that moved by more than ε are stale after it, others are not."""
    (target,) = bench.query(
        "MATCH (i:Item)<-[:SIMILAR_TO]-() RETURN i.item_id AS id, count(*) AS n "
        "ORDER BY n DESC, id LIMIT 1"
    )
    leaning = {
        row["id"]
        for row in bench.query(
            "MATCH (o:Item)-[:SIMILAR_TO]->(:Item {item_id: $id}) RETURN o.item_id AS id",
            id=target["id"],
        )
    }
    assert target["id"] not in leaning
    bench.mark(target["id"])
    bench.refresh(target["id"])
    stale = {row["id"] for row in bench.state(*ITEMS) if row["stale"]}
    assert stale == leaning


def test_a_move_within_epsilon_stays_where_it_is(bench: Bench) -> None:
    """An item that is computed as it was marks no neighbour."""
    bench.shop.settings = bench.shop.settings.model_copy(update={"refresh_epsilon": 1e6})
    bench.mark(ITEMS[0])
    bench.refresh(ITEMS[0])
    assert not any(row["stale"] for row in bench.state(*ITEMS))


def test_a_fact_that_arrives_while_refreshing_leaves_the_item_stale(
    bench: Bench, settings: Settings
) -> None:
    """A new description between reading and writing keeps its mark, and the next refresh has it."""
    bench.put("new", title="old title")
    arrived: list[str] = []

    def document_arrives() -> None:
        if not arrived:
            arrived.append("once")
            bench.put("new", title="new title")

    interrupted = Interrupted(settings, document_arrives)
    assert bench.refresh("new", graph=interrupted) == []
    interrupted.close()
    (item,) = bench.state("new")
    assert (item["behind"], item["stale"], item["similar"]) == (2, True, [])
    bench.refresh("new")
    (item,) = bench.state("new")
    vectors = bench.encoder.encode_texts(["new title"])
    np.testing.assert_array_equal(bench.encoder.subgraphs[-1].text_embeddings, vectors)
    assert (item["behind"], item["stale"]) == (1, True)  # its edges are new
    bench.refresh("new")
    (item,) = bench.state("new")
    assert (item["behind"], item["stale"]) == (0, False)


def test_a_document_read_while_it_is_written_costs_no_edge(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An item read without its categories keeps its learned edges, and is read again."""
    title = f"Title of {ITEMS[0]}"
    bench.put(ITEMS[0], title=title, categories=[["Home"]])
    bench.refresh(ITEMS[0])
    (before,), epoch = bench.state(ITEMS[0]), bench.epoch()
    bench.query("MATCH ({item_id: $id})-[e:SIMILAR_TO]->() SET e.weight = 7.5", id=ITEMS[0])
    bench.put(ITEMS[0], title=title, categories=[["Home"]])
    read = reads.fetch_item_subgraph

    def torn(tx: Any, item_ids: Any, num_neighbors: int) -> Any:
        """As seen when the old IN_CATEGORY are gone and the new ones not there yet."""
        rows = read(tx, item_ids, num_neighbors)
        if num_neighbors:
            bench.put(ITEMS[0], title=title, categories=[["Home"]])
        return [
            {**row, "categories": row["categories"][: 0 if num_neighbors else 9]} for row in rows
        ]

    monkeypatch.setattr(reads, "fetch_item_subgraph", torn)
    assert bench.refresh(ITEMS[0]) == []
    monkeypatch.undo()
    assert bench.epoch() == epoch
    (meanwhile,) = bench.state(ITEMS[0])
    assert (meanwhile["embedding"], meanwhile["stale"]) == (before["embedding"], True)
    assert bench.refresh(ITEMS[0]) == [ITEMS[0]]
    (after,) = bench.state(ITEMS[0])
    assert {weight for _, weight in after["similar"]} == {7.5}
    assert sorted(one for one, _ in after["similar"]) == sorted(o for o, _ in before["similar"])
    assert (after["behind"], after["stale"], after["belongs"]) == (0, False, before["belongs"])


def test_nothing_older_replaces_anything_newer(bench: Bench, settings: Settings) -> None:
    """A worker that read before another one wrote writes nothing and publishes nothing."""
    bench.put("new", title="old title")
    newer: list[Any] = []

    def another_worker_is_faster() -> None:
        if not newer:
            newer.append(None)
            bench.put("new", title="new title")
            bench.refresh("new")
            newer[:] = [bench.state("new"), bench.epoch()]

    interrupted = Interrupted(settings, another_worker_is_faster)
    assert bench.refresh("new", graph=interrupted) == []
    interrupted.close()
    assert [bench.state("new"), bench.epoch()] == newer


def test_a_model_out_of_service_writes_nothing(bench: Bench) -> None:
    """While the graph names another model, an old worker changes neither graph nor answers."""
    bench.put("new", title="A title")
    bench.desk.put_in_service(SECOND)
    before = bench.state("new")
    assert bench.refresh("new") == []
    assert (bench.state("new"), bench.epoch()) == (before, 0)
    assert before[0]["stale"]


def test_what_cannot_be_published_is_not_written(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With Redis away the graph keeps what it had and the item its mark; later both follow."""
    bench.put("new", title="A title")
    before = bench.state("new")

    def gone(_: object) -> int:
        message = "the serving state does not answer"
        raise ServingStateUnavailableError(message)

    monkeypatch.setattr(bench.shop.serving, "publish", gone)
    with pytest.raises(ServingStateUnavailableError):
        bench.refresh("new")
    assert bench.state("new") == before
    monkeypatch.undo()
    assert bench.refresh("new") == ["new"]
    assert bench.epoch() == 1


def test_another_description_brings_other_similar_items(bench: Bench) -> None:
    """SIMILAR_TO is chosen anew when text, categories or brand change, and published."""
    bench.put(ITEMS[0], title="As different as can be", brand="Lux")
    bench.refresh(ITEMS[0])
    (item,) = bench.state(ITEMS[0])
    features = bench.encoder.edges[-1]
    weights = dict(
        zip(features.target_ids, bench.encoder.edge_weights(features).tolist(), strict=True)
    )
    best = sorted(weights.items(), key=lambda edge: (-edge[1], edge[0]))[:WIDTH]
    assert sorted(item["similar"]) == sorted(
        [other, pytest.approx(weight)] for other, weight in best
    )
    manifest, _ = bench.shop.serving.head()
    matrix = bench.shop.recommender().shelf.current(manifest).matrix
    row = matrix.neighbor_rows[matrix.row_of[ITEMS[0]]]
    assert [matrix.item_ids[target] for target in row] == [other for other, _ in best]
