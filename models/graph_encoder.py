"""The graph encoder: item embeddings from text, identity, categories, brand and related items."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch_geometric.nn import MessagePassing
from torch_geometric.utils import softmax

if TYPE_CHECKING:
    from torch_geometric.data import HeteroData

SOURCES = ("text", "identity", "category", "brand")
NODE_TYPES = ("item", "category", "brand")
WORDS_START = 0.1
LEAST_SPREAD = 0.05


@dataclass(frozen=True, slots=True)
class GraphEncoderConfig:
    """Shape of a graph encoder.

    Args:
        dim: Dimension of the embeddings.
        text_dim: Dimension of the text embeddings.
        static_dim: Leading text directions that the attention sees.
        hidden: Width of the attention networks.
        neighbor_share: Upper bound ρ of what comes from the neighbours; below 1, so that repeated
            steps converge.
        identity_dropout: Share of identities left out in training, so that an item without one
            works.
        word_dropout: Share of words left out in training.
    """

    dim: int = 64
    text_dim: int = 384
    static_dim: int = 32
    hidden: int = 32
    neighbor_share: float = 0.5
    identity_dropout: float = 0.3
    word_dropout: float = 0.2


@dataclass(frozen=True, slots=True)
class GraphEncoding:
    """One step's result for n seed items.

    Args:
        embeddings: (n, dim) h(t+1).
        own: (n, dim) u, what the item's own sources say.
        source_index: (2, e) seed item and, for categories, row of the category.
        source_type: (e,) position in `SOURCES`.
        source_weight: (e,) β.
        gate: (n,) g, the share of the neighbours.
        neighbor_weight: (m,) a, for the edges of `similar_to`.
    """

    embeddings: Tensor
    own: Tensor
    source_index: Tensor
    source_type: Tensor
    source_weight: Tensor
    gate: Tensor
    neighbor_weight: Tensor


class WeightedSum(MessagePassing):  # type: ignore[misc]  # torch_geometric has no types
    """Σ_j weight_ij · x_j over the edges j → i: the only way values travel, so all is linear."""

    def __init__(self) -> None:
        super().__init__(aggr="add")

    def forward(self, x: Tensor, edge_index: Tensor, weight: Tensor, size: int) -> Tensor:
        """Sum the rows of `x` (k, dim) along edge_index (2, e) into (size, dim)."""
        if not edge_index.shape[1]:
            return x.new_zeros(size, x.shape[1])
        summed: Tensor = self.propagate(edge_index, x=x, weight=weight, size=(len(x), size))
        return summed

    def message(self, x_j: Tensor, weight: Tensor) -> Tensor:
        """A row times its weight."""
        return x_j * weight.unsqueeze(-1)


class GraphEncoder(nn.Module):
    """Heterogeneous attention, linear in the values (after Veličković et al., arXiv:1710.10903).

        u_i      = Σ_p β_ip W_p x_p           over own text, own identity, categories, brand
                   own text: W x_i + Σ_w e_w / √n   with the vectors of its n words
        h_i(t+1) = (1 - g_i) u_i + g_i Σ_j a_ij h_j(t)       over the items j that i leads to

    β, a and g are softmaxes and a gate (at most ρ) of networks that see only what stands still
    within a model version: texts, kinds of source, edge weights, how often an item was seen in
    training. So a step from a frozen state is linear in it and contracts, and what an item without
    identity gets follows from its text, categories and brand alone.

    Args:
        config: Its shape.
        identities: Number of items, categories, brands and words that have a learned identity.

    Shapes:
        - input: `HeteroData` with, for `item` (n seed items), `category` and `brand`, `x`
          (·, text_dim) and `identity` (·,) int64, -1 for none; `item.experience` (n,), log of the
          events in training; `word.identity` (·,); `neighbor.x` (k, text_dim), `neighbor.h`
          (k, dim); `edge_index` of (category, describes, item), (brand, makes, item), (word, in,
          item) and (neighbor, similar_to, item), the last with `edge_weight`
        - output: `GraphEncoding`
    """

    text_mean: Tensor
    text_basis: Tensor

    def __init__(self, config: GraphEncoderConfig, identities: dict[str, int]) -> None:
        super().__init__()
        self.config = config
        dim, static, hidden = config.dim, config.static_dim, config.hidden
        self.register_buffer("text_mean", torch.zeros(config.text_dim))
        self.register_buffer("text_basis", torch.eye(static, config.text_dim))
        self.project = nn.ModuleDict(
            {name: nn.Linear(config.text_dim, dim, bias=False) for name in NODE_TYPES}
        )
        self.identity = nn.ParameterDict(
            {
                name: nn.Parameter(torch.randn(identities[name], dim) * (0.3 / dim**0.5))
                for name in NODE_TYPES
            }
        )
        words = torch.randn(identities["word"], dim) * (WORDS_START / dim**0.5)
        self.identity["word"] = nn.Parameter(words)
        self.source_embedding = nn.Parameter(torch.zeros(len(SOURCES), hidden))
        self.source_net = nn.Linear(2 * static + 1, hidden)
        self.source_out = nn.Linear(hidden, 1, bias=False)
        self.neighbor_net = nn.Linear(2 * static + 1, hidden)
        self.neighbor_out = nn.Linear(hidden, 1, bias=False)
        self.gate_net = nn.Linear(static + 2, hidden)
        self.gate_out = nn.Linear(hidden, 1)
        for out in (self.source_out, self.neighbor_out, self.gate_out):
            nn.init.zeros_(out.weight)
        nn.init.constant_(self.gate_out.bias, -1.0)
        self.sum = WeightedSum()

    @torch.no_grad()
    def fit_texts(self, texts: Tensor) -> None:
        """Start from the texts' own geometry: centre them, take their leading directions.

        Args:
            texts: (n, text_dim) embeddings of the items' distinct texts, none of them zero.
        """
        if len(texts) <= 1:
            return
        mean = texts.mean(0)
        _, spread, basis = torch.linalg.svd(texts - mean, full_matrices=False)
        self.text_mean.copy_(mean)
        # To unit variance, but no direction that the texts hardly use is blown up: a text unlike
        # all others would be thrown far away along it.
        scale = len(texts) ** 0.5 / spread.clamp(min=max(1e-6, LEAST_SPREAD * float(spread[0])))
        count = min(self.config.static_dim, len(basis))
        self.text_basis.zero_()
        self.text_basis[:count] = basis[:count] * scale[:count, None]
        count = min(self.config.dim, len(basis))
        weight = basis.new_zeros(self.config.dim, self.config.text_dim)
        softened = (scale[:count] * scale[0]).sqrt() * 0.25
        weight[:count] = basis[:count] * softened[:, None]
        for name in NODE_TYPES:
            self.get_parameter(f"project.{name}.weight").copy_(weight)

    def static(self, x: Tensor) -> Tensor:
        """What the attention sees of text embeddings: (·, static_dim), 0 for no text."""
        said = (x != 0).any(-1, keepdim=True)
        seen: Tensor = (x.detach() - self.text_mean) @ self.text_basis.T * said
        return seen

    def forward(self, data: HeteroData) -> GraphEncoding:
        """One step for the seed items; shapes as in the class."""
        static = {name: self.static(data[name].x) for name in NODE_TYPES}
        values, index, source_type, seen = self._sources(data, static)
        items = static["item"][index[1]]
        inputs = torch.cat([items, seen], -1)
        hidden = self.source_net(inputs) + self.source_embedding[source_type]
        logits = self.source_out(torch.relu(hidden)).squeeze(-1)
        count = len(data["item"].x)
        weight = softmax(logits, index[1], num_nodes=count)
        own = self.sum(values, index, weight, count)
        gate, neighbor_weight, related = self._neighbors(data, static["item"])
        embeddings = (1 - gate).unsqueeze(-1) * own + gate.unsqueeze(-1) * related
        rows = index[0] - self._offset(data)
        return GraphEncoding(
            embeddings,
            own,
            torch.stack([index[1], rows]),
            source_type,
            weight,
            gate,
            neighbor_weight,
        )

    @staticmethod
    def _offset(data: HeteroData) -> int:
        """Row of the first category among the sources: behind item texts and identities."""
        return 2 * len(data["item"].x)

    def node_values(self, name: str, store: Any) -> Tensor:
        """W x plus the learned identity where there is one: (·, dim)."""
        said = (store.x != 0).any(-1, keepdim=True)
        value: Tensor = self.project[name](store.x - self.text_mean) * said
        return torch.as_tensor(value + self._identities(name, store.identity))

    def _identities(self, name: str, rows: Tensor) -> Tensor:
        """Learned identities, zero where there is none."""
        table = self.identity[name]
        if not len(table):
            return torch.zeros(len(rows), self.config.dim, device=rows.device)
        found = nn.functional.embedding(rows.clamp(min=0), table)
        return torch.as_tensor(found * (rows >= 0).unsqueeze(-1))

    def _sources(
        self, data: HeteroData, static: dict[str, Tensor]
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """All sources of all seed items.

        Returns:
            values (s, dim), edge index (2, e) source → item, kind of each edge (e,), and what the
            attention sees of each edge's source (e, static_dim + 1).
        """
        item, device = data["item"], data["item"].x.device
        count = len(item.x)
        identity = item.identity
        if self.training and self.config.identity_dropout > 0:
            dropped = torch.rand(count, device=device) < self.config.identity_dropout
            identity = identity.masked_fill(dropped, -1)
        said = (item.x != 0).any(-1)
        text_value = self.project["item"](item.x - self.text_mean) + self._words(data)
        values = torch.cat(
            [
                text_value,
                self._identities("item", identity),
                self.node_values("category", data["category"]),
                self.node_values("brand", data["brand"]),
            ]
        )
        rows = torch.arange(count, device=device)
        category = data["category", "describes", "item"].edge_index
        brand = data["brand", "makes", "item"].edge_index
        own, known = rows[said], rows[identity >= 0]
        base = self._offset(data)
        index = torch.cat(
            [
                torch.stack([own, own]),
                torch.stack([known + count, known]),
                torch.stack([category[0] + base, category[1]]),
                torch.stack([brand[0] + base + len(data["category"].x), brand[1]]),
            ],
            1,
        )
        sizes = (len(own), len(known), category.shape[1], brand.shape[1])
        kind = torch.repeat_interleave(
            torch.arange(len(SOURCES), device=device), torch.tensor(sizes, device=device)
        )
        seen = torch.cat(
            [
                static["item"][own],
                static["item"].new_zeros(len(known), self.config.static_dim),
                static["category"][category[0]],
                static["brand"][brand[0]],
            ]
        )
        experience = item.experience[index[1]] * (kind == SOURCES.index("identity"))
        return values, index, kind, torch.cat([seen, experience.unsqueeze(-1)], -1)

    def _words(self, data: HeteroData) -> Tensor:
        """The words of each seed item, summed over the root of their number: (n, dim)."""
        index, count = data["word", "in", "item"].edge_index, len(data["item"].x)
        if self.training and self.config.word_dropout > 0:
            kept = torch.rand(index.shape[1], device=index.device) >= self.config.word_dropout
            index = index[:, kept]
        values = self._identities("word", data["word"].identity)
        number = torch.bincount(index[1], minlength=count).clamp(min=1).to(values.dtype)
        return torch.as_tensor(self.sum(values, index, number.rsqrt()[index[1]], count))

    def _neighbors(self, data: HeteroData, items: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The gate (n,), the attention over related items (m,), and their sum (n, dim)."""
        store = data["neighbor", "similar_to", "item"]
        index, strength = store.edge_index, torch.log1p(store.edge_weight.detach())
        count = len(items)
        neighbors = self.static(data["neighbor"].x)
        inputs = torch.cat([items[index[1]], neighbors[index[0]], strength.unsqueeze(-1)], -1)
        logits = self.neighbor_out(torch.relu(self.neighbor_net(inputs))).squeeze(-1) + strength
        attention = softmax(logits, index[1], num_nodes=count)
        related = self.sum(data["neighbor"].h, index, attention, count)
        degree = items.new_zeros(count).index_add(0, index[1], torch.ones_like(strength))
        total = items.new_zeros(count).index_add(0, index[1], strength)
        seen = torch.cat([items, torch.log1p(degree).unsqueeze(-1), total.unsqueeze(-1)], -1)
        gate = torch.sigmoid(self.gate_out(torch.relu(self.gate_net(seen))).squeeze(-1))
        return gate * self.config.neighbor_share * (degree > 0), attention, related
