"""Training end to end on a small shop, and what it publishes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import orjson
import pytest
import torch
from conftest import small_config
from synthetic import make_graph

from interest_graph.errors import CheckpointError
from interest_graph.interest_encoder import InterestEncoder
from interest_graph.item_matrix import ItemMatrix
from models.checkpoint import load_published, verify
from models.evaluation.cases import make_cases
from models.evaluation.metrics import evaluate
from models.evaluation.splits import temporal
from models.fit_data import fold_users
from models.published_ranker import PublishedRanker
from models.text_encoder import TextEncoder
from models.training import train
from models.training_config import TrainingConfig

if TYPE_CHECKING:
    from pathlib import Path

    from interest_graph.interaction_graph import InteractionGraph
    from models.training import TrainingResult
    from models.training_config import Progress

    Trained = tuple[TrainingResult, list[Progress]]


def test_the_model_beats_popularity_and_says_how_it_was_judged(trained: Trained) -> None:
    """On a shop with a pattern the model's NDCG is above popularity's, and all is in metrics."""
    result, _ = trained
    assert result.metrics["ndcg_at_10"] > result.baselines["popularity"]["ndcg_at_10"]
    written = orjson.loads((result.directory / "metrics.json").read_bytes())
    assert written["test"] == result.metrics
    assert set(written["baselines"]) == {"popularity", "personal_popularity", "sequence_knn"}
    for name in ("recall_at_20", "hit_rate_at_10", "mrr", "catalog_coverage"):
        assert 0 <= result.metrics[name] <= 1


def test_training_lowers_the_loss(trained: Trained) -> None:
    """Each epoch of the refit ends with a lower loss than the first began with."""
    result, _ = trained
    losses = orjson.loads((result.directory / "metrics.json").read_bytes())["losses"]
    assert losses[-1] < losses[0]


def test_progress_goes_through_every_stage(trained: Trained) -> None:
    """Progress names every stage in order, and never more done than there is."""
    _, steps = trained
    stages = list(dict.fromkeys(step.stage for step in steps))
    assert stages == ["texts", "baselines", "fit", "evaluate", "refit", "publish"]
    assert all(0 <= step.done <= step.total for step in steps)


def test_the_published_directory_is_whole(trained: Trained, shop: InteractionGraph) -> None:
    """Every file is there, sums are right, and the matrix has a row for every item."""
    result, _ = trained
    verify(result.directory)
    assert result.directory.name == result.model_version
    matrix, encoder = ItemMatrix.load(result.directory), InterestEncoder.load(result.directory)
    assert matrix.model_version == result.model_version
    assert matrix.item_ids == shop.item_ids
    assert matrix.embeddings.shape == (44, 16)
    assert matrix.embeddings.dtype == np.float32
    assert np.isfinite(matrix.embeddings).all()
    assert (encoder.dim, encoder.max_events, encoder.event_types) == (16, 10, 2)
    evidence = np.load(result.directory / "neighbor_evidence.npy")
    assert evidence.shape == matrix.neighbor_weights.shape
    assert (np.diff(matrix.neighbor_weights, axis=1) <= 0).all()


def test_a_damaged_directory_is_noticed(trained: Trained, tmp_path: Path) -> None:
    """A changed byte fails the check, and another format is refused."""
    result, _ = trained
    for file in result.directory.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config = orjson.loads((tmp_path / "config.json").read_bytes())
    (tmp_path / "config.json").write_bytes(orjson.dumps(config | {"format": 99}))
    with pytest.raises(CheckpointError, match=r"config\.json"):
        verify(tmp_path)
    with pytest.raises(CheckpointError, match="format 99"):
        load_published(tmp_path)


def test_serving_code_ranks_like_the_trained_model(
    trained: Trained, shop: InteractionGraph
) -> None:
    """The published model as it is served beats popularity on the same test as well."""
    result, _ = trained
    cut = float(np.quantile(shop.event_time, 0.9))
    cases = make_cases(*shop.split(cut), cut, 100, 0)
    served = evaluate(PublishedRanker(result.directory), cases).metrics
    assert served["ndcg_at_10"] > result.baselines["popularity"]["ndcg_at_10"]


def test_the_same_seed_trains_the_same_model(tmp_path: Path) -> None:
    """Two runs with one seed publish the same weights; another seed publishes others."""
    graph = make_graph(users=12, events=12)
    config = small_config()
    config = replace(config, fit=replace(config.fit, epochs=1))
    cache: dict[str, np.ndarray] = {}
    runs = [
        train(graph, replace(config, seed=seed), tmp_path / str(place), cache)
        for place, seed in enumerate((1, 1, 2))
    ]
    digests = [run.model_version.split("-")[1] for run in runs]
    assert digests[0] == digests[1] != digests[2]


def test_a_large_shop_costs_no_more_steps_and_scores_than_are_allowed(tmp_path: Path) -> None:
    """An epoch takes that many steps of the many that there are; fewer users are ranked for."""
    graph, config = make_graph(users=24, events=16), small_config()
    fit = replace(config.fit, epochs=2, batch_events=30, epoch_steps=3)
    config = replace(config, fit=fit, max_evaluation_scores=5 * graph.num_items + 1)
    steps: list[Progress] = []
    result = train(graph, config, tmp_path, {}, steps.append)
    assert {step.total for step in steps if step.stage in {"fit", "refit"} and step.done} == {6}
    assert result.metrics["cases"] == 5


def test_where_the_next_item_is_wanted_training_goes_on_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More passes, none of them the last before the rates have fallen; otherwise as configured."""
    config = small_config()
    assert config.for_cases(several=True) == config
    longer = config.for_cases(several=False).fit
    assert longer.patience == longer.epochs > config.fit.epochs
    assert (longer.epoch_steps, longer.negatives) == (config.fit.epoch_steps, config.fit.negatives)

    asked: list[bool] = []

    def for_cases(one: TrainingConfig, *, several: bool) -> TrainingConfig:
        asked.append(several)
        return replace(one, fit=replace(one.fit, epochs=1))

    monkeypatch.setattr(TrainingConfig, "for_cases", for_cases)
    graph = make_graph(users=12, events=12)
    result = train(graph, config, tmp_path, {})
    published = orjson.loads((result.directory / "config.json").read_bytes())
    check = temporal(graph, config.validation_share, config.test_share, 5000, config.seed).check
    assert asked == [check.several]
    assert published["hyperparameters"]["fit"]["epochs"] == 1  # what it answered is what is fitted


def test_one_user_is_ranked_for_whatever_the_bounds() -> None:
    """Neither no items nor more than the bound leave nobody."""
    config = replace(small_config(), max_evaluation_scores=10)
    assert [config.evaluation_users(items) for items in (0, 3, 100)] == [10, 3, 1]


def test_the_incumbent_is_judged_by_the_same_test(trained: Trained, tmp_path: Path) -> None:
    """The model in service appears among the baselines."""
    config = small_config()
    config = replace(config, fit=replace(config.fit, epochs=1))
    result = train(make_graph(users=12), config, tmp_path, {}, incumbent=trained[0].directory)
    assert 0 <= result.baselines["in_service"]["ndcg_at_10"] <= 1


def test_an_incumbent_that_cannot_be_read_is_not_compared(trained: Trained, tmp_path: Path) -> None:
    """A model in service of an older format does not stop the training of its successor."""
    old = tmp_path / "old"
    old.mkdir()
    for file in trained[0].directory.iterdir():
        (old / file.name).write_bytes(file.read_bytes())
    (old / "interest_encoder.safetensors").unlink()
    config = small_config()
    config = replace(config, fit=replace(config.fit, epochs=1))
    result = train(make_graph(users=12), config, tmp_path, {}, incumbent=old)
    assert "in_service" not in result.baselines


def test_too_few_events_are_refused(tmp_path: Path) -> None:
    """Without events, or all at one moment, training says what is missing."""
    with pytest.raises(ValueError, match="no events"):
        train(make_graph(users=0), small_config(), tmp_path, {})
    graph = make_graph(users=2)
    graph = replace(graph, event_time=np.zeros_like(graph.event_time))
    with pytest.raises(ValueError, match="too few"):
        train(graph, small_config(), tmp_path, {})


def test_a_tuned_text_encoder_learns_and_is_published(tmp_path: Path) -> None:
    """Gradients reach the transformer when it is tuned, and its weights travel with the model."""
    graph = make_graph(users=24, events=16)
    config = replace(small_config(), tune_text=True)
    config = replace(config, fit=replace(config.fit, epochs=2, text_batch=8))
    result = train(graph, config, tmp_path, {})
    before, after = TextEncoder(), TextEncoder(str(result.directory / "text_encoder"))
    moved = [
        name
        for (name, old), (_, new) in zip(
            before.named_parameters(), after.named_parameters(), strict=True
        )
        if not torch.equal(old, new)
    ]
    assert any("encoder.layer.0.attention" in name for name in moved)
    assert any("embeddings.word" in name for name in moved)
    verify(result.directory)


def test_users_fall_into_even_folds(shop: InteractionGraph) -> None:
    """Folds are seeded and differ in size by one at most."""
    folds = fold_users(shop, 3, seed=5)
    assert np.ptp(np.bincount(folds)) <= 1
    np.testing.assert_array_equal(folds, fold_users(shop, 3, seed=5))
