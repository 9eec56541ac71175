"""Rolling a model out on a real Neo4j and a real Redis, with an encoder of plain arithmetic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from neo4j.exceptions import TransientError as NeoTransientError

from interest_graph import redis_client as keys
from interest_graph import roll_out as rolling_out
from interest_graph.errors import CheckpointError, RollOutUnderWayError
from interest_graph.graph import learned, reads
from interest_graph.item_matrix import ItemMatrix
from interest_graph.roll_out import roll_out
from tests.integration.fake_encoder import FakeEncoder
from tests.integration.published_directory import FIRST, SECOND, write_model
from tests.integration.shop import ITEMS, Shop
from tests.integration.test_refresh_users import Desk

if TYPE_CHECKING:
    from pathlib import Path

    from interest_graph.graph.store import GraphStore


def put_in_service(shop: Shop, graph: GraphStore, directory: Path, version: str) -> None:
    """Roll a published directory out."""
    roll_out(
        directory, {"ndcg_at_10": 0.1}, FakeEncoder(version), graph, shop.serving, shop.settings
    )


@pytest.fixture
def desk(shop: Shop, graph: GraphStore) -> Desk:
    desk = Desk(shop, graph)
    desk.send(("view", ITEMS[3]), ("purchase", ITEMS[8]))
    desk.refresh()
    return desk


def test_the_graph_and_the_answers_follow_the_new_model(
    desk: Desk, graph: GraphStore, query: Any
) -> None:
    """After a roll-out items carry the matrix's rows and edges; users and stubs are stale."""
    shop = desk.shop
    shop.items.put([{"item_id": "later", "title": "Not in the model"}])
    desk.drain()
    directory = write_model(shop.settings.models_dir, ITEMS[::-1], SECOND, seed=2)
    put_in_service(shop, graph, directory, SECOND)
    matrix = ItemMatrix.load(directory)
    rows = query(
        "MATCH (i:Item) RETURN i.item_id AS id, i.embedding AS embedding, "
        "i.model_version AS version, i.stale_since IS NOT NULL AS stale, "
        "[(i)-[e:SIMILAR_TO]->(o) | [o.item_id, e.weight, e.evidence, e.model_version]] AS similar,"
        "[(i)-[e:BELONGS_TO]->(c) | e.model_version] AS belongs ORDER BY id"
    )
    later = rows.pop()
    assert (later["id"], later["version"], later["stale"]) == ("later", None, True)
    assert [row["id"] for row in rows] == ITEMS
    for one in rows:
        row = matrix.row_of[one["id"]]
        np.testing.assert_array_equal(np.float32(one["embedding"]), matrix.embeddings[row])
        assert (one["version"], one["stale"], one["belongs"]) == (SECOND, False, [SECOND])
        edges = {
            (matrix.item_ids[target], float(weight), float(weight) / 2, SECOND)
            for target, weight in zip(
                matrix.neighbor_rows[row], matrix.neighbor_weights[row], strict=True
            )
            if target >= 0
        }
        assert {tuple(edge) for edge in one["similar"]} == edges
    assert graph.read(reads.fetch_model_in_service) == SECOND
    assert graph.read(reads.count_stale)["stale_users"] == 1
    manifest, _ = shop.serving.head()
    assert manifest
    assert (manifest.model_version, manifest.epoch) == (SECOND, 0)
    assert desk.refresh().written == 1


def test_categories_are_related_to_their_nearest(desk: Desk, graph: GraphStore, query: Any) -> None:
    """Each category leads to the bounded number of others whose embeddings are nearest."""
    desk.shop.settings = desk.shop.settings.model_copy(update={"related_categories": 2})
    put_in_service(desk.shop, graph, desk.shop.settings.models_dir / FIRST, FIRST)
    rows = query(
        "MATCH (c:Category)-[e:RELATED_TO]->(o:Category) RETURN c.path AS c, o.path AS o, "
        "e.weight AS weight, e.model_version AS version"
    )
    assert {row["version"] for row in rows} == {FIRST}
    for path in {row["c"] for row in rows}:
        own = {row["o"] for row in rows if row["c"] == path}
        assert len(own) == 2
        assert path not in own
    assert len({row["c"] for row in rows}) == 5


def test_rolling_out_again_repeats_nothing(desk: Desk, graph: GraphStore, query: Any) -> None:
    """A roll-out that is repeated after a crash leaves the same edges once."""
    counted = "MATCH ()-[e]->() RETURN type(e) AS type, count(e) AS n ORDER BY type"
    directory = desk.shop.settings.models_dir / FIRST
    put_in_service(desk.shop, graph, directory, FIRST)
    before = query(counted)
    put_in_service(desk.shop, graph, directory, FIRST)
    assert query(counted) == before
    assert query("MATCH (m:Model) RETURN m.model_version AS v, m.in_service AS s") == [
        {"v": FIRST, "s": True}
    ]


def test_one_model_is_in_service_at_a_time(desk: Desk, graph: GraphStore, query: Any) -> None:
    """Rolling out, and rolling back, moves the one mark of service; metrics stay with the model."""
    write_model(desk.shop.settings.models_dir, ITEMS, SECOND, seed=2)
    for version in (FIRST, SECOND, FIRST):
        put_in_service(desk.shop, graph, desk.shop.settings.models_dir / version, version)
        assert query("MATCH (m:Model {in_service: true}) RETURN m.model_version AS v") == [
            {"v": version}
        ]
    assert query("MATCH (m:Model) RETURN collect(DISTINCT m.ndcg_at_10) AS n") == [{"n": [0.1]}]


def test_a_short_half_life_is_no_obstacle(desk: Desk, graph: GraphStore) -> None:
    """Half-lives that evaluations choose can be rolled out."""
    desk.shop.settings = desk.shop.settings.model_copy(update={"popularity_half_life_days": 1.5})
    encoder = FakeEncoder(FIRST)
    directory = desk.shop.settings.models_dir / FIRST
    roll_out(directory, {}, encoder, graph, desk.shop.serving, desk.shop.settings)
    popularity = np.concatenate([subgraph.popularity for subgraph in encoder.subgraphs])
    assert np.isfinite(popularity).all()
    assert 0 < popularity.max() < 1e6


@pytest.mark.parametrize("missing", ["neighbor_evidence.npy", "items.json", "item_bias.npy"])
def test_a_damaged_directory_changes_nothing(desk: Desk, graph: GraphStore, missing: str) -> None:
    """A directory that lacks a file is refused before anything is written."""
    directory = write_model(desk.shop.settings.models_dir, ITEMS, SECOND, seed=2)
    (directory / missing).unlink()
    with pytest.raises(CheckpointError):
        put_in_service(desk.shop, graph, directory, SECOND)
    assert graph.read(reads.fetch_model_in_service) == FIRST
    assert graph.read(reads.count_stale)["stale_users"] == 0


def test_every_item_is_marked_once(
    desk: Desk, graph: GraphStore, query: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Page by page, and a page that loses a deadlock is marked once all the same."""
    before = revisions(query)
    monkeypatch.setattr(learned, "PAGE", 3)
    run, calls = learned.run, []

    def deadlocked(tx: Any, path: str, **parameters: Any) -> Any:
        rows = run(tx, path, **parameters)
        calls.append(parameters["after"])
        if len(calls) == 2:
            raise NeoTransientError._hydrate_neo4j(
                code="Neo.TransientError.Transaction.DeadlockDetected", message="planted"
            )
        return rows

    monkeypatch.setattr(learned, "run", deadlocked)
    pages: list[None] = []
    learned.mark_all_items_stale(graph, lambda: pages.append(None))
    assert revisions(query) == {item_id: count + 1 for item_id, count in before.items()}
    assert len(pages) == len(calls) - 1 == -(-len(before) // 3) + 1


def revisions(query: Any) -> dict[str, int]:
    """Facts revision of every item."""
    rows = query("MATCH (i:Item) RETURN i.item_id AS id, i.facts_revision AS revision")
    return {row["id"]: row["revision"] for row in rows}


def test_one_roll_out_at_a_time(
    desk: Desk, graph: GraphStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever comes while another rolls out changes nothing and waits; then it is its turn."""
    shop = desk.shop
    directory = write_model(shop.settings.models_dir, ITEMS, SECOND, seed=2)
    waited: list[str | None] = []

    def until_it_is_over(_seconds: float) -> None:
        waited.append(graph.read(reads.fetch_model_in_service))
        if len(waited) == 2:
            shop.serving.hold_roll_out("another", 0)

    monkeypatch.setattr(rolling_out.time, "sleep", until_it_is_over)
    shop.serving.hold_roll_out("another")
    shop.serving.hold_roll_out("another")
    put_in_service(shop, graph, directory, SECOND)
    assert waited == [FIRST, FIRST]
    assert graph.read(reads.fetch_model_in_service) == SECOND
    assert not shop.serving.rolling_out()


def test_a_roll_out_does_not_wait_for_ever(
    desk: Desk, graph: GraphStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused when its patience is over, and has changed nothing."""
    monkeypatch.setattr(rolling_out, "PATIENCE_S", -1.0)
    desk.shop.serving.hold_roll_out("another")
    directory = write_model(desk.shop.settings.models_dir, ITEMS, SECOND, seed=2)
    with pytest.raises(RollOutUnderWayError, match="under way"):
        put_in_service(desk.shop, graph, directory, SECOND)
    assert graph.read(reads.fetch_model_in_service) == FIRST
    assert desk.shop.serving.rolling_out()


def test_who_was_overtaken_does_not_switch(desk: Desk, graph: GraphStore) -> None:
    """A roll-out that was frozen until another one began ends without touching the manifest."""
    shop = desk.shop
    directory = write_model(shop.settings.models_dir, ITEMS, SECOND, seed=2)

    def overtaken(done: int, total: int) -> None:
        if done == total:
            shop.client.delete(keys.ROLL_OUT)
            shop.serving.hold_roll_out("another")

    with pytest.raises(RollOutUnderWayError):
        roll_out(directory, {}, FakeEncoder(SECOND), graph, shop.serving, shop.settings, overtaken)
    manifest, _ = shop.serving.head()
    assert manifest
    assert manifest.model_version == FIRST
    assert shop.serving.rolling_out()


def test_who_slept_through_another_roll_out_does_not_switch(desk: Desk, graph: GraphStore) -> None:
    """Nobody holds the right any more, and the graph names the other's model."""
    shop = desk.shop
    directory = write_model(shop.settings.models_dir, ITEMS, SECOND, seed=2)

    def slept(done: int, total: int) -> None:
        if done == total:
            shop.client.delete(keys.ROLL_OUT)
            put_in_service(shop, graph, shop.settings.models_dir / FIRST, FIRST)

    with pytest.raises(RollOutUnderWayError):
        roll_out(directory, {}, FakeEncoder(SECOND), graph, shop.serving, shop.settings, slept)
    manifest, _ = shop.serving.head()
    assert manifest
    assert manifest.model_version == graph.read(reads.fetch_model_in_service) == FIRST
    assert not shop.serving.rolling_out()
    with pytest.raises(RollOutUnderWayError):
        shop.serving.roll_out(SECOND, "whose right is over")


def test_what_is_resumed_reverts_nothing(desk: Desk, graph: GraphStore, query: Any) -> None:
    """Of a roll-out that was overtaken by a whole one nothing is done any more."""
    shop = desk.shop
    write_model(shop.settings.models_dir, ITEMS, SECOND, seed=2)
    put_in_service(shop, graph, shop.settings.models_dir / SECOND, SECOND)
    before = revisions(query)
    for version in (FIRST, SECOND):
        directory = shop.settings.models_dir / version
        encoder = FakeEncoder(version)
        roll_out(directory, {}, encoder, graph, shop.serving, shop.settings, resume=True)
    assert graph.read(reads.fetch_model_in_service) == SECOND
    assert revisions(query) == before
    graph.write(lambda tx: learned.put_model_in_service(tx, FIRST))
    directory = shop.settings.models_dir / FIRST
    roll_out(directory, {}, FakeEncoder(FIRST), graph, shop.serving, shop.settings, resume=True)
    manifest, _ = shop.serving.head()
    assert manifest
    assert manifest.model_version == FIRST


@pytest.mark.parametrize("known", [True, False])
def test_an_embedding_stands_only_when_it_is_known_what_was_read(
    desk: Desk, graph: GraphStore, query: Any, *, known: bool
) -> None:
    """After a roll-out that somebody else began, the next event has an item encoded."""
    shop = desk.shop
    directory = shop.settings.models_dir / FIRST
    facts = "MATCH (i:Item) RETURN i.item_id AS id, i.facts_revision AS facts"
    trained_on = {row["id"]: row["facts"] for row in query(facts)} if known else None
    encoder = FakeEncoder(FIRST)
    roll_out(directory, {}, encoder, graph, shop.serving, shop.settings, trained_on=trained_on)
    stands = "MATCH (i:Item) WHERE i.item_id IN $ids RETURN i.encoded_revision IS NOT NULL AS it"
    assert {row["it"] for row in query(stands, ids=list(ITEMS))} == {known}
