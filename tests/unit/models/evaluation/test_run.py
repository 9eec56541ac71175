"""Running an evaluation: what is fitted on what, what is kept, and what is written."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from models.baselines.infeasible import InfeasibleError
from models.evaluation.contender import Fitted
from models.evaluation.data_set import DataSet
from models.evaluation.protocols import make_split
from models.evaluation.results import Asked, Results
from models.evaluation.results_file import read_models, write_results
from models.evaluation.run import RunConfig, run_models
from models.evaluation.summary import summarise
from models.evaluation.tuned import read_tuned, tuned_path
from tests.unit.models.synthetic import make_graph

if TYPE_CHECKING:
    from pathlib import Path

    from interest_graph.interaction_graph import InteractionGraph
    from models.evaluation.cases import Cases, Floats
    from models.evaluation.contender import Hyperparameters

SHOP = DataSet("shop", make_graph(users=20), ("temporal", "cold_users"), repeats=True)
SPLIT = make_split(SHOP, "temporal")


@dataclass
class Noisy:
    """Popularity with noise; remembers how it was fitted."""

    name: str
    seeded: bool = True
    defaults: Hyperparameters = field(default_factory=lambda: {"noise": 1.0})
    finds: dict[str, Any] = field(default_factory=dict)
    fits: list[tuple[int, dict[str, Any], int, bool]] = field(default_factory=list)
    fault: str = ""
    factor: float = 1.0
    searched: tuple[str, ...] = ()

    def fit(
        self,
        graph: InteractionGraph,
        hyperparameters: Hyperparameters,
        seed: int,
        check: Cases | None,
    ) -> Fitted:
        """Fit, and remember it."""
        if self.fault:
            raise InfeasibleError(self.fault)
        self.fits.append((graph.num_events, dict(hyperparameters), seed, check is not None))
        noise = np.random.default_rng(seed).random(graph.num_items) * hyperparameters["noise"]
        scores = (graph.popularity(graph.event_time.max(), 30) + noise).astype(np.float32)

        def ranker(cases: Cases) -> Floats:
            return np.tile(scores * self.factor, (len(cases), 1))

        return Fitted(ranker, dict(self.finds))


def empty(models: dict[str, Any] | None = None) -> Results:
    """Results before anything ran."""
    asked = {name: Asked.of(cases) for name, cases in SPLIT.tests.items()}
    return Results({"data": "shop"}, {}, {}, asked, models or {})


def test_a_refit_uses_what_the_first_fit_found() -> None:
    """Fitted on train with the validation once, then on everything known with every seed."""
    model, results = Noisy("noisy", finds={"epochs": 3}), empty()
    run_models(SPLIT, [model], {}, RunConfig(seeds=(0, 1)), results)
    train, known = SPLIT.train.num_events, SPLIT.known.num_events
    found = {"noise": 1.0, "epochs": 3}
    assert model.fits == [
        (train, {"noise": 1.0}, 0, True),
        (known, found, 0, False),
        (known, found, 1, False),
    ]
    assert results.models["noisy"].found == {"epochs": 3}
    assert not results.models["noisy"].tuned


def test_what_tuning_found_is_taken() -> None:
    """Committed hyperparameters change the defaults, and spare the fit that finds the rest."""
    model = Noisy("noisy", seeded=False)
    tuned = {"noisy": {"hyperparameters": {"noise": 0.5}, "found": {"epochs": 7}}}
    results = empty()
    run_models(SPLIT, [model], tuned, RunConfig(seeds=(0, 1)), results)
    assert model.fits == [(SPLIT.known.num_events, {"noise": 0.5, "epochs": 7}, 0, False)]
    assert results.models["noisy"].tuned


def test_without_a_refit_all_learn_from_train() -> None:
    """Every fit is on train, stopped by the validation."""
    model = Noisy("noisy")
    run_models(SPLIT, [model], {}, RunConfig(seeds=(0, 1), refit=False), empty())
    assert [(fit[0], fit[3]) for fit in model.fits] == [(SPLIT.train.num_events, True)] * 2


def test_without_a_refit_what_is_searched_before_a_fit_is_not_searched_again() -> None:
    """A whole model and its ablations rest on the same evidence; epochs are found anew."""
    model = Noisy("noisy", searched=("evidence",))
    tuned = {"noisy": {"hyperparameters": {}, "found": {"evidence": 2, "epochs": 5}}}
    run_models(SPLIT, [model], tuned, RunConfig(refit=False), empty())
    assert [fit[1] for fit in model.fits] == [{"noise": 1.0, "evidence": 2}]


def test_what_cannot_be_run_is_said_and_the_others_run() -> None:
    """A contender that is infeasible here leaves its reason and no figures."""
    results = empty()
    run_models(SPLIT, [Noisy("large", fault="too large"), Noisy("b")], {}, RunConfig(), results)
    assert results.models["large"].infeasible == "too large"
    assert [line.model for line in summarise(results, "ndcg_at_10", 20)[0].lines] == ["b"]


def test_an_evaluation_goes_on_from_its_file(tmp_path: Path) -> None:
    """Finished runs are read back, bit by bit, and not run again, unless that is asked for."""
    path, model, results = tmp_path / "results.json", Noisy("noisy"), empty()

    def save() -> None:
        graph = SHOP.graph
        summary = [asdict(one) for one in summarise(results, "ndcg_at_10", 20)]
        write_results(path, results, graph.user_ids, graph.item_ids, {"tests": summary})

    run_models(SPLIT, [model], {}, RunConfig(), results, save)
    again = empty(read_models(path, {"data": "shop"}))
    assert summarise(again, "ndcg_at_10", 50) == summarise(results, "ndcg_at_10", 50)
    fits = len(model.fits)
    run_models(SPLIT, [model], {}, RunConfig(seeds=(0, 1)), again)
    assert len(model.fits) == fits + 1
    other = Noisy("noisy", defaults={"noise": 2.0})
    run_models(SPLIT, [other], {}, RunConfig(), again)
    assert other.fits
    run_models(SPLIT, [model], {}, RunConfig(fresh=True), again)
    assert len(model.fits) == fits + 3


def test_results_of_another_set_up_are_not_mixed(tmp_path: Path) -> None:
    """A file of another evaluation, or of something else, is refused by name."""
    path = tmp_path / "results.json"
    write_results(path, empty(), SHOP.graph.user_ids, SHOP.graph.item_ids)
    with pytest.raises(ValueError, match="another set-up"):
        read_models(path, {"data": "other"})
    for text, said in (("{}", "does not hold"), ("nonsense", "not JSON")):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ValueError, match=said):
            read_models(path, {})
    assert read_models(tmp_path / "missing.json", {}) == {}


def test_the_best_baseline_is_never_ours() -> None:
    """Ours is compared with the best of the others, and so are the others but the best."""
    results = empty()
    models = [Noisy("interest_graph"), Noisy("a"), Noisy("b", factor=0)]
    run_models(SPLIT, models, {}, RunConfig(seeds=(0, 1)), results)
    (summary,) = summarise(results, "ndcg_at_10", 100)
    assert summary.best_baseline == "a"
    by_name = {line.model: line for line in summary.lines}
    assert by_name["a"].against_best is None
    compared = by_name["interest_graph"].against_best
    assert compared is not None
    assert compared.difference.low == compared.difference.high == 0
    worse = by_name["b"].against_best
    assert worse is not None
    assert worse.relative_gain.high < 0
    assert by_name["b"].seeds == 2


def test_ours_is_compared_with_the_best_usual_baseline_too() -> None:
    """Where the best is not a usual one, nor a sum of usual ones, there is a second comparison."""
    results = empty()
    unusual = {"parts": {"personal_popularity": {}, "ease": {}}}
    usual = {"parts": {"als": {}, "ease": {}}}
    models = [
        Noisy("interest_graph"),
        Noisy("weighted_sum", finds=unusual),
        Noisy("personal_popularity"),
        Noisy("usual_sum", finds=usual, factor=-1),
    ]
    run_models(SPLIT, models, {}, RunConfig(seeds=(0,)), results)
    (summary,) = summarise(results, "ndcg_at_10", 100)
    assert summary.best_baseline == "weighted_sum"
    (pair,) = (pair for pair in summary.pairs if pair.metric == "ndcg_at_10")
    assert (pair.model, pair.other) == ("interest_graph", "usual_sum")
    assert pair.comparison.difference.low > 0
    del results.models["weighted_sum"], results.models["personal_popularity"]
    (summary,) = summarise(results, "ndcg_at_10", 100)
    assert "ndcg_at_10" not in [pair.metric for pair in summary.pairs]


def test_ablations_are_compared_with_the_whole() -> None:
    """Each model without a part stands against ours on the same draws; there may be no baseline."""
    results = empty()
    models = [Noisy("interest_graph"), Noisy("interest_graph_without_text", factor=-1)]
    run_models(SPLIT, models, {}, RunConfig(seeds=(0,)), results)
    (summary,) = summarise(results, "ndcg_at_10", 100)
    (pair,) = summary.pairs
    assert (pair.model, pair.other) == ("interest_graph_without_text", "interest_graph")
    assert pair.comparison.difference.high < 0
    assert not summary.best_baseline


def test_new_and_repeat_items_are_compared_apart() -> None:
    """Ours stands against the baseline that is best at new items, and at repeats."""
    item, often = SHOP.graph.event_item, np.arange(SHOP.graph.num_events) % 3 == 0
    graph = replace(SHOP.graph, event_item=np.where(often, item % 3, item))
    split = make_split(replace(SHOP, graph=graph), "temporal")
    results = Results({}, {}, {}, {name: Asked.of(cases) for name, cases in split.tests.items()})
    models = [Noisy("interest_graph"), Noisy("a", factor=-1), Noisy("b")]
    run_models(split, models, {}, RunConfig(seeds=(0,)), results)
    (summary,) = summarise(results, "ndcg_at_10", 100)
    metrics = {line.model: line.metrics for line in summary.lines}
    assert [pair.metric for pair in summary.pairs] == ["new_ndcg_at_10", "repeat_ndcg_at_10"]
    for pair in summary.pairs:
        assert pair.other == max(("a", "b"), key=lambda name: metrics[name][pair.metric])
        ours, other = (metrics[name][pair.metric] for name in ("interest_graph", pair.other))
        assert pair.comparison.difference.value == pytest.approx(ours - other)


def test_tuned_hyperparameters_are_read_by_data_and_protocol(tmp_path: Path) -> None:
    """A file that is missing says nothing, one of another form is refused by name."""
    assert read_tuned("shop", "temporal", tmp_path) == {}
    path = tuned_path("shop", "temporal", tmp_path)
    path.write_text('{"a": {"hyperparameters": {"x": 1}, "found": {}}}', encoding="utf-8")
    assert read_tuned("shop", "temporal", tmp_path)["a"]["hyperparameters"] == {"x": 1}
    for text in ("[", '{"a": 1}'):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ValueError, match=r"shop\.temporal\.json"):
            read_tuned("shop", "temporal", tmp_path)
