"""A published model in memory, kept current by deltas: what requests and refreshes compute with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .errors import ModelNotReadyError
from .interest import InterestEncoder
from .item_matrix import ItemMatrix

if TYPE_CHECKING:
    from pathlib import Path

    from .serving_state import Manifest, ServingState


@dataclass(frozen=True, slots=True)
class PublishedModel:
    """One model version: its interest encoder and its item matrix at some epoch."""

    model_version: str
    encoder: InterestEncoder
    matrix: ItemMatrix


class ModelShelf:
    """Holds the model in service, and for explanations of earlier answers one other.

    Not for several threads at once: the caller holds a lock while it computes with a model.
    """

    def __init__(self, models_dir: Path, serving: ServingState) -> None:
        self._models_dir = models_dir
        self._serving = serving
        self._current: PublishedModel | None = None
        self._earlier: PublishedModel | None = None

    def current(self, manifest: Manifest | None) -> PublishedModel:
        """The model the manifest names, with every delta up to its epoch.

        Raises:
            ModelNotReadyError: Nothing is published yet.
            CheckpointError: The model's directory is missing or damaged.
        """
        if manifest is None:
            msg = "no model has been published yet: run `interest-graph train`"
            raise ModelNotReadyError(msg)
        if self._current is None or self._current.model_version != manifest.model_version:
            self._current = self._load(manifest.model_version)
        if self._current.matrix.epoch < manifest.epoch:
            self._advance(self._current, manifest.epoch)
        return self._current

    def at(self, model_version: str, epoch: int) -> PublishedModel:
        """A model as it was at an epoch.

        Raises:
            CheckpointError: Its directory is gone.
        """
        for held in (self._current, self._earlier):
            if held and held.model_version == model_version and held.matrix.epoch == epoch:
                return held
        model = self._load(model_version)
        self._advance(model, epoch)
        self._earlier = model
        return model

    def _load(self, model_version: str) -> PublishedModel:
        """Read a published directory; the item matrix is mapped, not copied."""
        directory = self._models_dir / model_version
        encoder = InterestEncoder.load(directory)
        return PublishedModel(model_version, encoder, ItemMatrix.load(directory))

    def _advance(self, model: PublishedModel, epoch: int) -> None:
        """Apply the deltas that are missing."""
        for delta in self._serving.deltas(model.model_version, model.matrix.epoch, epoch):
            model.matrix.apply(delta)
