"""Refreshes stale items: one step of the seed formula from the frozen state around each."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .errors import ServingStateUnavailableError
from .graph import learned, reads
from .item import content_hash, item_text
from .item_matrix import ItemDelta
from .item_neighborhood import (
    Floats,
    ItemEncoder,
    described_as,
    edge_features,
    item_subgraph,
    popularity_now,
    text_embeddings,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import neo4j

    from .graph.store import GraphStore, Row
    from .item_matrix import ItemMatrix
    from .published_model import ModelShelf, PublishedModel
    from .serving_state import ServingState
    from .settings import Settings
    from .subgraph import ItemEncoding, ItemSubgraph

MOVED_EMBEDDING = 1e-6
MOVED_BIAS = 1e-2
MARKED_PER_ITEM = 50


def refresh_items(
    item_ids: Sequence[str],
    graph: GraphStore,
    serving: ServingState,
    shelf: ModelShelf,
    encoder: ItemEncoder,
    settings: Settings,
    now: float | None = None,
) -> list[str]:
    """Refresh those of the items that are stale, write them back and publish what moved.

    Args:
        item_ids: Items that may be stale.
        graph: The graph.
        serving: Where the delta is published.
        shelf: Holds the published model, which tells what moved.
        encoder: The published model's encoder; of another model it writes nothing.
        settings: Bounds on neighbours and edges.
        now: The moment that popularity is brought to; by default the clock's.

    Returns:
        The ids written.

    Raises:
        TransientError: Neo4j or Redis is away; the items stay stale.
    """
    moment = time.time() if now is None else now
    refresh = _Refresh(graph, serving, shelf, encoder, settings, moment)
    revisions = graph.read(lambda tx: reads.fetch_item_revisions(tx, item_ids))
    stale = {
        item_id: row["facts_revision"]
        for item_id, row in revisions.items()
        if row["facts_revision"] > row["refreshed_revision"]
    }
    if not stale:
        return []
    matrix = refresh.published().matrix
    by_events = [i for i in sorted(stale) if _embedding_stands(revisions[i], matrix)]
    counted = refresh.count_events(by_events)
    rest = {item_id: facts for item_id, facts in stale.items() if item_id not in counted}
    return sorted(counted | refresh.encode(rest, matrix.neighbor_rows.shape[1]))


@dataclass(frozen=True, slots=True)
class _Refresh:
    """One refresh: what `refresh_items` was given, and its two ways."""

    graph: GraphStore
    serving: ServingState
    shelf: ModelShelf
    encoder: ItemEncoder
    settings: Settings
    now: float

    def published(self) -> PublishedModel:
        """The published model, with every delta so far."""
        return self.shelf.current(self.serving.head()[0])

    def count_events(self, item_ids: Sequence[str]) -> set[str]:
        """Refresh those items that nothing but events made stale: their embedding stands as it is.

        Popularity has no part in an embedding, so neither text nor neighbours need be read. Whether
        something else changed is seen under the lock of the same transaction; such items are left.

        Returns:
            The ids refreshed.
        """
        if not item_ids:
            return set()

        def count_and_publish(tx: neo4j.ManagedTransaction) -> set[str]:
            rows = learned.count_events(tx, item_ids, self.encoder.model_version)
            if not rows:
                return set()
            stored = [row["item_id"] for row in rows]
            matrix = self.published().matrix
            if not matrix.row_of.keys() >= set(stored):
                msg = "the published items are fewer than a moment ago"
                raise ServingStateUnavailableError(msg)
            bias = self.encoder.bias(popularity_now(rows, self.settings, self.now))
            before = matrix.bias[[matrix.row_of[item_id] for item_id in stored]]
            moved = np.abs(before - bias) > MOVED_BIAS
            if moved.any():
                ids = [item_id for item_id, far in zip(stored, moved, strict=True) if far]
                self.serving.publish(matrix.delta(ids, bias[moved]))
            return set(stored)

        return self.graph.write(count_and_publish)

    def encode(self, stale: dict[str, int], width: int) -> set[str]:
        """Refresh items by their texts and neighbours.

        Args:
            stale: The facts revision of each, read before this.
            width: How many edges leave an item at most.

        Returns:
            The ids written; the rest had something newer.
        """
        if not stale:
            return set()
        encoder = self.encoder
        limit = max(encoder.num_neighbors + 1, width)
        rows = self.graph.read(lambda tx: reads.fetch_item_subgraph(tx, sorted(stale), limit))
        texts = text_embeddings(rows, encoder)
        subgraph = item_subgraph(rows, texts, encoder, self.settings, self.now)
        encoding = encoder.encode_items(subgraph)

        def write_and_publish(tx: neo4j.ManagedTransaction) -> set[str]:
            """Publish before the commit, while the items are locked: see `docs/adr`."""
            written, similar = _write(tx, rows, stale, subgraph, encoding, encoder, width)
            latest = self.published()
            moved = _moved(subgraph, encoding, latest, written, similar)
            if moved:
                version = encoder.model_version
                self.serving.publish(_delta(moved, rows, encoding, similar, latest.matrix, version))
            far = _far(rows, encoding, written, self.settings.refresh_epsilon)
            if linked := sorted(item_id for item_id, edges in similar.items() if edges):
                learned.mark_items_again(tx, linked)  # chosen by embeddings without them: once more
            if far:
                learned.mark_neighbors_stale(tx, far, MARKED_PER_ITEM)
            return written

        return self.graph.write(write_and_publish)


def _write(
    tx: neo4j.ManagedTransaction,
    rows: Sequence[Row],
    stale: dict[str, int],
    subgraph: ItemSubgraph,
    encoding: ItemEncoding,
    encoder: ItemEncoder,
    width: int,
) -> tuple[set[str], dict[str, list[Row]]]:
    """Write embeddings, and new SIMILAR_TO for items that are described differently now."""
    torn = _torn(tx, rows, encoder.model_version)
    written = set(
        learned.write_item_embeddings(
            tx,
            [
                {
                    "item_id": row["item_id"],
                    "read_revision": stale[row["item_id"]],
                    "as_read": True,
                    "embedding": encoding.embeddings[position].astype(np.float64).tolist(),
                    "text_embedding": subgraph.text_embeddings[position].astype("<f4").tobytes(),
                    "content_hash": content_hash(
                        item_text(row["title"], row["description"]), encoder.text_version
                    ),
                    "categories": [
                        {"category_id": c, "weight": weight}
                        for c, weight in encoding.category_weights[position]
                    ],
                }
                for position, row in enumerate(rows)
                if row["item_id"] not in torn
            ],
            encoder.model_version,
        )
    )
    changed = {
        row["item_id"]: (row, encoding.embeddings[position])
        for position, row in enumerate(rows)
        if row["item_id"] in written and _described_anew(row, encoder.model_version)
    }
    if not changed:
        return written, {}
    similar = _similar(tx, changed, encoder, width)
    learned.replace_similar_items(
        tx,
        [
            {
                "item_id": item_id,
                "described_as": described_as(row, encoder.model_version),
                "similar": similar[item_id],
            }
            for item_id, (row, _) in changed.items()
        ],
        encoder.model_version,
    )
    return written, similar


def _described_anew(row: Row, model_version: str) -> bool:
    """Whether an item is described otherwise than when its SIMILAR_TO were chosen."""
    return bool(row["known"]) and row["described_as"] != described_as(row, model_version)


def _torn(tx: neo4j.ManagedTransaction, rows: Sequence[Row], model_version: str) -> set[str]:
    """Items that seem described anew, and under a lock are described otherwise than they were read.

    What is read while a document is written may lack its categories: old ones are gone, new ones
    not there yet. Such an item has become stale by the document, and is left for its next refresh.
    """
    read = {
        row["item_id"]: described_as(row, model_version)
        for row in rows
        if _described_anew(row, model_version)
    }
    if not read:
        return set()
    learned.lock_items(tx, sorted(read))
    now = reads.fetch_item_subgraph(tx, sorted(read), 0)
    return set(read) - {
        row["item_id"] for row in now if described_as(row, model_version) == read[row["item_id"]]
    }


def _similar(
    tx: neo4j.ManagedTransaction,
    changed: dict[str, tuple[Row, Floats]],
    encoder: ItemEncoder,
    width: int,
) -> dict[str, list[Row]]:
    """The strongest edges of each item among those it has and the nearest embeddings."""
    pairs: list[tuple[str, str]] = []
    for item_id, (row, embedding) in changed.items():
        candidates = {neighbor["item_id"] for neighbor in row["neighbors"]}
        if np.linalg.norm(embedding) > 0:
            nearest = reads.find_nearest_items(
                tx, embedding.tolist(), width + 1, encoder.model_version
            )
            candidates |= {candidate for candidate, _ in nearest}
        # An edge to itself ("again") is learned in training only; a new item has none.
        again = {item_id} & {neighbor["item_id"] for neighbor in row["neighbors"]}
        pairs += [(item_id, candidate) for candidate in sorted(candidates - {item_id} | again)]
    result: dict[str, list[Row]] = {item_id: [] for item_id in changed}
    features = reads.fetch_edge_features(tx, pairs) if pairs else []
    if features:
        weights = encoder.edge_weights(edge_features(features, encoder.text_dim))
        for feature, weight in zip(features, weights, strict=True):
            result[feature["source_id"]].append(
                {
                    "item_id": feature["target_id"],
                    "weight": float(weight),
                    "evidence": feature["evidence"],
                }
            )
    for item_id, edges in result.items():
        edges.sort(key=lambda edge: (-edge["weight"], edge["item_id"]))
        result[item_id] = edges[:width]
    return result


def _far(
    rows: Sequence[Row], encoding: ItemEncoding, written: set[str], epsilon: float
) -> list[str]:
    """The written items whose embedding moved by more than epsilon."""
    return [
        row["item_id"]
        for row, embedding in zip(rows, encoding.embeddings, strict=True)
        if row["item_id"] in written and _distance(row, embedding) > epsilon
    ]


def _embedding_stands(row: Row, matrix: ItemMatrix) -> bool:
    """Whether events alone made an item stale whose embedding is the published one.

    It is not where Redis lost a delta: such an item is encoded, which publishes all of it.
    """
    published = matrix.row_of.get(row["item_id"])
    if not row["by_events"] or published is None:
        return False
    return _distance(row, matrix.embeddings[published]) <= MOVED_EMBEDDING


def _distance(row: Row, embedding: Floats) -> float:
    """How far an embedding moved from the stored one; infinitely when there was none."""
    if row["embedding"] is None or len(row["embedding"]) != len(embedding):
        return float("inf")
    return float(np.abs(np.asarray(row["embedding"], dtype=np.float32) - embedding).max())


def _moved(
    subgraph: ItemSubgraph,
    encoding: ItemEncoding,
    model: PublishedModel,
    written: set[str],
    similar: dict[str, list[Row]],
) -> list[int]:
    """Positions of the written items that differ from what is published."""
    matrix = model.matrix
    moved = []
    for position, item_id in enumerate(subgraph.item_ids):
        if item_id not in written:
            continue
        row = matrix.row_of.get(item_id)
        if (
            row is None
            or item_id in similar
            or _differs(matrix.embeddings[row], encoding.embeddings[position])
            or abs(matrix.bias[row] - encoding.bias[position]) > MOVED_BIAS
        ):
            moved.append(position)
    return moved


def _differs(published: Floats, embedding: Floats) -> bool:
    """Whether an embedding moved by more than the rounding of another batch."""
    return bool(np.abs(published - embedding).max() > MOVED_EMBEDDING)


def _delta(
    positions: Sequence[int],
    rows: Sequence[Row],
    encoding: ItemEncoding,
    similar: dict[str, list[Row]],
    matrix: ItemMatrix,
    model_version: str,
) -> ItemDelta:
    """What is published of the items at these positions; it is numbered when published.

    An embedding that did not move is published as it stands in the matrix, to the bit: whoever
    has read histories with it need not read them again for a popularity that moved.
    """
    item_ids = [rows[position]["item_id"] for position in positions]
    embeddings = encoding.embeddings[list(positions)]
    for place, item_id in enumerate(item_ids):
        row = matrix.row_of.get(item_id)
        if row is not None and not _differs(matrix.embeddings[row], embeddings[place]):
            embeddings[place] = matrix.embeddings[row]
    edges = [
        similar[item_id] if item_id in similar else rows[position]["neighbors"]
        for position, item_id in zip(positions, item_ids, strict=True)
    ]
    return ItemDelta(
        epoch=0,
        model_version=model_version,
        item_ids=item_ids,
        embeddings=embeddings,
        bias=encoding.bias[list(positions)],
        neighbor_ids=[[edge["item_id"] for edge in one] for one in edges],
        neighbor_weights=[[float(edge["weight"]) for edge in one] for one in edges],
    )
