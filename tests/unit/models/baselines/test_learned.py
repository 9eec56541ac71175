"""The baselines that learn, against what their papers define and what they must pick up."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional
from torch_geometric.nn import LGConv

sys.path.insert(0, str(Path(__file__).parents[1]))

from synthetic import make_graph

from models.baselines.causal_transformer import CausalTransformer
from models.baselines.full_softmax import FullSoftmax
from models.baselines.history import interactions
from models.baselines.infeasible import InfeasibleError
from models.baselines.light_gcn import normalized_adjacency, propagate, sparse_tensor
from models.baselines.next_item_batches import next_item_batches
from models.baselines.torch_fit import fit_epochs
from models.evaluation.cases import Cases, make_cases
from models.evaluation.contenders import Context, contenders
from models.evaluation.metrics import evaluate

SHOP = make_graph(users=40, events=20)
CUT = float(np.quantile(SHOP.event_time, 0.8))
CASES = make_cases(*SHOP.split(CUT), CUT, 100, 0)


def ndcg(name: str, **changes: float) -> float:
    (one,) = contenders([name], Context())
    past = SHOP.before(CUT)
    return evaluate(one.fit(past, {**one.defaults, **changes}, 0, None).ranker, CASES).metrics[
        "ndcg_at_10"
    ]


def test_the_full_softmax_is_cross_entropy() -> None:
    """Loss and both gradients equal those of torch's own cross-entropy over all logits."""
    rng = torch.Generator().manual_seed(0)
    states = torch.randn(700, 5, generator=rng, requires_grad=True)
    items = torch.randn(31, 5, generator=rng, requires_grad=True)
    targets = torch.randint(31, (700,), generator=rng)
    weights = torch.rand(700, generator=rng)
    loss = FullSoftmax.apply(states, items, targets, weights)
    found = (loss, *torch.autograd.grad(loss * 2, (states, items)))
    plain = functional.cross_entropy(states @ items.T, targets, reduction="none") @ weights
    expected = (plain, *torch.autograd.grad(plain * 2, (states, items)))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_a_state_knows_nothing_of_later_events() -> None:
    """Changing an event changes the states from it on and none before it."""
    model = CausalTransformer(9, 8, 2, 2, 6, 0.0).eval()
    items = torch.tensor([[1, 2, 3, 4]])
    changed = torch.tensor([[1, 2, 7, 4]])
    same = torch.isclose(model(items), model(changed)).all(2)[0]
    assert same.tolist() == [True, True, False, False]


def test_every_event_with_a_next_one_predicts_it_once_an_epoch() -> None:
    """The batches hold each pair of neighbouring events exactly once, whatever the window."""
    user, item = SHOP.event_user, SHOP.event_item
    inside = user[:-1] == user[1:]
    expected = sorted(zip(item[:-1][inside].tolist(), item[1:][inside].tolist(), strict=True))
    for window in (4, 50):
        found = []
        for items, targets, weights in next_item_batches(
            SHOP, window, 64, np.random.default_rng(0)
        ):
            assert items.shape[1] <= window
            real = weights > 0
            found += list(zip(items[real].tolist(), targets[real].tolist(), strict=True))
        assert sorted(found) == expected


def test_sasrec_learns_what_follows() -> None:
    """On shelves walked in order it is far better than popularity."""
    small = {"dim": 16, "dropout": 0.1, "learning_rate": 1e-2, "max_events": 10}
    assert ndcg("sasrec", **small, epochs=15, batch_events=128) > 2 * ndcg("popularity")


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("als", {"factors": 8}),
        ("bpr", {"factors": 8, "iterations": 50}),
        ("light_gcn", {"dim": 8, "batch_pairs": 128, "negatives": 32}),
        (
            "light_gcn",
            {"dim": 8, "decay_epochs": 0, "epochs": 20, "batch_pairs": 128, "negatives": 32},
        ),
    ],
)
def test_factors_find_the_aisles(name: str, changes: dict[str, float]) -> None:
    """Items of the user's own aisle come before those of the others."""
    (one,) = contenders([name], Context())
    scores = one.fit(SHOP, {**one.defaults, **changes}, 0, None).ranker(CASES)
    aisle = np.arange(40) // 10
    for user, line in zip(CASES.users.tolist(), scores[:, :40], strict=True):
        assert line[aisle == user % 4].mean() > line[aisle != user % 4].mean()


def test_factors_follow_a_history_that_moved_on() -> None:
    """A user who starts another aisle is soon shown that aisle, by ALS and by BPR."""
    other = SHOP.event_item[SHOP.event_user == 1]
    items = np.where(SHOP.event_user == 0, np.tile(other, 40), SHOP.event_item)
    swapped = replace(SHOP, event_item=items)
    asked = Cases(swapped, np.array([0]), np.array([CUT]), [np.array([0])])
    for name in ("als", "bpr"):
        (one,) = contenders([name], Context())
        ranker = one.fit(SHOP, {**one.defaults, "factors": 8}, 0, None).ranker
        line = ranker(asked)[0]
        assert line[10:20].mean() > line[:10].mean()


def test_propagation_is_that_of_pyg() -> None:
    """Mean and gradient are those of `LGConv`."""
    taken = interactions(SHOP)
    users, items = taken.shape
    rng = torch.Generator().manual_seed(0)
    table = torch.randn(users + items, 4, generator=rng, requires_grad=True)
    pairs = taken.tocoo()
    row, column = torch.from_numpy(pairs.row).long(), torch.from_numpy(pairs.col).long() + users
    edges = torch.stack([torch.cat([row, column]), torch.cat([column, row])])
    layer, total = table, table
    for _ in range(3):
        layer = LGConv()(layer, edges)
        total = total + layer
    weights = torch.randn(total.shape, generator=rng)
    (expected,) = torch.autograd.grad((total / 4 * weights).sum(), table)
    adjacency = sparse_tensor(normalized_adjacency(taken), torch.device("cpu"))
    found = propagate(table, adjacency, 3)
    torch.testing.assert_close(found, total / 4, rtol=1e-4, atol=1e-5)
    (gradient,) = torch.autograd.grad((found * weights).sum(), table)
    torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("decay_epochs", "trained"), [(0, 1), (3, 3)])
def test_a_falling_rate_is_followed_to_its_end(decay_epochs: int, trained: int) -> None:
    """The validation ends LightGCN's training where the rate stays, and not where it falls."""
    (one,) = contenders(["light_gcn"], Context())
    changes = {"dim": 8, "epochs": 1, "negatives": 16, "decay_epochs": decay_epochs}
    fitted = one.fit(SHOP.before(CUT), {**one.defaults, **changes}, 0, CASES)
    assert fitted.found == {"epochs": trained}


def test_training_ends_when_nothing_gets_better_and_keeps_the_best() -> None:
    """The state of the best epoch is restored; without a validation all epochs are run."""
    model = torch.nn.Linear(1, 1, bias=False)
    quality = iter([1.0, 3.0, 2.0, 2.0, 9.0])

    def train_epoch() -> None:
        with torch.no_grad():
            model.weight.fill_(next(quality))

    def ranker(cases: Cases) -> np.ndarray:
        scores = np.zeros((len(cases), SHOP.num_items), np.float32)
        for place, targets in enumerate(cases.targets):
            scores[place, targets[: int(model.weight.item())]] = 1
        return scores

    assert fit_epochs(model, train_epoch, ranker, 5, CASES, patience=2) == 2
    assert model.weight.item() == 3.0
    assert fit_epochs(model, train_epoch, ranker, 1, None, patience=2) == 1
    assert model.weight.item() == 9.0


def test_long_trainings_are_validated_now_and_then() -> None:
    """After ten epochs every fifth one is judged, and the best of these is kept."""
    model, asked = torch.nn.Linear(1, 1, bias=False), []

    def train_epoch() -> None:
        with torch.no_grad():
            model.weight.add_(1)

    def ranker(cases: Cases) -> np.ndarray:
        if not asked or asked[-1] != int(model.weight.item()):
            asked.append(int(model.weight.item()))
        return np.full((len(cases), SHOP.num_items), 1 / model.weight.item(), np.float32)

    with torch.no_grad():
        model.weight.fill_(0)
    fit_epochs(model, train_epoch, ranker, 24, CASES, patience=100)
    assert asked == [*range(1, 11), 15, 20, 24]


def test_bpr_whose_steps_are_too_long_is_infeasible_and_stops_no_search() -> None:
    """Factors that are no numbers say what they were made with."""
    with pytest.raises(InfeasibleError, match="learning_rate"):
        ndcg("bpr", learning_rate=1e30, iterations=50)


def test_sasrec_says_that_without_an_order_there_is_nothing_to_learn() -> None:
    """Events of one moment have no next one."""
    (one,) = contenders(["sasrec"], Context())
    at_once = replace(SHOP, event_time=np.zeros_like(SHOP.event_time))
    with pytest.raises(InfeasibleError, match="no order"):
        one.fit(at_once, one.defaults, 0, None)
