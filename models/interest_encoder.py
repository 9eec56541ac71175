"""The interest encoder in torch: trains the weights of `interest_graph.interest_encoder`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from interest_graph.interaction_graph import DAY_S
from interest_graph.interest_kernels import LAST_KNOT, MINUTE_S

if TYPE_CHECKING:
    import numpy.typing as npt


AGAIN_HALF_LIVES_S = ((320 * DAY_S, 0.5), (80 * DAY_S, 0.3), (20 * DAY_S, 0.2))
TINY = 1e-20
AGAIN_AMOUNT = 4.0  # what one event of full weight starts with; two then count 1.4 times as much
GAMMA_SUM = 3.0  # what the γ of all events start with together, at most


@dataclass(frozen=True, slots=True)
class InterestEncoderConfig:
    """Shape of an interest encoder.

    Args:
        dim: Dimension of the embeddings.
        event_weights: Weight of each event type in code order; the tables of α and γ start there.
        max_events: Newest events that count.
        again_events: Newest events after which a thing may be wanted again; at least `max_events`.
        layers: Transformer layers behind α.
        heads: Attention heads of each layer.
        knots: Points at which the tables of time are learned.
        dropout: Share of the hidden values dropped in training.
        rank_decay: γ of an event starts at this to the power of its rank.
        score_scale: M starts as this times the identity.
        attentive: Whether α depends on what the events are; otherwise on rank, age and type alone.
        timed: Whether time counts; otherwise the order alone.
    """

    dim: int = 64
    event_weights: tuple[float, ...] = (0.1, 0.2, 0.5, 1.0, 0.5, 0.5)
    max_events: int = 50
    again_events: int = 250
    layers: int = 2
    heads: int = 2
    knots: int = 16
    dropout: float = 0.1
    rank_decay: float = 0.99
    score_scale: float = 2.0
    attentive: bool = True
    timed: bool = True


class _Block(nn.Module):
    """A layer of causal self-attention with biases for rank and time, and a feed-forward part."""

    def __init__(self, config: InterestEncoderConfig) -> None:
        super().__init__()
        dim = config.dim
        self.heads = config.heads
        self.norm_attention = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.out = nn.Linear(dim, dim, bias=False)
        self.rank_bias = nn.Parameter(torch.zeros(config.heads, config.max_events))
        self.time_bias = nn.Parameter(torch.zeros(config.knots, config.heads))
        self.norm_feed = nn.LayerNorm(dim)
        self.expand = nn.Linear(dim, 2 * dim)
        self.contract = nn.Linear(2 * dim, dim)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, distance: Tensor, between: Tensor) -> Tensor:
        """One layer.

        Args:
            x: (B, T, dim).
            distance: (T, T) int64, row minus column.
            between: (B, T, T) float64 seconds from column to row.
        """
        batch, count, dim = x.shape
        mixed = self.qkv(self.norm_attention(x)).view(batch, count, 3, self.heads, -1)
        query, key, value = mixed.permute(2, 0, 3, 1, 4)  # (B, heads, T, dim / heads)
        bias = self.rank_bias[:, distance.clamp(min=0)]  # (heads, T, T)
        bias = bias + at_knots(self.time_bias, between).permute(0, 3, 1, 2)
        bias = bias.masked_fill(distance < 0, float("-inf"))
        attended = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        x = x + self.dropout(self.out(attended.transpose(1, 2).reshape(batch, count, dim)))
        hidden = torch.relu(self.expand(self.norm_feed(x)))
        return torch.as_tensor(x + self.dropout(self.contract(hidden)))


class InterestEncoder(nn.Module):
    """α from a causal transformer over a user's events, γ and ρ from tables, and the map M.

        α_uj = softmax_j(q(z_last, age_last) · k(z_j) / √d + rank_j + age_j + type_j)
        γ_uj = exp(rank_j + age_j + type_j)
        ρ_uj = r · e_uj · log(1 + S_uj) / S_uj     e_uj = exp(rank_j + age_j + type_j)

    with z the output of a transformer (Vaswani et al. 2017, arXiv:1706.03762) that sees items,
    event types and time gaps and attends backwards with biases for the rank and the time between
    two events (Li, Wang & McAuley 2020, TiSASRec). The values stay linear: an interest is
    Σ_j α_uj v_j. S_uj sums e over the events of j's item: what is bought a tenth time is wanted
    more than after the first, but not ten times as much, and the sum over its events is still one.

    Args:
        config: Its shape.

    Shapes:
        - embeddings: (B, T, dim); event_types: (B, T) int64; times: (B, T) float64 seconds
        - last: (B, Q) int64, position of the newest visible event, -1 for none
        - as_of: (B, Q) float64 seconds
        - output: α and γ, each (B, Q, T), 0 at what is not visible
    """

    def __init__(self, config: InterestEncoderConfig) -> None:
        super().__init__()
        dim, types, knots = config.dim, len(config.event_weights), config.knots
        self.config = config
        self.input = nn.Linear(dim, dim, bias=False)
        self.type_embedding = nn.Parameter(torch.randn(types, dim) * 0.02)
        self.gap_embedding = nn.Parameter(torch.randn(knots, dim) * 0.02)
        self.input_norm = nn.LayerNorm(dim)
        self.blocks = nn.ModuleList(_Block(config) for _ in range(config.layers))
        self.output_norm = nn.LayerNorm(dim)
        self.query = nn.Linear(dim, dim, bias=False)
        self.key = nn.Linear(dim, dim, bias=False)
        self.query_age = nn.Parameter(torch.zeros(knots, dim))
        ranks = torch.arange(config.max_events, dtype=torch.float32)
        log_weights = torch.tensor(config.event_weights).clamp(min=1e-3).log()
        self.alpha_rank = nn.Parameter(ranks * np.log(config.rank_decay))
        self.alpha_age = nn.Parameter(torch.zeros(knots))
        self.alpha_type = nn.Parameter(log_weights.clone())
        decayed = ranks * np.log(config.rank_decay)
        together = decayed.exp().sum().clamp(min=GAMMA_SUM) / GAMMA_SUM
        self.gamma_rank = nn.Parameter(decayed - together.log())
        self.gamma_age = nn.Parameter(torch.zeros(knots))
        self.gamma_type = nn.Parameter(log_weights.clone())
        self.again_rank = nn.Parameter(torch.zeros(max(config.again_events, config.max_events)))
        self.again_age = nn.Parameter(_forgetting(knots))
        self.again_type = nn.Parameter(log_weights + math.log(AGAIN_AMOUNT))
        self.again_scale = nn.Parameter(torch.tensor(0.0))
        self.score_map = nn.Parameter(torch.eye(dim) * config.score_scale)
        self.dropout = nn.Dropout(config.dropout)
        self._leave_out()

    @torch.no_grad()
    def _leave_out(self) -> None:
        """Zero and freeze what the configuration leaves out."""
        left_out = [] if self.config.attentive else [self.query.weight, self.query_age]
        if not self.config.timed:
            left_out += [self.gap_embedding, self.query_age, self.alpha_age]
            left_out += [self.gamma_age, self.again_age]
            left_out += [
                parameter for name, parameter in self.named_parameters() if "time_bias" in name
            ]
        for parameter in left_out:
            parameter.zero_()
            parameter.requires_grad = False

    def forward(
        self, embeddings: Tensor, event_types: Tensor, times: Tensor, last: Tensor, as_of: Tensor
    ) -> tuple[Tensor, Tensor]:
        """α and γ for every question (last, as_of); shapes as in the class."""
        states = self._states(embeddings, event_types, times)
        position = last.clamp(min=0).unsqueeze(-1)  # (B, Q, 1)
        ages = as_of.unsqueeze(-1) - times.unsqueeze(1)  # (B, Q, T) float64
        newest = states.gather(1, position.expand(-1, -1, states.shape[-1]))
        query = self.query(newest) + at_knots(self.query_age, ages.gather(2, position).squeeze(-1))
        logits = query @ self.key(states).transpose(1, 2) / self.config.dim**0.5
        rank = last.unsqueeze(-1) - torch.arange(times.shape[1], device=times.device)
        visible = rank >= 0
        rank = rank.clamp(min=0)
        low, share = _knot_places(ages, self.config.knots)
        logits = logits + self.alpha_rank[rank] + _between(self.alpha_age, low, share)
        logits = logits + self.alpha_type[event_types].unsqueeze(1)
        logits = logits.masked_fill(~visible, torch.finfo(logits.dtype).min)
        alpha = logits.softmax(-1) * visible
        gamma = self.gamma_rank[rank] + _between(self.gamma_age, low, share)
        gamma = (gamma + self.gamma_type[event_types].unsqueeze(1)).exp() * visible
        return alpha, gamma

    def again(
        self, items: Tensor, event_types: Tensor, times: Tensor, last: Tensor, as_of: Tensor
    ) -> Tensor:
        """ρ for every question: (B, Q, T), 0 at what is not visible; shapes as in the class.

        `items` (B, T) are any numbers that tell the items of a row apart.
        """
        rank = last.unsqueeze(-1) - torch.arange(times.shape[1], device=times.device)
        visible = (rank >= 0) & (rank < len(self.again_rank))
        ages = as_of.unsqueeze(-1) - times.unsqueeze(1)  # (B, Q, T) float64
        weight = self.again_rank[rank.clamp(0, len(self.again_rank) - 1)]
        weight = weight + at_knots(self.again_age, ages)
        amount = (weight + self.again_type[event_types].unsqueeze(1)).exp() * visible
        group = _groups(items).unsqueeze(1).expand_as(amount)
        total = torch.zeros_like(amount).scatter_add(2, group, amount).gather(2, group)
        return amount * self.again_scale.exp() * torch.log1p(total) / total.clamp(min=TINY)

    def _states(self, embeddings: Tensor, event_types: Tensor, times: Tensor) -> Tensor:
        """The transformer's output at every event, (B, T, dim)."""
        gaps = torch.full_like(times, float("inf"))
        gaps[:, 1:] = times[:, 1:] - times[:, :-1]
        x = self.input(embeddings) + self.type_embedding[event_types]
        x = self.dropout(self.input_norm(x + at_knots(self.gap_embedding, gaps)))
        positions = torch.arange(times.shape[1], device=times.device)
        distance = positions.unsqueeze(1) - positions.unsqueeze(0)
        between = times.unsqueeze(2) - times.unsqueeze(1)
        for block in self.blocks:
            x = block(x, distance, between)
        normed: Tensor = self.output_norm(x)
        return normed

    def tensors(self) -> dict[str, npt.NDArray[np.float32]]:
        """The weights under the names that `interest_graph.interest_encoder` reads."""
        return {
            name: tensor.detach().cpu().numpy().astype(np.float32)
            for name, tensor in self.state_dict().items()
        }


def at_knots(table: Tensor, seconds: Tensor) -> Tensor:
    """A table read at time spans, as `interest_graph.interest_kernels` does."""
    low, share = _knot_places(seconds, len(table))
    return _between(table, low, share)


def _forgetting(knots: int) -> Tensor:
    """A table of time that starts as the log of a mixture of half-lives, (knots,).

    What is taken again soon and what is taken again next year are both remembered: with one
    half-life either the newest baskets say too little, or the old ones.
    """
    seconds = MINUTE_S * torch.expm1(torch.arange(knots) * (LAST_KNOT / (knots - 1)))
    kept = sum(share * torch.exp2(-seconds / half) for half, share in AGAIN_HALF_LIVES_S)
    return torch.log(torch.as_tensor(kept))


def _groups(items: Tensor) -> Tensor:
    """Numbers below T, equal where the items of a row are: (B, T) int64."""
    ordered, order = items.sort(1)
    new = torch.zeros_like(ordered)
    new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    return torch.zeros_like(items).scatter(1, order, new.cumsum(1))


def _knot_places(seconds: Tensor, knots: int) -> tuple[Tensor, Tensor]:
    """The knot below each time span, and the share of the knot above."""
    position = torch.log1p(seconds.clamp(min=0.0) / MINUTE_S) * ((knots - 1) / LAST_KNOT)
    position = position.clamp(max=knots - 1)
    low = position.long().clamp(max=knots - 2)
    return low, (position - low).to(torch.float32)


def _between(table: Tensor, low: Tensor, share: Tensor) -> Tensor:
    """The table's value between two knots."""
    if table.dim() > 1:
        share = share.unsqueeze(-1)
    return table[low] * (1 - share) + table[low + 1] * share
