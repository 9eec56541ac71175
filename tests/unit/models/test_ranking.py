"""What training ranks with, what is published, and what training fits agree with each other."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from synthetic import make_graph

from models.candidates import CandidateSampler
from models.checkpoint import publish
from models.evaluation.cases import Cases, make_cases
from models.evaluation.context import Context
from models.evaluation.interest_graph import InterestGraph
from models.published_ranker import PublishedRanker
from models.ranking import RecommenderRanker
from models.recommender import edge_tensors
from models.sequences import Windows

if TYPE_CHECKING:
    from pathlib import Path

    from models.evaluation.interest_graph import TrainedModel

SHOP = make_graph(users=12, events=40)
SMALL = {
    "dim": 8,
    "max_events": 6,
    "again_events": 25,
    "similar_items": 12,
    "text_edges": 2,
    "epochs": 1,
    "folds": 2,
}


@pytest.fixture(scope="module")
def trained() -> TrainedModel:
    """A small model of a shop where things are taken again."""
    rng = np.random.default_rng(0)
    texts = rng.normal(0, 1, (SHOP.num_items, 16)).astype(np.float32)

    def encode(some: object) -> np.ndarray:
        return rng.normal(0, 1, (len(some), 16)).astype(np.float32)  # type: ignore[arg-type]

    contender = InterestGraph(Context(lambda: texts, encode))
    model = contender.trained(SHOP, {**contender.defaults, **SMALL}, 0, None)
    with torch.no_grad():
        for name, parameter in model.fitted.model.interest_encoder.named_parameters():
            if name.startswith(("gamma", "again", "alpha")):
                parameter.add_(torch.randn_like(parameter) * 0.2)
    return model


def cases() -> Cases:
    """Everybody, at one moment after the last event."""
    cut = float(np.quantile(SHOP.event_time, 0.8))
    found = make_cases(*SHOP.split(cut), cut, 100, 0)
    assert len(found) == 12
    return found


def test_the_published_model_scores_like_the_fitted_one(
    trained: TrainedModel, tmp_path: Path
) -> None:
    """What serves a published directory gives the scores that torch gave: every term of them."""
    data = trained.fit._data
    directory = publish(
        tmp_path,
        trained.fitted.model,
        item_ids=SHOP.item_ids,
        table=data.table,
        edges=data.edges,
        edge_weights=trained.fitted.edge_weights,
        embeddings=trained.fitted.embeddings,
        identities=data.identities,
        config={"text_model": "none", "event_types": list(SHOP.event_types)},
        metrics={},
        text_encoder=None,
    )
    served, fitted = PublishedRanker(directory)(cases()), trained.ranker(cases())
    np.testing.assert_allclose(served, fitted, rtol=1e-3, atol=1e-3)
    assert (data.edges.source == data.edges.target).any()


def test_training_looks_as_far_back_as_the_ranker(trained: TrainedModel) -> None:
    """What is wanted again comes from the events before a window too, in training as in ranking."""
    fit, fitted = trained.fit, trained.fitted
    model = copy.deepcopy(fitted.model).eval()
    with torch.no_grad():
        model.interest_encoder.score_map.zero_()
        model.interest_encoder.gamma_type.fill_(-50)
    windows = Windows(SHOP, 6, np.random.default_rng(0), reach=25)
    chosen = np.arange(len(windows.users))
    batch = windows.read(chosen, 1.0, 0.0)
    assert (batch.past_items >= 0).any()
    items = torch.arange(SHOP.num_items)
    edges = edge_tensors(fit._data.edges, SHOP.num_items, torch.device("cpu"))
    bias = model.bias(fit._data.table.popularity)
    ranker = RecommenderRanker(model, fitted.embeddings, bias, edges, fitted.edge_weights)
    with torch.no_grad():
        values = fitted.embeddings
        logits = model._logits(batch, values[batch.items], items, values, edges) + bias
    for row, user in enumerate(windows.users.tolist()):
        place = int(np.flatnonzero(batch.weight[row].numpy())[-1])
        newest = float(batch.times[row, int(batch.last[row, place])])
        history = SHOP.where((SHOP.event_user != user) | (SHOP.event_time <= newest))
        moment = np.array([float(batch.as_of[row, place])])
        asked = Cases(history, np.array([user]), moment, [np.zeros(0, np.int64)])
        expected = ranker(asked)[0]
        np.testing.assert_allclose(logits[row, place].numpy(), expected, rtol=1e-3, atol=1e-3)


def test_mixed_precision_changes_little(
    trained: TrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the large products in bfloat16, as on a GPU, logits and gradients stay what they are."""
    fit, model = trained.fit, copy.deepcopy(trained.fitted.model).eval()
    windows = Windows(SHOP, 6, np.random.default_rng(0), reach=25)
    batch = windows.read(np.arange(8), 1.0, 0.0)
    edges = edge_tensors(fit._data.edges, SHOP.num_items, torch.device("cpu"))
    found = []
    for devices in ((), ("cpu",)):
        monkeypatch.setattr("models.recommender.MIXED_PRECISION", devices)
        model.zero_grad()
        sampler = CandidateSampler(np.ones(44), 8, 44, np.random.default_rng(0))
        candidates = sampler.draw(batch.targets.numpy())
        state = trained.fitted.embeddings
        loss, _, _ = model.loss(batch, candidates, fit._data.table, edges, state, fit._data.past)
        loss.backward()
        found.append((float(loss.detach()), model.interest_encoder.score_map.grad.clone()))
    (exact, slope), (mixed, other) = found
    assert mixed == pytest.approx(exact, rel=1e-2)
    assert float((slope - other).norm()) < 0.05 * float(slope.norm())
