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
        knots: Points at which the tables of time are learned.
        rank_decay: α and γ of an event start at this to the power of its rank.
        score_scale: M starts as this times the identity.
        timed: Whether time counts; otherwise the order alone.
        attentive: Whether α tells events apart; otherwise an interest is their mean.
    """

    dim: int = 64
    event_weights: tuple[float, ...] = (0.1, 0.2, 0.5, 1.0, 0.5, 0.5)
    max_events: int = 50
    again_events: int = 250
    knots: int = 16
    rank_decay: float = 0.99
    score_scale: float = 2.0
    timed: bool = True
    attentive: bool = True


class InterestEncoder(nn.Module):
    """α, γ and ρ from tables of rank, age and event type, and the map M.

        α_uj = softmax_j(rank_j + age_j + type_j)
        γ_uj = exp(rank_j + age_j + type_j)
        ρ_uj = r · e_uj · log(1 + S_uj) / S_uj     e_uj = exp(rank_j + age_j + type_j)

    each with tables of its own. An interest is Σ_j α_uj v_j. S_uj sums e over the events of j's
    item: what is bought a tenth time is wanted more than after the first, but not ten times as
    much, and the sum over its events is still one.

    Args:
        config: Its shape.

    Shapes:
        - event_types: (B, T) int64; times: (B, T) float64 seconds
        - last: (B, Q) int64, position of the newest visible event, -1 for none
        - as_of: (B, Q) float64 seconds
        - output: α and γ, each (B, Q, T), 0 at what is not visible
    """

    def __init__(self, config: InterestEncoderConfig) -> None:
        super().__init__()
        dim, knots = config.dim, config.knots
        self.config = config
        ranks = torch.arange(config.max_events, dtype=torch.float32)
        log_weights = torch.tensor(config.event_weights).clamp(min=1e-3).log()
        decayed = ranks * np.log(config.rank_decay)
        self.alpha_rank = nn.Parameter(decayed.clone())
        self.alpha_age = nn.Parameter(torch.zeros(knots))
        self.alpha_type = nn.Parameter(log_weights.clone())
        together = decayed.exp().sum().clamp(min=GAMMA_SUM) / GAMMA_SUM
        self.gamma_rank = nn.Parameter(decayed - together.log())
        self.gamma_age = nn.Parameter(torch.zeros(knots))
        self.gamma_type = nn.Parameter(log_weights.clone())
        self.again_rank = nn.Parameter(torch.zeros(max(config.again_events, config.max_events)))
        self.again_age = nn.Parameter(_forgetting(knots))
        self.again_type = nn.Parameter(log_weights + math.log(AGAIN_AMOUNT))
        self.again_scale = nn.Parameter(torch.tensor(0.0))
        self.score_map = nn.Parameter(torch.eye(dim) * config.score_scale)
        if not config.timed:
            _leave_out(self.alpha_age, self.gamma_age, self.again_age)
        if not config.attentive:
            _leave_out(self.alpha_rank, self.alpha_age, self.alpha_type)

    def forward(
        self, event_types: Tensor, times: Tensor, last: Tensor, as_of: Tensor
    ) -> tuple[Tensor, Tensor]:
        """α and γ for every question (last, as_of); shapes as in the class."""
        rank = last.unsqueeze(-1) - torch.arange(times.shape[1], device=times.device)
        visible = rank >= 0
        rank = rank.clamp(min=0)
        ages = as_of.unsqueeze(-1) - times.unsqueeze(1)  # (B, Q, T) float64
        low, share = _knot_places(ages, self.config.knots)
        logits = self.alpha_rank[rank] + _between(self.alpha_age, low, share)
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

    def tensors(self) -> dict[str, npt.NDArray[np.float32]]:
        """The weights under the names that `interest_graph.interest_encoder` reads."""
        return {
            name: tensor.detach().cpu().numpy().astype(np.float32)
            for name, tensor in self.state_dict().items()
        }


@torch.no_grad()
def _leave_out(*tables: nn.Parameter) -> None:
    """Zero and freeze tables."""
    for table in tables:
        table.zero_()
        table.requires_grad = False


def at_knots(table: Tensor, seconds: Tensor) -> Tensor:
    """A table (knots,) read at time spans, as `interest_graph.interest_kernels` does."""
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
    return table[low] * (1 - share) + table[low + 1] * share
