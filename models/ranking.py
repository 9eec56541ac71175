"""A trained model as a ranker: the scores of all items for a batch of users."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from interest_graph.interest_kernels import MINUTE_S

from .item_table import expand
from .sequences import newest_windows

if TYPE_CHECKING:
    from .evaluation.cases import Cases
    from .recommender import EdgeTensors, Recommender

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


class RecommenderRanker:
    """Scores every item for users at one moment, in torch.

    Args:
        model: The trained model.
        embeddings: (items, dim), the fixed point.
        bias: (items,).
        edges: The item graph.
        edge_weights: (E,) its weights.
    """

    def __init__(
        self,
        model: Recommender,
        embeddings: Tensor,
        bias: Tensor,
        edges: EdgeTensors,
        edge_weights: Tensor,
    ) -> None:
        self._model, self._embeddings, self._bias = model.eval(), embeddings, bias
        self._edges, self._edge_weights = edges, edge_weights

    def with_bias(self, bias: Tensor) -> RecommenderRanker:
        """The same model with another bias (items,)."""
        return RecommenderRanker(
            self._model, self._embeddings, bias, self._edges, self._edge_weights
        )

    @torch.inference_mode()
    def __call__(self, cases: Cases) -> Floats:
        """Scores of all items for some cases: (cases, items)."""
        history, encoder = cases.history, self._model.interest_encoder
        device = self._embeddings.device
        index, real = newest_windows(history, cases.users, encoder.config.max_events)
        items = torch.from_numpy(history.event_item[index]).to(device)
        types = torch.from_numpy(history.event_type[index]).to(device)
        times = torch.from_numpy(history.event_time[index]).to(device)
        last = torch.from_numpy(real.sum(1, keepdims=True) - 1).to(device)
        as_of = np.floor(cases.as_of / MINUTE_S) * MINUTE_S
        moment = torch.from_numpy(as_of).to(device).unsqueeze(-1)
        values = self._embeddings[items]  # (U, T, dim)
        alpha, gamma = encoder(types, times, last, moment)
        query = (alpha @ values).squeeze(1) @ encoder.score_map
        scores = query @ self._embeddings.T + self._bias
        self._add_edges(scores, items, gamma.squeeze(1))
        if len(self._edges.again_places):
            self._add_again(scores, cases, moment)
        return np.asarray(scores.cpu().numpy())

    def _add_edges(self, scores: Tensor, items: Tensor, gamma: Tensor) -> None:
        """Add Σ_{j≠i} γ_j w_ji in place."""
        user, place = torch.nonzero(gamma > 0, as_tuple=True)
        source = items[user, place]
        starts = self._edges.start[source]
        counts = self._edges.start[source + 1] - starts
        chosen = expand(starts, counts)
        amount = torch.repeat_interleave(gamma[user, place], counts) * self._edge_weights[chosen]
        target = self._edges.target[chosen]
        amount = amount * (target != torch.repeat_interleave(source, counts))
        flat = torch.repeat_interleave(user, counts) * scores.shape[1] + target
        scores.view(-1).index_add_(0, flat, amount)

    def _add_again(self, scores: Tensor, cases: Cases, moment: Tensor) -> None:
        """Add Σ_{j=i} ρ_j w_ii in place."""
        history, encoder = cases.history, self._model.interest_encoder
        index, real = newest_windows(history, cases.users, len(encoder.again_rank))
        device = scores.device
        items = torch.from_numpy(np.where(real, history.event_item[index], 0)).to(device)
        types = torch.from_numpy(history.event_type[index]).to(device)
        times = torch.from_numpy(history.event_time[index]).to(device)
        last = torch.from_numpy(real.sum(1, keepdims=True) - 1).to(device)
        again = encoder.again(items, types, times, last, moment).squeeze(1)  # (U, A)
        own = self._edges.again_places
        weights = scores.new_zeros(scores.shape[1])
        weights[self._edges.target[own]] = self._edge_weights[own]
        scores.scatter_add_(1, items, again * weights[items])
