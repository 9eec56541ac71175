"""One fit of the joint model to a graph's events, with early stopping when it can be validated."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from .blending import TERMS, Blend, apply_blend, tune_blend
from .candidates import CandidateSampler
from .optimizer import make_optimizer
from .processes import ALONE, Processes
from .ranking import RecommenderRanker
from .recommender import (
    EdgeTensors,
    Recommender,
    edge_tensors,
    set_neighbors,
)
from .sequences import WindowBatch, Windows

if TYPE_CHECKING:
    from .evaluation.cases import Ranker
    from .fit_config import FitConfig
    from .fit_data import FitData

LEAST_RATE = 0.02
MOST_WARM_UP = 0.1


@dataclass(frozen=True, slots=True)
class Fitted:
    """A fitted model with what follows from it.

    Args:
        model: The best weights, in evaluation mode.
        embeddings: (items, dim), the fixed point.
        edge_weights: (E,) weights of the item graph.
        epochs: Epochs of the best weights.
        losses: Mean loss of each epoch.
        validation: Validation metric, blended, before the first epoch, where the evidence speaks
            alone, and after each.
        blend: The factors on its terms, already in the weights.
    """

    model: Recommender
    embeddings: Tensor
    edge_weights: Tensor
    epochs: int
    losses: list[float]
    validation: list[float]
    blend: Blend


Report = Callable[[int, int, dict[str, float]], None]
"""Called with steps done, steps in all, and figures."""


class Fit:
    """One run of training.

    Args:
        data: What it reads.
        config: How it is done.
        validate: The metric to maximise, of a ranker; without it all epochs are run.
        report: Called after every step.
        blend: The factors on the terms when there is nothing to tune them on.
        processes: Who shares the work.
    """

    def __init__(
        self,
        data: FitData,
        config: FitConfig,
        validate: Callable[[Ranker], float] | None,
        report: Report,
        blend: Blend | None = None,
        processes: Processes = ALONE,
    ) -> None:
        self._blend, self._processes, self._steps = blend or Blend(), processes, 0
        torch.manual_seed(config.seed)
        self._rng = np.random.default_rng(config.seed)
        self._data, self._config, self._validate, self._report = data, config, validate, report
        edges = len(data.edges.source)
        self.model = Recommender(config.model, data.identities.sizes, edges)
        self.model.graph_encoder.fit_texts(data.distinct_texts)
        self.model.to(data.table.text.device)
        self._folds = [
            edge_tensors(fold, len(data.table), data.table.text.device)
            for fold in data.edges.folds or (data.edges,)
        ]
        self._edges = edge_tensors(data.edges, len(data.table), data.table.text.device)
        self._again = bool((data.edges.source == data.edges.target).any())
        self._optimizer = make_optimizer(self.model, data.text_encoder, config)
        self._rates = [group["lr"] for group in self._optimizer.param_groups]
        events = np.bincount(data.graph.event_item, minlength=len(data.table)).astype(np.float64)
        self._sampler = CandidateSampler(
            events, config.negatives, config.full_softmax_items, self._rng
        )

    def run(self) -> Fitted:
        """Train, and return the best epoch's model with its terms blended."""
        model = self.model
        losses: list[float] = []
        validation: list[float] = []
        best, best_epoch, best_value, blend = model.state_dict(), 0, -np.inf, self._blend
        settled = self._settle()
        for epoch in range(self._config.epochs + 1):
            if epoch:
                losses.append(self._epoch(epoch))
                settled = self._settle()
            if self._validate is None:
                best, best_epoch = model.state_dict(), epoch
                continue
            # How loud terms should be hardly changes afterwards, but for what embeddings take over.
            terms = TERMS[:-1] if epoch <= 1 else ("edges",)
            blend, value = self._tune(self._validate, settled, blend, terms)
            validation.append(value)
            if value > best_value:
                best, best_epoch, best_value = copy.deepcopy(model.state_dict()), epoch, value
            elif epoch - best_epoch >= self._config.patience:
                break
        model.load_state_dict(best)
        embeddings, weights = settled = self._settle()
        if self._validate is not None:
            blend, _ = self._tune(self._validate, settled, blend)
        apply_blend(model, blend)
        return Fitted(model.eval(), embeddings, weights, best_epoch, losses, validation, blend)

    def _tune(
        self,
        validate: Callable[[Ranker], float],
        settled: tuple[Tensor, Tensor],
        start: Blend,
        terms: Sequence[str] = TERMS,
    ) -> tuple[Blend, float]:
        """The blend that validates best, and its value; the model is left as it was.

        How loud terms are changes neither embeddings nor edges: they stay as `_settle` left them.
        """
        plain = copy.deepcopy(self.model.state_dict())

        def judge(blend: Blend) -> float:
            self.model.load_state_dict(plain)
            apply_blend(self.model, blend)
            return validate(self._ranker(*settled))

        best, value = tune_blend(judge, start, terms)
        self.model.load_state_dict(plain)
        return best, value

    def ranker(
        self, fitted: Fitted, popularity: npt.NDArray[np.float64] | None = None
    ) -> RecommenderRanker:
        """The fitted model as a ranker.

        Args:
            fitted: What `run` returned.
            popularity: (items,) as it stands at the moment that is asked about; by default as it
                stood in training.
        """
        ranker = self._ranker(fitted.embeddings, fitted.edge_weights)
        if popularity is None:
            return ranker
        live = torch.from_numpy(np.log1p(popularity).astype(np.float32))
        with torch.no_grad():
            return ranker.with_bias(self.model.bias(live.to(fitted.embeddings.device)))

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
        """One pass over the events, or over a sample; the mean loss of its steps."""
        config, losses = self._config, []
        self.model.train()
        shape = config.model.interest_encoder
        reach = shape.again_events if self._again else 0
        graph, most = self._data.graph, shape.max_events
        windows = Windows(graph, most, self._rng, reach, any_order=config.any_order)
        batches = windows.batches(config.batch_events, self._data.fold_of_user)
        batches = batches[: config.epoch_steps]
        device = self._data.table.text.device
        for number, members in enumerate(batches):
            batch = windows.read(members, config.same_moment, config.look_ahead)
            batch = batch.to(device)
            fold = int(self._data.fold_of_user[windows.users[members[0]]])
            self._schedule((epoch - 1) * len(batches) + number, config.epochs * len(batches))
            losses.append(self._step(batch, self._folds[fold]))
            done = (epoch - 1) * len(batches) + number + 1
            figures = {"loss": losses[-1], "epoch": float(epoch)}
            self._report(done, config.epochs * len(batches), figures)
        return float(np.mean(losses)) if losses else 0.0

    def _schedule(self, done: int, total: int) -> None:
        """Set the rates of the next step, of `total` of which so many are done."""
        factor = max(LEAST_RATE, (1 + math.cos(math.pi * done / total)) / 2)
        warm_up = min(self._config.warm_up_steps, total * MOST_WARM_UP)
        factor *= min(1.0, (done + 1) / max(warm_up, 1.0))
        for group, rate in zip(self._optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * factor

    def _step(self, batch: WindowBatch, edges: EdgeTensors) -> float:
        """One step of the optimiser; its loss."""
        data = self._data
        targets = batch.targets[batch.weight > 0].cpu().numpy()
        if not len(targets):
            return 0.0
        candidates = self._sampler.draw(targets).to(self._state.device)
        fresh = self._fresh_texts(batch)
        share, processes = batch, self._processes
        self._steps += 1
        if processes.size > 1:
            share = batch.share(processes.rank, processes.size)
            # What is left out at random of the items, which all of them embed, is the same.
            torch.manual_seed(self._config.seed + self._steps)
        loss, rows, embeddings = self.model.loss(
            share, candidates, data.table, edges, self._state, data.past, fresh, batch
        )
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        processes.sum_gradients(
            one for group in self._optimizer.param_groups for one in group["params"]
        )
        nn.utils.clip_grad_norm_(self.model.parameters(), 5.0)
        self._optimizer.step()
        self._state[rows] = embeddings.detach()
        if fresh is not None:
            data.table.text[fresh[0]] = fresh[1].detach()
        return processes.sum(float(loss.detach()))

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
