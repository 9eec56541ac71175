"""One fit of the joint model to a graph's events, with early stopping when it can be validated."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from .candidates import CandidateSampler
from .ranking import RecommenderRanker
from .recommender import (
    EdgeTensors,
    Recommender,
    RecommenderConfig,
    edge_tensors,
    set_neighbors,
)
from .sequences import WindowBatch, Windows

if TYPE_CHECKING:
    from interest_graph.interaction_graph import InteractionGraph

    from .evaluation import Ranker
    from .item_graph import ItemEdges
    from .item_table import Identities, ItemTable
    from .text_encoder import TextEncoder

Ints = npt.NDArray[np.int64]
BETAS = (0.9, 0.98)  # a rare item's step after a pause is ten times smaller than with 0.999


@dataclass(frozen=True, slots=True)
class FitConfig:
    """How the joint model is fitted.

    Args:
        model: Its shape.
        epochs: Most passes over the events.
        patience: Epochs without improvement after which it stops.
        batch_windows: Windows of a step.
        negatives: Items drawn for a step.
        full_softmax_items: With at most this many items every step ranks all of them.
        learning_rate: Of the networks.
        table_rate: Of tables and scales, as a multiple of `learning_rate`.
        weight_decay: Of all but tables and scales.
        identity_rate: Of identities, likewise; most items are rare, and fast they are learned by
            heart.
        identity_decay: Weight decay of identities.
        refinement_rate: Of the refinement of each edge, likewise, for the same reason.
        refinement_decay: Weight decay of the refinement of each edge.
        same_moment: Share of windows in which events of the same moment see each other.
        look_ahead: Share of targets drawn from all that follows instead of being the next event.
        text_batch: Texts of a step that gradients reach, when the text encoder is tuned.
        text_rate: Learning rate of the text encoder.
        seed: Of everything random.
    """

    model: RecommenderConfig
    epochs: int = 4
    patience: int = 2
    batch_windows: int = 32
    negatives: int = 768
    full_softmax_items: int = 4000
    learning_rate: float = 1e-3
    table_rate: float = 10.0
    weight_decay: float = 1e-4
    identity_rate: float = 0.1
    identity_decay: float = 1e-2
    refinement_rate: float = 0.03
    refinement_decay: float = 1e-2
    same_moment: float = 0.25
    look_ahead: float = 0.5
    text_batch: int = 64
    text_rate: float = 2e-5
    seed: int = 0


@dataclass(frozen=True, slots=True)
class FitData:
    """What a fit reads.

    Args:
        graph: The events.
        table: The items.
        edges: The item graph.
        identities: What has a learned identity.
        fold_of_user: (users,) int64, the fold of each user.
        text_encoder: The encoder to tune, or None to keep texts as they are.
        distinct_texts: (·, text_dim) embeddings from which the text's directions are taken.
    """

    graph: InteractionGraph
    table: ItemTable
    edges: ItemEdges
    identities: Identities
    fold_of_user: Ints
    text_encoder: TextEncoder | None
    distinct_texts: Tensor


@dataclass(frozen=True, slots=True)
class Fitted:
    """A fitted model with what follows from it.

    Args:
        model: The best weights, in evaluation mode.
        embeddings: (items, dim), the fixed point.
        edge_weights: (E,) weights of the item graph.
        epochs: Epochs of the best weights.
        losses: Mean loss of each epoch.
        validation: Validation metric before the first epoch, where the evidence speaks alone, and
            after each.
    """

    model: Recommender
    embeddings: Tensor
    edge_weights: Tensor
    epochs: int
    losses: list[float]
    validation: list[float]


Report = Callable[[int, int, dict[str, float]], None]
"""Called with steps done, steps in all, and figures."""


class Fit:
    """One run of training.

    Args:
        data: What it reads.
        config: How it is done.
        validate: The metric to maximise, of a ranker; without it all epochs are run.
        report: Called after every step.
    """

    def __init__(
        self,
        data: FitData,
        config: FitConfig,
        validate: Callable[[Ranker], float] | None,
        report: Report,
    ) -> None:
        torch.manual_seed(config.seed)
        self._rng = np.random.default_rng(config.seed)
        self._data, self._config, self._validate, self._report = data, config, validate, report
        edges = len(data.edges.source)
        self.model = Recommender(config.model, data.identities.sizes, edges)
        self.model.graph_encoder.fit_texts(data.distinct_texts)
        self.model.to(data.table.text.device)
        self._folds = [
            edge_tensors(data.edges, len(data.table), fold)
            for fold in range(len(data.edges.fold_evidence))
        ]
        self._edges = edge_tensors(data.edges, len(data.table))
        self._optimizer = _optimizer(self.model, data.text_encoder, config)
        events = np.bincount(data.graph.event_item, minlength=len(data.table)).astype(np.float64)
        self._sampler = CandidateSampler(
            events, config.negatives, config.full_softmax_items, self._rng
        )

    def run(self) -> Fitted:
        """Train, and return the best epoch's model."""
        best, best_epoch, best_value = self.model.state_dict(), 0, -np.inf
        losses: list[float] = []
        validation: list[float] = []
        for epoch in range(self._config.epochs + 1):
            if epoch:
                losses.append(self._epoch(epoch))
            embeddings, weights = self._settle()
            if self._validate is None:
                best, best_epoch = self.model.state_dict(), epoch
                continue
            validation.append(self._validate(self._ranker(embeddings, weights)))
            if validation[-1] > best_value:
                best, best_epoch = copy.deepcopy(self.model.state_dict()), epoch
                best_value = validation[-1]
            elif epoch - best_epoch >= self._config.patience:
                break
        self.model.load_state_dict(best)
        embeddings, weights = self._settle()
        return Fitted(self.model.eval(), embeddings, weights, best_epoch, losses, validation)

    def ranker(self, fitted: Fitted) -> RecommenderRanker:
        """The fitted model as a ranker."""
        return self._ranker(fitted.embeddings, fitted.edge_weights)

    def _ranker(self, embeddings: Tensor, weights: Tensor) -> RecommenderRanker:
        with torch.no_grad():
            bias = self.model.bias(self._data.table.popularity)
        return RecommenderRanker(self.model, embeddings, bias, self._edges, weights)

    @torch.no_grad()
    def _settle(self) -> tuple[Tensor, Tensor]:
        """Weigh the edges, take the neighbours from them, and sweep to the fixed point."""
        self.model.eval()
        weights = self.model.edge_weights(self._edges.features)
        set_neighbors(self._data.table, self._data.edges, weights)
        self._state = self.model.sweep(self._data.table)
        return self._state, weights

    def _epoch(self, epoch: int) -> float:
        """One pass over the events; the mean loss of its steps."""
        config, losses = self._config, []
        self.model.train()
        size = config.model.interest_encoder.max_events
        windows = Windows(self._data.graph, size, self._rng)
        batches = windows.batches(config.batch_windows, self._data.fold_of_user)
        device = self._data.table.text.device
        for number, members in enumerate(batches):
            batch = windows.read(members, config.same_moment, config.look_ahead)
            batch = batch.to(device)
            fold = int(self._data.fold_of_user[windows.users[members[0]]])
            losses.append(self._step(batch, self._folds[fold]))
            done = (epoch - 1) * len(batches) + number + 1
            figures = {"loss": losses[-1], "epoch": float(epoch)}
            self._report(done, config.epochs * len(batches), figures)
        return float(np.mean(losses)) if losses else 0.0

    def _step(self, batch: WindowBatch, edges: EdgeTensors) -> float:
        """One step of the optimiser; its loss."""
        data = self._data
        targets = batch.targets[batch.weight > 0].cpu().numpy()
        if not len(targets):
            return 0.0
        candidates = self._sampler.draw(targets).to(self._state.device)
        fresh = self._fresh_texts(batch)
        loss, rows, embeddings = self.model.loss(
            batch, candidates, data.table, edges, self._state, fresh
        )
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.model.parameters(), 5.0)
        self._optimizer.step()
        self._state[rows] = embeddings.detach()
        if fresh is not None:
            data.table.text[fresh[0]] = fresh[1].detach()
        return float(loss.detach())

    def _fresh_texts(self, batch: WindowBatch) -> tuple[Tensor, Tensor] | None:
        """Rows and embeddings with gradients of some of the batch's items, when texts are tuned."""
        encoder = self._data.text_encoder
        if encoder is None:
            return None
        rows = torch.unique(batch.items[batch.weight > 0])
        chosen = self._rng.permutation(len(rows))[: self._config.text_batch]
        rows = rows[torch.from_numpy(np.sort(chosen)).to(rows.device)]
        texts = [self._data.graph.item_texts[row] for row in rows.tolist()]
        return rows, encoder(texts).to(self._state.device)


def fold_users(graph: InteractionGraph, folds: int, seed: int) -> Ints:
    """A fold for each user, at random and of even size."""
    order = np.random.default_rng(seed).permutation(len(graph.user_ids))
    return (order % min(folds, max(len(order), 1))).astype(np.int64)


def _optimizer(
    model: Recommender, text_encoder: TextEncoder | None, config: FitConfig
) -> torch.optim.Optimizer:
    """AdamW with one group for networks, tables, edge refinements and the text encoder."""
    networks: list[nn.Parameter] = []
    tables: list[nn.Parameter] = []
    identities = list(model.graph_encoder.identity.parameters())
    for name, parameter in model.named_parameters():
        if name == "edge_net.refinement" or "encoder.identity" in name:
            continue
        table = parameter.dim() <= 1 and "norm" not in name and "bias" not in name
        table = table or name.startswith("edge_net")
        (tables if table else networks).append(parameter)
    rate = config.learning_rate
    groups: list[dict[str, Sequence[nn.Parameter] | float]] = [
        {"params": networks, "lr": rate, "weight_decay": config.weight_decay},
        {"params": tables, "lr": rate * config.table_rate, "weight_decay": 0.0},
        {
            "params": identities,
            "lr": rate * config.identity_rate,
            "weight_decay": config.identity_decay,
        },
        {
            "params": [model.edge_net.refinement],
            "lr": rate * config.refinement_rate,
            "weight_decay": config.refinement_decay,
        },
    ]
    if text_encoder is not None:
        groups.append(
            {
                "params": list(text_encoder.parameters()),
                "lr": config.text_rate,
                "weight_decay": config.weight_decay,
            }
        )
    return torch.optim.AdamW(groups, betas=BETAS)
