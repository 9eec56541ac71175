"""The item matrix: what scoring needs of every item, in memory, kept current by deltas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
import orjson

from .errors import CheckpointError

if TYPE_CHECKING:
    from pathlib import Path

FOLDED = "+"
SPARE_ROWS = 1024
"""Of new items, at least; written with the arrays, so that a process that maps them has room
without a copy of its own."""


def folds(models_dir: Path, model_version: str) -> dict[int, Path]:
    """Directories of a model's folded item matrices by epoch."""
    found = models_dir.glob(f"{model_version}{FOLDED}*")
    return {int(path.name.rpartition(FOLDED)[2]): path for path in found}


def with_spare_rows(array: npt.NDArray[Any], empty: int = 0) -> npt.NDArray[Any]:
    """An array of all items, and behind it rows for a sixteenth more.

    Args:
        array: (n, …).
        empty: What stands in the rows that no item has yet.
    """
    spare = max(SPARE_ROWS, len(array) // 16)
    return np.concatenate([array, np.full((spare, *array.shape[1:]), empty, array.dtype)])


@dataclass(frozen=True, slots=True)
class ItemDelta:
    """What one refresh changed of the item matrix.

    Args:
        epoch: Number of this delta; the first after publishing has 1.
        model_version: The model that computed it.
        item_ids: The items, n of them; those unknown to a matrix are appended to it.
        embeddings: (n, dim) float32.
        bias: (n,) float32.
        neighbor_ids: For each item the items it leads to, strongest first.
        neighbor_weights: The weights of those edges.
    """

    epoch: int
    model_version: str
    item_ids: list[str]
    embeddings: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]
    neighbor_ids: list[list[str]]
    neighbor_weights: list[list[float]]

    def pack(self) -> bytes:
        """One line of JSON, then embeddings and bias as little-endian float32."""
        head = {
            "epoch": self.epoch,
            "model_version": self.model_version,
            "item_ids": self.item_ids,
            "dim": int(self.embeddings.shape[1]),
            "neighbor_ids": self.neighbor_ids,
            "neighbor_weights": self.neighbor_weights,
        }
        body = self.embeddings.astype("<f4").tobytes() + self.bias.astype("<f4").tobytes()
        return orjson.dumps(head) + b"\n" + body

    @classmethod
    def unpack(cls, packed: bytes) -> Self:
        """Read what `pack` wrote.

        Raises:
            CheckpointError: The bytes are no delta.
        """
        try:
            line, body = packed.split(b"\n", 1)
            head = orjson.loads(line)
            dim, count = int(head.pop("dim")), len(head["item_ids"])
            values = np.frombuffer(body, dtype="<f4").astype(np.float32)
            if len(values) != count * (dim + 1):
                msg = f"{len(values)} numbers for {count} items of {dim}"
                raise ValueError(msg)  # noqa: TRY301 one message for every kind of damage
            embeddings = values[: count * dim].reshape(count, dim)
            return cls(embeddings=embeddings, bias=values[count * dim :], **head)
        except (ValueError, KeyError, TypeError) as error:
            msg = f"not an item delta: {error}"
            raise CheckpointError(msg) from error


class ItemMatrix:
    """Embedding, bias and outgoing item edges of every item, one row an item.

    Args:
        model_version: The model that computed the rows.
        item_ids: The items in row order, n of them.
        embeddings: (n or more, dim) float32; rows behind the n-th are for items to come.
        bias: (n or more,) float32.
        neighbor_rows: (n or more, width) int32: rows of the items that row's item leads to, -1 for
            none.
        neighbor_weights: (n or more, width) float32.

    Raises:
        CheckpointError: The arrays are not of these types and shapes, or an edge leads nowhere.
    """

    def __init__(
        self,
        model_version: str,
        item_ids: list[str],
        embeddings: npt.NDArray[np.float32],
        bias: npt.NDArray[np.float32],
        neighbor_rows: npt.NDArray[np.int32],
        neighbor_weights: npt.NDArray[np.float32],
    ) -> None:
        count, capacity = len(item_ids), len(embeddings)
        lengths = {capacity, len(bias), len(neighbor_rows)}
        if len(lengths) != 1 or count > capacity or neighbor_rows.shape != neighbor_weights.shape:
            msg = "item matrix: the arrays differ in length"
            raise CheckpointError(msg)
        for array in (embeddings, bias, neighbor_rows, neighbor_weights):
            wanted = np.int32 if array is neighbor_rows else np.float32
            if array.dtype != wanted or not array.flags.c_contiguous:
                msg = f"item matrix: an array is not of {np.dtype(wanted)}, row by row"
                raise CheckpointError(msg)
        if neighbor_rows.size and not -1 <= neighbor_rows.min() <= neighbor_rows.max() < count:
            msg = f"item matrix: an edge leads to none of the {count} rows"
            raise CheckpointError(msg)
        self.model_version = model_version
        self.epoch = 0
        self.item_ids = item_ids
        self.row_of = {item_id: row for row, item_id in enumerate(item_ids)}
        own = neighbor_rows == np.arange(capacity, dtype=np.int32)[:, None]
        own_weights = np.where(own, neighbor_weights, np.float32(0)).sum(1)
        changed = np.zeros(capacity, dtype=np.int64)
        self._arrays = (embeddings, bias, neighbor_rows, neighbor_weights, own_weights, changed)

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Map a published directory into memory; processes share the pages they do not change.

        Raises:
            CheckpointError: A file is missing or damaged.
        """
        try:
            config = orjson.loads((directory / "config.json").read_bytes())
            item_ids = orjson.loads((directory / "items.json").read_bytes())
            names = ("item_embeddings", "item_bias", "neighbor_rows", "neighbor_weights")
            embeddings, bias, neighbor_rows, neighbor_weights = (
                # A plain array over the mapped pages: indexing a memmap itself is slow.
                np.asarray(np.load(directory / f"{name}.npy", mmap_mode="c"))
                for name in names
            )
            version, epoch = str(config["model_version"]), int(config.get("epoch", 0))
        except (OSError, ValueError, KeyError, TypeError) as error:
            msg = f"{directory}: cannot read the item matrix: {error}"
            raise CheckpointError(msg) from error
        matrix = cls(version, item_ids, embeddings, bias, neighbor_rows, neighbor_weights)
        matrix.epoch = epoch
        return matrix

    def delta(self, item_ids: list[str], bias: npt.NDArray[np.float32]) -> ItemDelta:
        """Items as they are, to the bit, but for their bias; it is numbered when published.

        Args:
            item_ids: The items, n of them.
            bias: (n,) float32.
        """
        rows = [self.row_of[item_id] for item_id in item_ids]
        leads = [self.neighbor_rows[row] >= 0 for row in rows]
        return ItemDelta(
            epoch=0,
            model_version=self.model_version,
            item_ids=item_ids,
            embeddings=self.embeddings[rows],
            bias=bias,
            neighbor_ids=[
                [self.item_ids[other] for other in self.neighbor_rows[row][known].tolist()]
                for row, known in zip(rows, leads, strict=True)
            ],
            neighbor_weights=[
                self.neighbor_weights[row][known].tolist()
                for row, known in zip(rows, leads, strict=True)
            ],
        )

    def save(self, directory: Path) -> None:
        """Write the matrix as it is, deltas included, into a directory that `load` reads."""
        config = {"model_version": self.model_version, "epoch": self.epoch}
        (directory / "config.json").write_bytes(orjson.dumps(config))
        (directory / "items.json").write_bytes(orjson.dumps(self.item_ids))
        np.save(directory / "item_embeddings.npy", with_spare_rows(self.embeddings))
        np.save(directory / "item_bias.npy", with_spare_rows(self.bias))
        np.save(directory / "neighbor_rows.npy", with_spare_rows(self.neighbor_rows, -1))
        np.save(directory / "neighbor_weights.npy", with_spare_rows(self.neighbor_weights))

    @property
    def embeddings(self) -> npt.NDArray[np.float32]:
        """(n, dim) float32."""
        return self._arrays[0][: len(self.item_ids)]

    @property
    def bias(self) -> npt.NDArray[np.float32]:
        """(n,) float32."""
        return self._arrays[1][: len(self.item_ids)]

    @property
    def neighbor_rows(self) -> npt.NDArray[np.int32]:
        """(n, width) int32, -1 for none."""
        return self._arrays[2][: len(self.item_ids)]

    @property
    def neighbor_weights(self) -> npt.NDArray[np.float32]:
        """(n, width) float32, 0 for none."""
        return self._arrays[3][: len(self.item_ids)]

    @property
    def own_weights(self) -> npt.NDArray[np.float32]:
        """(n,) float32, w_ii: the weight of the edge from an item to itself."""
        return np.asarray(self._arrays[4][: len(self.item_ids)], dtype=np.float32)

    def changed_since(self, epoch: int, rows: npt.NDArray[np.int64]) -> bool:
        """Whether a delta after an epoch has moved the embedding of any of these rows."""
        return bool(len(rows)) and int(self._arrays[5][rows].max()) > epoch

    def moved_since(self, epoch: int) -> npt.NDArray[np.int64]:
        """(m,) int64, rows whose embedding a delta after an epoch has moved, in order."""
        return np.flatnonzero(self._arrays[5][: len(self.item_ids)] > epoch)

    def apply(self, delta: ItemDelta) -> bool:
        """Write the rows of a delta; neighbours that no row stands for are dropped.

        Returns:
            Whether it was new: a delta that was applied before changes nothing.

        Raises:
            CheckpointError: It belongs to another model, or one before it is missing.
        """
        if delta.model_version != self.model_version:
            msg = f"delta of model {delta.model_version}, matrix of {self.model_version}"
            raise CheckpointError(msg)
        if delta.epoch <= self.epoch:
            return False
        if delta.epoch != self.epoch + 1:
            msg = f"delta {delta.epoch} after {self.epoch}: one is missing"
            raise CheckpointError(msg)
        if len(delta.item_ids) and delta.embeddings.shape[1] != self.embeddings.shape[1]:
            msg = f"delta of dimension {delta.embeddings.shape[1]}"
            raise CheckpointError(msg)
        self._append([item_id for item_id in delta.item_ids if item_id not in self.row_of])
        for position, item_id in enumerate(delta.item_ids):
            row = self.row_of[item_id]
            if not np.array_equal(self.embeddings[row], delta.embeddings[position]):
                self.embeddings[row] = delta.embeddings[position]
                self._arrays[5][row] = delta.epoch
            self.bias[row] = delta.bias[position]
            self._link(row, delta.neighbor_ids[position], delta.neighbor_weights[position])
        self.epoch = delta.epoch
        return True

    def _append(self, item_ids: list[str]) -> None:
        """Give new items the rows that are spare; full arrays grow by a quarter, off their file."""
        count = len(self.item_ids) + len(item_ids)
        capacity = len(self._arrays[0])
        if count > capacity:
            spare = max(SPARE_ROWS, count // 4) + count - capacity
            self._arrays = tuple(  # type: ignore[assignment]
                np.concatenate([array, np.zeros((spare, *array.shape[1:]), dtype=array.dtype)])
                for array in self._arrays
            )
            self._arrays[2][capacity:] = -1
        for item_id in item_ids:
            self.row_of[item_id] = len(self.item_ids)
            self.item_ids.append(item_id)

    def _link(self, row: int, neighbor_ids: list[str], weights: list[float]) -> None:
        """Replace the edges that leave a row."""
        known = [
            (self.row_of[neighbor_id], weight)
            for neighbor_id, weight in zip(neighbor_ids, weights, strict=True)
            if neighbor_id in self.row_of
        ][: self.neighbor_rows.shape[1]]
        self.neighbor_rows[row] = -1
        self.neighbor_weights[row] = 0.0
        self.own_weights[row] = dict(known).get(row, 0.0)
        if known:
            rows, values = zip(*known, strict=True)
            self.neighbor_rows[row, : len(known)] = rows
            self.neighbor_weights[row, : len(known)] = values
