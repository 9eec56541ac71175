"""The defaults of a shop, compared with what else there is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from synthetic import make_graph

from models.evaluation import shop_defaults
from models.evaluation.contenders import contenders
from models.evaluation.context import Context
from models.evaluation.metrics import evaluate
from models.evaluation.splits import temporal
from models.training_config import TrainingConfig

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

NAME = "interest_graph_shop_defaults"
SHOP = make_graph(users=12, events=12)
CONFIG = TrainingConfig()


def encode(texts: Sequence[str]) -> np.ndarray:
    """The same embedding of every text."""
    return np.ones((len(texts), 12), np.float32)


CONTEXT = Context(lambda: encode(SHOP.item_texts), encode)


def test_it_is_fitted_by_the_configuration_of_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of it is tuned or set by the evaluation; a refit takes what the first fit found."""
    fit = replace(CONFIG.fit, epochs=1, epoch_steps=2)
    monkeypatch.setattr(shop_defaults, "TrainingConfig", lambda: replace(CONFIG, fit=fit))
    (one,) = contenders([NAME], Context(CONTEXT.text_embeddings, encode, tuned={NAME: {}}))
    assert one.defaults["several"]["dim"] == CONFIG.dim
    assert one.defaults["several"]["fit"]["epochs"] < one.defaults["next_item"]["fit"]["epochs"]
    split = temporal(SHOP, 0.2, 0.2, 100, 0)
    first = one.fit(split.train, one.defaults, 0, split.check)
    assert set(first.found) >= {"evidence", "best_epochs", "blend"}
    again = one.fit(split.known, {**one.defaults, **first.found}, 0, None)
    assert again.found["evidence"] == first.found["evidence"]
    assert again.found["popularity_half_life_days"] == CONFIG.popularity_half_life_days
    assert evaluate(again.ranker, split.test).metrics["cases"] > 0


def test_it_runs_when_it_is_named_and_is_no_baseline() -> None:
    """It is ours, and not among all contenders."""
    assert NAME not in [one.name for one in contenders(None, CONTEXT)]
    assert [one.name for one in contenders([NAME], CONTEXT)] == [NAME]
