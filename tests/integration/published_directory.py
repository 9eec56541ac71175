"""Writes small published directories with random weights, as `models.checkpoint` lays them out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import orjson
from safetensors.numpy import save_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

DIM, MAX_EVENTS, TYPES, KNOTS, WIDTH = 8, 6, 6, 5, 4
FIRST = "20260101T000000Z-00000001"
SECOND = "20260102T000000Z-00000002"


def item_names(count: int) -> list[str]:
    """Ids of the items of a small shop."""
    return [f"item-{row:02}" for row in range(count)]


def write_model(
    models_dir: Path, item_ids: Sequence[str], version: str = FIRST, seed: int = 1
) -> Path:
    """Write a directory that `ItemMatrix` and `InterestEncoder` load.

    Args:
        models_dir: Where published models stand.
        item_ids: Items in row order.
        version: The model's version and the directory's name.
        seed: Of all weights.
    """
    rng = np.random.default_rng(seed)
    directory = models_dir / version
    directory.mkdir(parents=True)
    count = len(item_ids)
    neighbor_rows = np.full((count, WIDTH), -1, np.int32)
    for row in range(count):
        degree = int(rng.integers(0, WIDTH + 1))
        others = rng.permutation([other for other in range(count) if other != row])[:degree]
        neighbor_rows[row, : len(others)] = others
    weights = np.where(neighbor_rows >= 0, rng.random(neighbor_rows.shape), 0).astype(np.float32)
    arrays = {
        "item_embeddings": rng.normal(0, 1, (count, DIM)).astype(np.float32),
        "item_bias": rng.normal(0, 1, count).astype(np.float32),
        "neighbor_rows": neighbor_rows,
        "neighbor_weights": weights,
        "neighbor_evidence": weights / 2,
    }
    for name, array in arrays.items():
        np.save(directory / f"{name}.npy", array)
    save_file(_encoder(rng), directory / "interest_encoder.safetensors")
    (directory / "items.json").write_bytes(orjson.dumps(list(item_ids)))
    (directory / "config.json").write_bytes(orjson.dumps({"model_version": version, "dim": DIM}))
    return directory


def _encoder(
    rng: np.random.Generator,
) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    """Tensors of an interest encoder."""
    shapes: dict[str, tuple[int, ...]] = {
        "alpha_rank": (MAX_EVENTS,),
        "alpha_age": (KNOTS,),
        "alpha_type": (TYPES,),
        "gamma_rank": (MAX_EVENTS,),
        "gamma_age": (KNOTS,),
        "gamma_type": (TYPES,),
        "again_rank": (2 * MAX_EVENTS,),
        "again_age": (KNOTS,),
        "again_type": (TYPES,),
        "again_scale": (),
        "score_map": (DIM, DIM),
    }
    return {name: rng.normal(0, 0.5, shape).astype(np.float32) for name, shape in shapes.items()}
