"""A published model in memory, kept current by deltas: what requests and refreshes compute with."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import CheckpointError, DeltaGoneError, ModelNotReadyError
from .interest_encoder import InterestEncoder
from .item_matrix import FOLDED, ItemMatrix, folds

if TYPE_CHECKING:
    from .serving_state import Manifest, ServingState


FOLD_EVERY = 500
"""Deltas after which the item matrix is written anew."""
MOST_DELTAS = 4 * FOLD_EVERY


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
        self._origin = ""

    def current(self, manifest: Manifest | None) -> PublishedModel:
        """The model the manifest names, with every delta up to its epoch.

        Raises:
            ModelNotReadyError: Nothing is published yet.
            CheckpointError: The model's directory is missing or damaged.
        """
        if manifest is None:
            msg = "no model has been published yet: run `interest-graph train`"
            raise ModelNotReadyError(msg)
        if manifest.origin != self._origin:
            self._origin, self._current, self._earlier = manifest.origin, None, None
        model = self._current
        if model is None or not self._leads_to(model, manifest):
            model = self._load(manifest.model_version, manifest.epoch)
        try:
            self._advance(model, manifest.epoch)
        except DeltaGoneError:  # this process slept while deltas were folded
            model = self._load(manifest.model_version, manifest.epoch)
            self._advance(model, manifest.epoch)
        self._current = model
        return model

    def at(self, model_version: str, epoch: int) -> PublishedModel:
        """A model as it was at an epoch.

        Raises:
            CheckpointError: Its directory is gone.
            DeltaGoneError: There is no such epoch, or its deltas are kept no longer.
        """
        for held in (self._current, self._earlier):
            if held and held.model_version == model_version and held.matrix.epoch == epoch:
                return held
        model = self._load(model_version, epoch)
        # The epoch comes from outside: never ask for more deltas than are ever kept.
        if epoch - model.matrix.epoch > MOST_DELTAS:
            msg = f"model {model_version} has no epoch {epoch}"
            raise DeltaGoneError(msg)
        self._advance(model, epoch)
        self._earlier = model
        return model

    def fold(self, model: PublishedModel) -> bool:
        """Write the item matrix with its deltas when they have become many, and drop old ones.

        Deltas since the fold before this one are kept, for processes that are behind and for
        explanations of recent answers. Doing it twice, or at once in two workers, is harmless.

        Returns:
            Whether it was time to.
        """
        found = folds(self._models_dir, model.model_version)
        if model.matrix.epoch < (max(found, default=0) + FOLD_EVERY):
            return False
        target = self._models_dir / f"{model.model_version}{FOLDED}{model.matrix.epoch}"
        work = Path(tempfile.mkdtemp(prefix=".folding-", dir=self._models_dir))
        model.matrix.save(work)
        work.chmod(0o755)
        with contextlib.suppress(OSError):  # another worker was first
            work.rename(target)
        shutil.rmtree(work, ignore_errors=True)
        if found:
            self._serving.drop_deltas(model.model_version, max(found))
        for epoch in sorted(found)[:-1]:
            shutil.rmtree(found[epoch], ignore_errors=True)
        return True

    def _leads_to(self, model: PublishedModel, manifest: Manifest) -> bool:
        """Whether deltas lead from a model to what the manifest names.

        They do not when it is another one, or when the manifest went back to an epoch that this
        process had passed.
        """
        return (
            model.model_version == manifest.model_version and model.matrix.epoch <= manifest.epoch
        )

    def _load(self, model_version: str, epoch: int) -> PublishedModel:
        """Read a published directory, or its newest fold up to an epoch; mapped, not copied."""
        directory = self._models_dir / model_version
        encoder = InterestEncoder.load(directory)
        found = folds(self._models_dir, model_version)
        newest = max((folded for folded in found if folded <= epoch), default=0)
        matrix = ItemMatrix.load(found.get(newest, directory))
        width = matrix.embeddings.shape[1]
        if width != encoder.dim:
            msg = f"{directory}: embeddings have {width} numbers, its encoder {encoder.dim}"
            raise CheckpointError(msg)
        return PublishedModel(model_version, encoder, matrix)

    def _advance(self, model: PublishedModel, epoch: int) -> None:
        """Apply the deltas that are missing."""
        if model.matrix.epoch >= epoch:
            return
        for delta in self._serving.deltas(model.model_version, model.matrix.epoch, epoch):
            model.matrix.apply(delta)
