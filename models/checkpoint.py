"""Published models: an immutable directory with everything that serving and refreshing need."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from torch import Tensor

from interest_graph.errors import CheckpointError
from interest_graph.item_matrix import with_spare_rows

from .graph_encoder import GraphEncoderConfig
from .interest_encoder import InterestEncoderConfig
from .item_table import Identities, ItemTable
from .recommender import Recommender, RecommenderConfig, neighbor_evidence, neighbor_lists

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .item_graph import ItemEdges

FORMAT = 5


@dataclass(frozen=True, slots=True)
class PublishedModel:
    """What a directory holds for refreshing items.

    Args:
        config: `config.json`.
        model: The weights, in evaluation mode.
        identities: What has a learned identity.
        refinements: Learned refinement of each edge, by (source item_id, target item_id).
    """

    config: dict[str, Any]
    model: Recommender
    identities: Identities
    refinements: dict[tuple[str, str], float]


def publish(
    models_dir: Path,
    model: Recommender,
    *,
    item_ids: list[str],
    table: ItemTable,
    edges: ItemEdges,
    edge_weights: Tensor,
    embeddings: Tensor,
    identities: Identities,
    config: Mapping[str, Any],
    metrics: Mapping[str, Any],
    text_encoder: Path | None = None,
) -> Path:
    """Write a model's directory; it appears under its name only when it is complete.

    Args:
        models_dir: Where published models stand.
        model: The trained model.
        item_ids: Items in row order.
        table: The items as the model reads them.
        edges: The item graph.
        edge_weights: (E,) the weights of its edges.
        embeddings: (items, dim), the fixed point.
        identities: What has a learned identity.
        config: What else `config.json` says: text model, event types, hyperparameters.
        metrics: `metrics.json`.
        text_encoder: Directory of a tuned text encoder, which is moved into the model's.

    Returns:
        The directory, named by the model's version: time and eight digits of the weights' hash.
    """
    models_dir.mkdir(parents=True, exist_ok=True)
    tensors = {name: value.cpu().numpy() for name, value in model.state_dict().items()}
    weights = {name: np.ascontiguousarray(value) for name, value in tensors.items()}
    now = datetime.now(UTC)
    version = f"{now:%Y%m%dT%H%M%SZ}-{_digest(weights)}"
    work = Path(tempfile.mkdtemp(prefix=".publishing-", dir=models_dir))
    try:
        save_file(weights, work / "checkpoint.safetensors")
        save_file(model.interest_encoder.tensors(), work / "interest_encoder.safetensors")
        _write_arrays(work, model, table, edges, edge_weights, embeddings)
        _write_json(work / "items.json", item_ids)
        _write_json(work / "identities.json", _identities(identities, item_ids, edges))
        _write_json(work / "metrics.json", metrics)
        if text_encoder is not None:
            shutil.move(text_encoder, work / "text_encoder")
        described = dict(config) | {
            "format": FORMAT,
            "model_version": version,
            "created_at": now.isoformat(),
            "dim": model.config.graph_encoder.dim,
            "text_dim": model.config.graph_encoder.text_dim,
            "graph_encoder": asdict(model.config.graph_encoder),
            "interest_encoder": asdict(model.config.interest_encoder),
            "num_neighbors": table.neighbor_rows.shape[1],
            "metrics": dict(metrics),
        }
        _write_json(work / "config.json", described)
        _write_json(work / "checksums.json", checksums(work))
        work.chmod(0o755)
        return work.rename(models_dir / version)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise


def load_published(directory: Path, device: str = "cpu") -> PublishedModel:
    """Read a published directory for refreshing items.

    Raises:
        CheckpointError: A file is missing, damaged, or of another format.
    """
    try:
        config = orjson.loads((directory / "config.json").read_bytes())
        if config.get("format") != FORMAT:
            msg = f"{directory}: format {config.get('format')}, this program reads {FORMAT}"
            raise CheckpointError(msg)
        known = orjson.loads((directory / "identities.json").read_bytes())
        weights = load_file(directory / "checkpoint.safetensors")
        identities = Identities(
            known["items"],
            known["categories"],
            known["brands"],
            known["words"],
            np.array(known["experience"], dtype=np.float32),
        )
        shape = RecommenderConfig(
            GraphEncoderConfig(**config["graph_encoder"]),
            InterestEncoderConfig(
                **config["interest_encoder"]
                | {"event_weights": tuple(config["interest_encoder"]["event_weights"])}
            ),
        )
        refinement = weights["edge_net.refinement"]
        pairs = zip(known["edge_sources"], known["edge_targets"], strict=True)
        refinements = dict(zip(pairs, refinement.tolist(), strict=True))
        model = Recommender(shape, identities.sizes, edges=len(refinement))
        state = {name: torch.from_numpy(value) for name, value in weights.items()}
        model.load_state_dict(state)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        msg = f"{directory}: cannot read the model: {error}"
        raise CheckpointError(msg) from error
    return PublishedModel(config, model.eval().to(device), identities, refinements)


def checksums(directory: Path) -> dict[str, str]:
    """SHA-256 of every file of a directory but `checksums.json`, by relative path."""
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    return {
        str(path.relative_to(directory)): _sha256(path)
        for path in files
        if path.name != "checksums.json"
    }


def verify(directory: Path) -> None:
    """Check a published directory against its checksums.

    Raises:
        CheckpointError: A file is missing, changed or too many.
    """
    try:
        expected = orjson.loads((directory / "checksums.json").read_bytes())
        found = checksums(directory)
    except (OSError, ValueError) as error:
        msg = f"{directory}: cannot read the checksums: {error}"
        raise CheckpointError(msg) from error
    wrong = sorted(name for name in expected | found if expected.get(name) != found.get(name))
    if wrong:
        msg = f"{directory}: damaged: {', '.join(wrong)}"
        raise CheckpointError(msg)


def _write_arrays(
    work: Path,
    model: Recommender,
    table: ItemTable,
    edges: ItemEdges,
    edge_weights: Tensor,
    embeddings: Tensor,
) -> None:
    """Write what scoring reads."""
    with torch.no_grad():
        bias = model.bias(table.popularity)
    rows, weights = neighbor_lists(edges, edge_weights, len(table))
    arrays = {
        "item_embeddings": with_spare_rows(embeddings.cpu().numpy().astype(np.float32)),
        "item_bias": with_spare_rows(bias.cpu().numpy().astype(np.float32)),
        "neighbor_rows": with_spare_rows(rows.astype(np.int32), -1),
        "neighbor_weights": with_spare_rows(weights),
        "neighbor_evidence": neighbor_evidence(edges, rows),
    }
    for name, array in arrays.items():
        np.save(work / f"{name}.npy", array)


def _identities(identities: Identities, item_ids: list[str], edges: ItemEdges) -> dict[str, Any]:
    """The content of `identities.json`."""
    return {
        "items": identities.items,
        "categories": identities.categories,
        "brands": identities.brands,
        "words": identities.words,
        "experience": identities.experience.tolist(),
        "edge_sources": [item_ids[row] for row in edges.source],
        "edge_targets": [item_ids[row] for row in edges.target],
    }


def _write_json(path: Path, content: Any) -> None:
    """Write JSON and make sure that it is on disk."""
    with path.open("wb") as file:
        file.write(orjson.dumps(content))
        file.flush()
        os.fsync(file.fileno())


def _digest(weights: Mapping[str, np.ndarray[Any, Any]]) -> str:
    """Eight hexadecimal digits of the SHA-256 of all weights."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode())
        digest.update(weights[name].tobytes())
    return digest.hexdigest()[:8]


def _sha256(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
