"""A causal transformer over item sequences: the network of SASRec."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

INITIAL_STD = 0.1


class CausalTransformer(nn.Module):
    """Item and position embeddings, then blocks of causal self-attention (pre-norm).

    Args:
        items: Number of items.
        dim: Size of embeddings and states.
        layers: Blocks.
        heads: Attention heads.
        max_events: Longest sequence.
        dropout: Of embeddings, attention and feed-forward parts.

    Shapes:
        items: (B, T) int64 rows, padded on the right, oldest first; states: (B, T, dim).
    """

    def __init__(
        self, items: int, dim: int, layers: int, heads: int, max_events: int, dropout: float
    ) -> None:
        super().__init__()
        self.item = nn.Embedding(items, dim)
        self.position = nn.Embedding(max_events, dim)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList([_Block(dim, heads, dropout) for _ in range(layers)])
        self.norm = nn.LayerNorm(dim)
        for embedding in (self.item, self.position):
            nn.init.normal_(embedding.weight, std=INITIAL_STD)

    def forward(self, items: Tensor) -> Tensor:
        """The state after each event."""
        places = torch.arange(items.shape[1], device=items.device)
        states = self.dropout(self.item(items) + self.position(places))  # (B, T, d)
        for block in self.blocks:
            states = block(states)
        return cast("Tensor", self.norm(states))


class _Block(nn.Module):
    """Self-attention and a feed-forward part, each added to what comes in."""

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self._heads, self._dropout = heads, dropout
        self.attention_norm, self.feed_norm = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.to_qkv, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.feed = nn.Sequential(
            nn.Linear(dim, 4 * dim), nn.GELU(), nn.Dropout(dropout), nn.Linear(4 * dim, dim)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, states: Tensor) -> Tensor:
        batch, length, dim = states.shape
        qkv = self.to_qkv(self.attention_norm(states))
        query, key, value = qkv.view(batch, length, 3, self._heads, -1).permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(
            query,
            key,
            value,
            dropout_p=self._dropout if self.training else 0.0,
            is_causal=True,
        )  # (B, heads, T, d / heads)
        states = states + self.dropout(self.out(seen.transpose(1, 2).reshape(batch, length, dim)))
        return cast("Tensor", states + self.dropout(self.feed(self.feed_norm(states))))
