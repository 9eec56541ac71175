"""A trained model that the tests of this folder share."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from synthetic import make_graph

from models.training import train
from models.training_config import Progress, TrainingConfig

if TYPE_CHECKING:
    from interest_graph.interaction_graph import InteractionGraph
    from models.training import TrainingResult


def small_config() -> TrainingConfig:
    """A configuration that trains the small shop in seconds."""
    config = TrainingConfig(dim=16, max_events=10, similar_items=8, num_neighbors=5, folds=2)
    return replace(config, fit=replace(config.fit, epochs=4, patience=4, learning_rate=3e-3))


@pytest.fixture(scope="session")
def shop() -> InteractionGraph:
    return make_graph()


@pytest.fixture(scope="session")
def trained(
    shop: InteractionGraph, tmp_path_factory: pytest.TempPathFactory
) -> tuple[TrainingResult, list[Progress]]:
    """The small shop's model, and what its training reported."""
    steps: list[Progress] = []
    config = replace(small_config(), log_dir=tmp_path_factory.mktemp("logs"))
    directory = tmp_path_factory.mktemp("models")
    return train(shop, config, directory, {}, steps.append), steps
