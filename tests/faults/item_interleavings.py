"""Refreshes of one item between what may happen to it, step by step on a real graph.

A step is a transaction: an event, a document, a neighbour that moved or is deleted, a mark, a delta
that Redis loses; and of a refresh reading revisions, counting events, reading the neighbourhood,
writing.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import orjson

from interest_graph.entry import Entry
from interest_graph.event import parse_event
from interest_graph.graph import learned, reads
from interest_graph.ingest import write_entries
from interest_graph.item_matrix import ItemDelta, ItemMatrix
from interest_graph.item_neighborhood import item_subgraph, text_embeddings
from interest_graph.refresh_items import MOVED_BIAS, MOVED_EMBEDDING, refresh_items
from tests.faults.interleavings import Stepping, Turns
from tests.integration.fake_encoder import FakeEncoder
from tests.integration.published_directory import DIM, FIRST, WIDTH

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

    from interest_graph.graph.store import GraphStore
    from interest_graph.settings import Settings

ITEM = "item"
NEIGHBORS = ("n-0", "n-1", "n-2", "n-3")
REFRESHERS, REFRESHES, REFRESHER_STEPS, HAPPENINGS = 3, 2, 6, 6
ROUNDS = 4
NOW = 1_760_000_000

EMPTY = "MATCH (n) WHERE NOT n:SchemaMigration DETACH DELETE n"
MODEL = "CREATE (:Model {model_version: $version, in_service: true})"
MOVE = "MATCH (i:Item {item_id: $id}) SET i.embedding = $embedding, i.model_version = $version"
LINK = """
MATCH (i:Item {item_id: $id}), (n:Item) WHERE n.item_id IN $others
CREATE (i)-[:SIMILAR_TO {weight: 1.0, evidence: 0.0, model_version: $version}]->(n)"""
STATE = """
MATCH (i:Item {item_id: $id})
RETURN i.facts_revision AS facts, i.refreshed_revision AS refreshed, i.embedding AS embedding,
  i.popularity AS popularity, i.stale_since IS NOT NULL AS stale"""


@dataclass
class Published:
    """What is published, in memory: for a refresh the serving state and the shelf in one."""

    deltas: list[ItemDelta] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.model_version = FIRST
        self.matrix = self._matrix()

    def head(self) -> tuple[None, int]:
        """There is only this."""
        return None, 0

    def current(self, _: object) -> Published:
        """The model with its matrix."""
        return self

    def publish(self, delta: ItemDelta) -> int:
        """Number a delta and apply it."""
        self.deltas.append(replace(delta, epoch=len(self.deltas) + 1))
        self.matrix.apply(self.deltas[-1])
        return len(self.deltas)

    def lose(self) -> None:
        """What a Redis that dies with `everysec` may have lost: the newest delta."""
        del self.deltas[-1:]
        self.matrix = self._matrix()

    def _matrix(self) -> ItemMatrix:
        shape = len(NEIGHBORS), WIDTH
        matrix = ItemMatrix(
            FIRST,
            [*NEIGHBORS],
            np.zeros((len(NEIGHBORS), DIM), np.float32),
            np.zeros(len(NEIGHBORS), np.float32),
            np.full(shape, -1, np.int32),
            np.zeros(shape, np.float32),
        )
        for delta in self.deltas:
            matrix.apply(delta)
        return matrix


class World:
    """An item among four neighbours, and what may happen.

    Args:
        graph: Emptied first.
        settings: Of events.
        chance: Decides what happens.
    """

    def __init__(self, graph: GraphStore, settings: Settings, chance: random.Random) -> None:
        self.graph, self.settings, self.chance = graph, settings, chance
        self.published, self.encoder = Published(), FakeEncoder()
        self.happened: list[str] = []
        others = [self.document, self.move, self.mark, self.delete, self.lose]
        self._others = chance.sample(others, 2)
        self._count = 0
        self._run(EMPTY)
        self._run(MODEL, version=FIRST)
        for item_id in (*NEIGHBORS, ITEM):
            self._document(item_id)
        for item_id in NEIGHBORS:
            self._move(item_id)
        self._run(LINK, id=ITEM, others=[*NEIGHBORS], version=FIRST)
        self.settle()

    def happen(self) -> None:
        """An event, or one of the two other things that may happen in this world."""
        what = self.chance.choice([self.event, *self._others])
        self.happened.append(what.__name__)
        what()

    def event(self) -> None:
        """Somebody views the item."""
        self._count += 1
        body = {"event_id": f"e-{self._count}", "user_id": "u", "item_id": ITEM}
        event = parse_event({**body, "event_type": "view"}, self.settings)
        self._ingest(Entry("0-1", "event", event.to_json()))

    def document(self) -> None:
        """The item has another title."""
        self._document(ITEM)

    def move(self) -> None:
        """A neighbour is refreshed and moves; with whatever else it leans on the item is marked."""
        neighbor = self.chance.choice(NEIGHBORS)
        embedding = [self.chance.random() for _ in range(DIM)]

        def moved(tx: Any) -> None:
            tx.run(MOVE, id=neighbor, embedding=embedding, version=FIRST).consume()
            learned.mark_neighbors_stale(tx, [neighbor], 50)

        self.graph.write(moved)

    def mark(self) -> None:
        """A roll-out marks everything."""
        self.graph.write(lambda tx: learned.mark_items_stale(tx, "", 99))

    def delete(self) -> None:
        """A neighbour leaves the catalogue, which marks nobody."""
        self._count += 1
        gone = self.chance.choice(NEIGHBORS).encode()
        self._ingest(Entry("0-1", "delete_item", gone, self._count))

    def lose(self) -> None:
        """Redis loses a delta, which marks nobody."""
        self.published.lose()

    def refresh(self, graph: Any = None) -> list[str]:
        """One task of an update worker."""
        return refresh_items(
            [ITEM],
            cast("GraphStore", graph or self.graph),
            cast("Any", self.published),
            cast("Any", self.published),
            self.encoder,
            self.settings,
            now=NOW,
        )

    def settle(self) -> None:
        """Refresh until the item is fresh: twice when its edges were chosen anew."""
        for _ in range(ROUNDS):
            self.refresh()
        assert not self.state()["stale"], self.happened

    @property
    def unmarked(self) -> bool:
        """Whether something happened that the item's next event is to mend."""
        return not {"delete", "lose"}.isdisjoint(self.happened)

    def state(self) -> dict[str, Any]:
        """What the graph says of the item."""
        (row,) = self._run(STATE, id=ITEM)
        return row

    def check_encoding(self) -> None:
        """Graph and matrix hold what encoding text and neighbours anew gives, and the bias."""
        rows = self.graph.read(
            lambda tx: reads.fetch_item_subgraph(tx, [ITEM], self.encoder.num_neighbors)
        )
        rows = [{**row, "text_embedding": None} for row in rows]
        texts = text_embeddings(rows, self.encoder)
        encoding = self.encoder.encode_items(
            item_subgraph(rows, texts, self.encoder, self.settings, NOW)
        )
        row = self.published.matrix.row_of[ITEM]
        for embedding in (self.state()["embedding"], self.published.matrix.embeddings[row]):
            gap = np.abs(np.float32(embedding) - encoding.embeddings[0]).max()
            assert gap <= MOVED_EMBEDDING, (self.happened, gap)
        assert abs(self.published.matrix.bias[row] - encoding.bias[0]) <= MOVED_BIAS, self.happened

    def _document(self, item_id: str) -> None:
        self._count += 1
        body = {"item_id": item_id, "title": f"Title {self._count}", "hidden": False}
        self._ingest(Entry("0-1", "item", orjson.dumps(body), self._count))

    def _move(self, item_id: str) -> None:
        embedding = [self.chance.random() for _ in range(DIM)]
        self._run(MOVE, id=item_id, embedding=embedding, version=FIRST)

    def _ingest(self, entry: Entry) -> None:
        self.graph.write(lambda tx: write_entries(tx, [entry], self.settings))

    def _run(self, text: str, **parameters: object) -> list[dict[str, Any]]:
        return self.graph.write(lambda tx: tx.run(text, parameters).data())


def play(graph: GraphStore, settings: Settings, chance: random.Random) -> None:
    """Refreshers and what happens take their steps in a random order; the checks hold.

    Raises:
        AssertionError: A mark was lost, something older replaced something newer, or an embedding
            is not that of the facts.
    """
    world = World(graph, settings, chance)

    def refresher(stepped: Callable[[], None]) -> None:
        for _ in range(REFRESHES):
            world.refresh(Stepping(graph, stepped))

    def happenings(stepped: Callable[[], None]) -> None:
        for _ in range(HAPPENINGS):
            world.happen()
            stepped()

    turns = Turns([*([refresher] * REFRESHERS), happenings])
    newest = 0
    for program in _order(chance):
        turns.step(program)
        newest = _check(world, newest)
    turns.finish()
    assert not turns.errors, (world.happened, turns.errors)
    if world.unmarked:
        world.event()
    world.settle()
    world.check_encoding()


def _order(chance: random.Random) -> Sequence[int]:
    """Whose turn it is, each time."""
    order = [*range(REFRESHERS)] * REFRESHER_STEPS + [REFRESHERS] * HAPPENINGS
    chance.shuffle(order)
    return order


def _check(world: World, newest: int) -> int:
    """What holds at every moment; returns the refreshed revision."""
    now = world.state()
    assert newest <= now["refreshed"] <= now["facts"], (world.happened, now)
    assert now["stale"] == (now["refreshed"] < now["facts"]), (world.happened, now)
    if not now["stale"] and not world.unmarked:
        world.check_encoding()
    return int(now["refreshed"])
