"""Puts a published model in service: into the graph, and then by one write into the manifest."""

from __future__ import annotations

import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import numpy as np
import structlog

from .errors import (
    CheckpointError,
    RollOutUnderWayError,
    ServingStateUnavailableError,
    TransientError,
)
from .graph import learned, reads
from .item import content_hash, item_text
from .item_matrix import ItemMatrix
from .item_neighborhood import described_as, item_subgraph, text_embeddings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from .graph.store import GraphStore, Row
    from .item_neighborhood import CategoryEncoder, Floats
    from .serving_state import ServingState
    from .settings import Settings

BATCH = 500
PATIENCE_S = 600.0
"""How long somebody else's roll-out is waited for: a training may have taken hours."""
AGAIN_S = 2.0

logger = structlog.get_logger(__name__)


def roll_out(
    directory: Path,
    metrics: Mapping[str, float],
    encoder: CategoryEncoder,
    graph: GraphStore,
    serving: ServingState,
    settings: Settings,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
    trained_on: Mapping[str, int] | None = None,
    *,
    resume: bool = False,
) -> None:
    """Put a model in service; repeating it after a crash finishes what was begun.

    The graph names the new model first, so that workers with the old one write nothing more; then
    everything becomes stale and the learned part of every item is replaced; last the manifest
    switches, and with it every answer. Users are refreshed by the update workers. Two at once could
    end with another model in the graph than in the manifest: there is one at a time.

    Args:
        directory: The published directory.
        metrics: What the evaluation said; kept with the model's node.
        encoder: The model's item encoder.
        graph: The graph.
        serving: The serving state.
        settings: Bounds on edges.
        progress: Told (items before those that are read, items in all).
        trained_on: Facts revision of each item when the model read it; one that changed since stays
            stale, for the update workers. None when that is not known any more.
        resume: Only go on with what was begun: nothing is done when, by the time that nobody else
            rolls out, the graph names another model or this one is published.

    Raises:
        CheckpointError: The directory is damaged.
        RollOutUnderWayError: Somebody else rolls out, and goes on for ten minutes or has overtaken
            this one.
        TransientError: Neo4j or Redis is away; workers finish it, see `workers.training`.
    """
    matrix = ItemMatrix.load(directory)
    evidence = _evidence(directory, matrix)
    version = matrix.model_version
    with _right_to_roll_out(serving) as (holder, hold_on):
        if resume and not _unfinished(version, graph, serving):
            return
        graph.write(lambda tx: learned.register_model(tx, version, dict(metrics)))
        graph.write(lambda tx: learned.put_model_in_service(tx, version))
        learned.mark_all_items_stale(graph, hold_on)
        learned.mark_all_users_stale(graph, hold_on)
        with ThreadPoolExecutor(1) as writer:
            written = writer.submit(lambda: None)
            for start in range(0, len(matrix.item_ids), BATCH):
                hold_on()
                progress(start, len(matrix.item_ids))
                batch = [*range(start, min(start + BATCH, len(matrix.item_ids)))]
                rows = _read_items(batch, matrix, evidence, encoder, graph, settings, trained_on)
                written.result()  # one batch is read and encoded while Neo4j writes another
                written = writer.submit(_write_items, *rows, version, graph)
            written.result()
        _write_categories(encoder, graph, settings)
        progress(len(matrix.item_ids), len(matrix.item_ids))
        _switch(version, holder, graph, serving)


def _switch(version: str, holder: str, graph: GraphStore, serving: ServingState) -> None:
    """Publish the model that the graph names, under the right to roll out.

    Raises:
        RollOutUnderWayError: Another one is under way, or was begun and ended while this one slept.
    """
    serving.hold_roll_out(holder)  # it may be over by now, and the graph another's
    if graph.read(reads.fetch_model_in_service) != version:
        raise RollOutUnderWayError
    serving.roll_out(version, holder)


def _unfinished(version: str, graph: GraphStore, serving: ServingState) -> bool:
    """Whether the graph names a model that is not published."""
    manifest, _ = serving.head()
    published = manifest.model_version if manifest else None
    return graph.read(reads.fetch_model_in_service) == version != published


@contextmanager
def _right_to_roll_out(serving: ServingState) -> Iterator[tuple[str, Callable[[], None]]]:
    """Nobody else rolls out meanwhile; yields who does, and what to call now and then to go on."""
    holder = secrets.token_hex(8)
    _wait_for_right(serving, holder)

    def hold_on() -> None:
        with suppress(ServingStateUnavailableError):  # the last write is the one that must see it
            serving.hold_roll_out(holder)

    try:
        yield holder, hold_on
    finally:
        with suppress(TransientError):
            serving.hold_roll_out(holder, 0)


def _wait_for_right(serving: ServingState, holder: str) -> None:
    """Hold the right to roll out as soon as nobody else does."""
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            serving.hold_roll_out(holder)
        except (RollOutUnderWayError, ServingStateUnavailableError) as error:
            if time.monotonic() > until:
                raise
            logger.warning("roll_out_waits", error=str(error))
            time.sleep(AGAIN_S)
        else:
            return


def _evidence(directory: Path, matrix: ItemMatrix) -> Floats:
    """(n, width) evidence of each SIMILAR_TO relationship."""
    try:
        evidence = np.load(directory / "neighbor_evidence.npy", mmap_mode="r")
    except (OSError, ValueError) as error:
        msg = f"{directory}: cannot read the evidence of the item edges: {error}"
        raise CheckpointError(msg) from error
    if evidence.shape != matrix.neighbor_weights.shape:
        msg = f"{directory}: evidence and weights of the item edges differ in shape"
        raise CheckpointError(msg)
    return np.asarray(evidence)


def _read_items(
    batch: list[int],
    matrix: ItemMatrix,
    evidence: Floats,
    encoder: CategoryEncoder,
    graph: GraphStore,
    settings: Settings,
    trained_on: Mapping[str, int] | None,
) -> tuple[list[Row], list[Row]]:
    """What to write of some rows of the matrix: embeddings with BELONGS_TO, and SIMILAR_TO."""
    ids = [matrix.item_ids[row] for row in batch]
    revisions = graph.read(lambda tx: reads.fetch_item_revisions(tx, ids))
    facts = {item_id: int(row["facts_revision"]) for item_id, row in revisions.items()}
    if trained_on is not None:  # marking everything stale added one
        ids = [i for i in ids if i in facts and facts[i] == trained_on.get(i, -1) + 1]
    found = graph.read(lambda tx: reads.fetch_item_subgraph(tx, ids, 0))
    texts = text_embeddings(found, encoder)
    subgraph = item_subgraph(found, texts, encoder, settings, time.time())
    encoding = encoder.encode_items(subgraph)
    items: list[Row] = []
    similar: list[Row] = []
    for position, one in enumerate(found):
        row = matrix.row_of[one["item_id"]]
        items.append(
            {
                "item_id": one["item_id"],
                "read_revision": facts[one["item_id"]],
                "as_read": trained_on is not None,
                "embedding": matrix.embeddings[row].astype(np.float64).tolist(),
                "text_embedding": texts[position].astype("<f4").tobytes(),
                "content_hash": content_hash(
                    item_text(one["title"], one["description"]), encoder.text_version
                ),
                "categories": [
                    {"category_id": c, "weight": w} for c, w in encoding.category_weights[position]
                ],
            }
        )
        similar.append(
            {
                "item_id": one["item_id"],
                "described_as": described_as(one, matrix.model_version),
                "similar": _edges(matrix, evidence, row),
            }
        )
    return items, similar


def _write_items(items: list[Row], similar: list[Row], version: str, graph: GraphStore) -> None:
    """Write embeddings, BELONGS_TO and SIMILAR_TO of some items."""
    graph.write(lambda tx: learned.write_item_embeddings(tx, items, version))
    graph.write(lambda tx: learned.replace_similar_items(tx, similar, version))


def _edges(matrix: ItemMatrix, evidence: Floats, row: int) -> list[Row]:
    """The SIMILAR_TO relationships that leave a row."""
    return [
        {
            "item_id": matrix.item_ids[target],
            "weight": float(matrix.neighbor_weights[row, place]),
            "evidence": float(evidence[row, place]),
        }
        for place, target in enumerate(matrix.neighbor_rows[row].tolist())
        if target >= 0
    ]


def _write_categories(encoder: CategoryEncoder, graph: GraphStore, settings: Settings) -> None:
    """Write RELATED_TO between all categories."""
    categories = graph.read(reads.fetch_categories)
    rows = related_categories(categories, encoder, settings.related_categories)
    for start in range(0, len(rows), BATCH):
        batch = rows[start : start + BATCH]
        graph.write(
            lambda tx, batch=batch: learned.replace_related_categories(  # type: ignore[misc]
                tx, batch, encoder.model_version
            )
        )


def related_categories(categories: list[Row], encoder: CategoryEncoder, count: int) -> list[Row]:
    """For each category the `count` nearest others by the cosine of their embeddings."""
    if len(categories) < 2:  # noqa: PLR2004 one category has no others
        return []
    ids = [category["category_id"] for category in categories]
    vectors = encoder.category_embeddings(ids, [category["path"] for category in categories])
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors / np.maximum(lengths, 1e-12)
    cosine = unit @ unit.T
    np.fill_diagonal(cosine, -np.inf)
    count = min(count, len(ids) - 1)
    nearest = np.argsort(-cosine, axis=1, kind="stable")[:, :count]
    return [
        {
            "category_id": ids[row],
            "related": [
                {"category_id": ids[other], "weight": float(cosine[row, other])}
                for other in nearest[row]
            ],
        }
        for row in range(len(ids))
    ]
