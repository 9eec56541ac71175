"""The model without a part each still fits and ranks, and really lacks the part."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from synthetic import make_graph

from models.evaluation.ablation import PARTS, leave_out
from models.evaluation.contenders import ABLATIONS, contenders
from models.evaluation.context import Context
from models.evaluation.interest_graph import InterestGraph
from models.evaluation.metrics import evaluate
from models.evaluation.splits import leave_one_out
from models.fit_data import Texts
from models.training_config import TrainingConfig

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.evaluation.interest_graph import TrainedModel

SHOP = make_graph(users=12, events=12)
SMALL = {"dim": 8, "max_events": 10, "similar_items": 6, "epochs": 1, "folds": 2}


def encode(texts: Sequence[str]) -> np.ndarray:
    """Random but fixed embeddings; "" has zeros."""
    rng = np.random.default_rng(0)
    said = np.array([[bool(text)] for text in texts])
    return (rng.normal(0, 1, (len(texts), 12)) * said).astype(np.float32)


CONTEXT = Context(lambda: encode(SHOP.item_texts), encode)


def trained(part: str | None) -> TrainedModel:
    """The model without a part, after one epoch."""
    contender = InterestGraph(CONTEXT, part)
    return contender.trained(SHOP, {**contender.defaults, **SMALL}, 0, None)


@pytest.mark.parametrize("part", [None, *PARTS])
def test_every_ablation_fits_and_ranks(part: str | None) -> None:
    """Without any part a fit ends and scores all items."""
    split = leave_one_out(SHOP)
    assert evaluate(trained(part).ranker, split.test).metrics["cases"] == 12


def test_the_part_is_gone() -> None:
    """Each ablation lacks the parameters, edges or inputs it is named for."""
    fitted = trained("time").fitted.model.interest_encoder
    assert not fitted.gamma_age.any()
    fitted = trained("attention").fitted.model.interest_encoder
    assert not any(
        table.any() for table in (fitted.alpha_rank, fitted.alpha_age, fitted.alpha_type)
    )
    assert fitted.gamma_rank.any()
    assert not len(trained("item_graph").fitted.edge_weights)
    assert trained("identity").fitted.model.graph_encoder.identity["item"].shape == (0, 8)
    texts = Texts(*(encode(["a"]),) * 3)
    assert not leave_out("text", SHOP, texts, TrainingConfig())[1].items.any()
    graph, _, config = leave_out("graph_encoder", SHOP, texts, TrainingConfig())
    assert not any(graph.item_categories)
    assert config.fit.model.graph_encoder.neighbor_share == 0


def test_an_unknown_part_is_named() -> None:
    """A part that there is not is refused with those there are."""
    with pytest.raises(ValueError, match="soul"):
        InterestGraph(CONTEXT, "soul").fit(SHOP, InterestGraph.defaults, 0, None)


def test_ablations_run_when_they_are_named() -> None:
    """They are not among all contenders, and take what is known of the whole model."""
    assert not set(ABLATIONS) & {one.name for one in contenders(None, CONTEXT)}
    found = {"evidence": {"window": 7}, "blend": {"edges": 2.0}}
    tuned = {"interest_graph": {"hyperparameters": {"dim": 8}, "found": found}}
    (one,) = contenders(["interest_graph_without_text"], Context(tuned=tuned))
    assert one.defaults["dim"] == 8
    assert one.defaults["evidence"] == {"window": 7}
    assert "blend" not in one.defaults  # what a part leaves out changes how loud the others are
