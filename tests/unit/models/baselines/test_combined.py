"""Text neighbours and the sum of two, against definitions written out."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from synthetic import make_graph

from models.baselines.fusion import NORMALIZERS
from models.baselines.infeasible import InfeasibleError
from models.baselines.weighted_sum import best_weight
from models.evaluation.cases import Cases, make_cases
from models.evaluation.contenders import REGISTRY, Context, contenders
from models.evaluation.metrics import evaluate
from models.evaluation.search_space import num_points, read_search_spaces

SHOP = make_graph(users=20, events=20)
CUT = float(np.quantile(SHOP.event_time, 0.8))
PAST, FUTURE = SHOP.split(CUT)
CASES = make_cases(PAST, FUTURE, CUT, 100, 0)


def test_text_finds_items_that_nobody_took() -> None:
    """By text alone the new item of the user's aisle comes before those of the others."""
    texts = np.zeros((SHOP.num_items, 5), np.float32)
    texts[np.arange(40), np.arange(40) // 10] = 1
    texts[np.arange(40, 44), np.arange(4)] = 1
    (one,) = contenders(["text_knn"], Context(text_embeddings=lambda: texts))
    scores = one.fit(PAST, one.defaults, 0, None).ranker(CASES)
    assert (scores[:, 40:].argmax(1) == CASES.users % 4).all()


def test_text_without_texts_is_refused() -> None:
    """A data set without texts has no content baseline, and the reason is said."""
    (one,) = contenders(["text_knn"], Context())
    with pytest.raises(InfeasibleError, match="needs texts"):
        one.fit(PAST, one.defaults, 0, None)


@pytest.mark.parametrize("fusion", NORMALIZERS)
def test_a_normalisation_keeps_the_order_and_forgets_the_scale(fusion: str) -> None:
    """Items stay in order, and another unit of the scores changes nothing."""
    scores = np.random.default_rng(0).normal(size=(3, 20)).astype(np.float32)
    found = NORMALIZERS[fusion](scores)
    np.testing.assert_array_equal(np.argsort(found), np.argsort(scores))
    np.testing.assert_allclose(NORMALIZERS[fusion](scores * 8), found, rtol=1e-3, atol=1e-5)


def test_the_weight_goes_to_the_one_that_knows() -> None:
    """Against noise the one that knows gets nearly all of it."""
    rng = np.random.default_rng(0)
    wanted = dict(zip(CASES.users.tolist(), CASES.targets, strict=True))

    def knows(batch: Cases) -> np.ndarray:
        scores = np.zeros((len(batch), SHOP.num_items), np.float32)
        for place, user in enumerate(batch.users.tolist()):
            scores[place, wanted[user]] = 1
        return scores

    def noise(batch: Cases) -> np.ndarray:
        return rng.normal(size=(len(batch), SHOP.num_items)).astype(np.float32)

    assert best_weight(knows, noise, NORMALIZERS["min_max"], CASES) > 0.5
    assert best_weight(noise, knows, NORMALIZERS["min_max"], CASES) < 0.5


def test_the_sum_takes_the_two_best_as_they_were_tuned() -> None:
    """The parts are those that validated best, as tuned, and their sum is no worse."""
    tuned = {
        "ease": {"hyperparameters": {"l2": 3.0}, "found": {}, "validation": 0.3},
        "popularity": {"hyperparameters": {}, "found": {}, "validation": 0.1},
        "sequence_knn": {"hyperparameters": {"window": 2}, "found": {}, "validation": 0.4},
        "weighted_sum": {"hyperparameters": {}, "found": {}, "validation": 0.9},
    }
    (one,) = contenders(["weighted_sum"], Context(tuned=tuned))
    fitted = one.fit(PAST, one.defaults, 0, CASES)
    assert set(fitted.found["parts"]) == {"sequence_knn", "ease"}
    value = evaluate(fitted.ranker, CASES).metrics["ndcg_at_10"]
    for name in ("sequence_knn", "ease"):
        (part,) = contenders([name], Context())
        alone = part.fit(PAST, {**part.defaults, **tuned[name]["hyperparameters"]}, 0, None)
        assert value >= evaluate(alone.ranker, CASES).metrics["ndcg_at_10"]


def test_the_usual_sum_is_of_usual_baselines_and_there_where_it_is_another() -> None:
    """It takes the two best without personal popularity and texts, and runs unless it is equal."""
    values = {"personal_popularity": 0.5, "text_knn": 0.4, "ease": 0.3, "als": 0.2, "bpr": 0.1}
    tuned = {name: {"validation": value} for name, value in values.items()}
    one = next(one for one in contenders(None, Context(tuned=tuned)) if one.name == "usual_sum")
    assert list(one.relies_on) == ["ease", "als"]  # type: ignore[attr-defined]
    del tuned["personal_popularity"], tuned["text_knn"]
    assert "usual_sum" not in [one.name for one in contenders(None, Context(tuned=tuned))]
    assert [one.name for one in contenders(["usual_sum"], Context(tuned=tuned))] == ["usual_sum"]


def test_a_weight_stays_with_its_part_when_the_other_becomes_the_better_one() -> None:
    """Scores from what was found are the same whichever part validated best since."""
    scores = []
    for better in ("ease", "popularity"):
        tuned = {name: {"validation": 0.1} for name in ("ease", "popularity")}
        tuned[better] = {"validation": 0.2}
        (both,) = contenders(["weighted_sum"], Context(tuned=tuned))
        found = {"weight": 0.9, "weight_of": "ease", "parts": {"ease": {}, "popularity": {}}}
        fitted = both.fit(PAST, {**both.defaults, **found}, 0, None)
        assert fitted.found["weight_of"] == better
        scores.append(fitted.ranker(CASES))
    np.testing.assert_allclose(*scores, rtol=1e-5)


def test_a_sum_of_other_parts_than_were_tuned_is_refused() -> None:
    """A weight found for two models says nothing of two others."""
    tuned = {name: {"validation": 0.1} for name in ("ease", "popularity")}
    (both,) = contenders(["weighted_sum"], Context(tuned=tuned))
    found = {"weight": 0.9, "weight_of": "ease", "parts": {"ease": {}, "als": {}}}
    with pytest.raises(InfeasibleError, match="tune it again"):
        both.fit(PAST, {**both.defaults, **found}, 0, None)


def test_a_part_that_takes_part_itself_is_fitted_once() -> None:
    """The same fit is not done again for the sum; another one is."""
    tuned = {name: {"validation": 0.1} for name in ("ease", "popularity")}
    one, both = contenders(["ease", "weighted_sum"], Context(tuned=tuned))
    first = one.fit(PAST, one.defaults, 0, None)
    both.fit(PAST, both.defaults, 0, None)
    assert one.fit(PAST, one.defaults, 0, None) is first
    for changed in (
        (SHOP, one.defaults, 0, None),
        (PAST, {**one.defaults, "l2": 7.0}, 0, None),
        (PAST, one.defaults, 1, None),
        (PAST, one.defaults, 0, CASES),
    ):
        assert one.fit(*changed) is not one.fit(PAST, one.defaults, 0, None)


def test_every_contender_has_a_search_space_of_its_own_hyperparameters() -> None:
    """Search spaces name hyperparameters that exist and contain the defaults."""
    spaces = read_search_spaces()
    for one in contenders(None, Context()):
        space = spaces[one.name]
        assert set(space) <= set(one.defaults), one.name
        for name, bounds in space.items():
            default = one.defaults[name]
            inside = default in bounds.get("choices", [default])
            assert inside, (one.name, name)
            if "low" in bounds:
                assert bounds["low"] <= default <= bounds["high"], (one.name, name)
    assert set(spaces) <= set(REGISTRY)
    assert num_points(spaces["popularity"]) == 1
    assert num_points(spaces["ease"]) is None
