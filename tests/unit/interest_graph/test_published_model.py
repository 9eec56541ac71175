"""A published model in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
import pytest

from interest_graph.errors import CheckpointError
from interest_graph.published_model import ModelShelf
from interest_graph.serving_state import Manifest
from tests.integration.published_directory import DIM, FIRST, item_names, write_model

if TYPE_CHECKING:
    from pathlib import Path

    from interest_graph.serving_state import ServingState


def test_embeddings_of_another_width_than_the_encoder_are_a_checkpoint_error(
    tmp_path: Path,
) -> None:
    """A kernel multiplies them and checks nothing: they are compared when both are read."""
    directory = write_model(tmp_path, item_names(3))
    shelf = ModelShelf(tmp_path, cast("ServingState", None))
    assert shelf.current(Manifest(FIRST, 0)).encoder.dim == DIM
    np.save(directory / "item_embeddings.npy", np.ones((3, DIM + 1), np.float32))
    with pytest.raises(CheckpointError, match=f"{DIM + 1} numbers"):
        ModelShelf(tmp_path, cast("ServingState", None)).current(Manifest(FIRST, 0))
