"""SASRec with a softmax over all items."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt
import torch

from models.evaluation.contender import Fitted, Hyperparameters
from models.sequences import newest_windows
from models.text_encoder import choose_device

from .causal_transformer import CausalTransformer
from .full_softmax import FullSoftmax, fast_dtype
from .infeasible import InfeasibleError
from .next_item_batches import next_item_batches
from .torch_fit import fit_epochs, seeded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from interest_graph.interaction_graph import InteractionGraph
    from models.evaluation.cases import Cases
    from models.evaluation.context import Context

Floats = npt.NDArray[np.float32]


class SASRec:
    """Self-attentive sequential recommendation (Kang & McAuley 2018, arXiv:1808.09781).

        s(u, i) = h_T · e_i,  h = transformer(e_1 … e_T) over the user's newest events

    with the full softmax cross-entropy in place of one sampled negative, without which it stays far
    below what it can do (Klenitskiy & Vasilev 2023, arXiv:2309.07602). Every position predicts the
    next event; the validation stops training.
    """

    name = "sasrec"
    seeded = True
    defaults: Mapping[str, Any] = {
        "dim": 64,
        "layers": 2,
        "heads": 2,
        "max_events": 50,
        "dropout": 0.4,
        "learning_rate": 3e-3,
        "weight_decay": 1e-6,
        "batch_events": 512,
        "epochs": 40,
        "patience": 3,
    }

    def __init__(self, context: Context) -> None:
        self._threads, self._device = context.threads, choose_device(context.device)

    def fit(
        self,
        graph: InteractionGraph,
        hyperparameters: Hyperparameters,
        seed: int,
        check: Cases | None,
    ) -> Fitted:
        """Train; `found` is the number of epochs.

        Raises:
            InfeasibleError: The events have no order.
        """
        if not graph.has_order:
            msg = "all events are of one moment: there is no order to learn from"
            raise InfeasibleError(msg)
        given = dict(hyperparameters)
        with seeded(seed, self._threads):
            model = CausalTransformer(
                graph.num_items,
                given["dim"],
                given["layers"],
                given["heads"],
                given["max_events"],
                given["dropout"],
            ).to(self._device)
            ranker = SASRecRanker(model, graph, given["max_events"])
            optimizer = torch.optim.AdamW(
                model.parameters(),
                lr=given["learning_rate"],
                weight_decay=given["weight_decay"],
                fused=True,
            )
            rng = np.random.default_rng(seed)

            def train_epoch() -> None:
                _train_epoch(model, optimizer, graph, given, rng)

            epochs = fit_epochs(
                model, train_epoch, ranker, given["epochs"], check, given["patience"]
            )
        return Fitted(ranker, {"epochs": epochs})


def _train_epoch(
    model: CausalTransformer,
    optimizer: torch.optim.Optimizer,
    graph: InteractionGraph,
    given: Mapping[str, Any],
    rng: np.random.Generator,
) -> None:
    """One pass over all events; each batch's loss is its mean over what is predicted."""
    model.train()
    device, size = model.item.weight.device, (given["max_events"], given["batch_events"])
    dtype = fast_dtype(device)
    for batch in next_item_batches(graph, *size, rng):
        items, targets, weights = (part.to(device) for part in batch)
        real = weights > 0
        share = weights[real] / weights.sum()
        states = model(items)[real]  # (N, d)
        loss = FullSoftmax.apply(states, model.item.weight, targets[real], share, dtype)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


class SASRecRanker:
    """Ranks by the state after the newest events; without any event by popularity.

    Args:
        model: The network.
        graph: The events that it was fitted on.
        max_events: Newest events that it reads.
    """

    def __init__(self, model: CausalTransformer, graph: InteractionGraph, max_events: int) -> None:
        self._model, self._max_events = model, max_events
        self._prior = np.bincount(graph.event_item, minlength=graph.num_items).astype(np.float32)

    @torch.inference_mode()
    def __call__(self, cases: Cases) -> Floats:
        """Scores of all items for some cases."""
        self._model.eval()
        index, real = newest_windows(cases.history, cases.users, self._max_events)
        count = real.sum(1)
        length = max(int(count.max(initial=0)), 1)
        items = np.zeros((len(cases), length), np.int64)
        items[real[:, :length]] = cases.history.event_item[index[real]]
        table = self._model.item.weight
        states = self._model(torch.from_numpy(items).to(table.device))  # (C, T, d)
        newest = states[torch.arange(len(cases)), torch.from_numpy(np.maximum(count - 1, 0))]
        scores = cast("Floats", (newest @ table.T).cpu().numpy())
        scores[count == 0] = self._prior
        return scores
