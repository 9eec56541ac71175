"""The joint model: graph encoder, interest encoder and item graph, summed to one score."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from .graph_encoder import GraphEncoder, GraphEncoderConfig
from .interest_encoder import InterestEncoder, InterestEncoderConfig
from .item_graph import EdgeNet, FoldEdges, ItemEdges
from .item_table import ItemTable, expand

if TYPE_CHECKING:
    from .past_popularity import PastPopularity
    from .sequences import WindowBatch

CHUNK_ROWS = 8192
MAX_SWEEPS = 200
MIXED_PRECISION = ("cuda",)


@dataclass(frozen=True, slots=True)
class RecommenderConfig:
    """Shape of the joint model."""

    graph_encoder: GraphEncoderConfig = field(default_factory=GraphEncoderConfig)
    interest_encoder: InterestEncoderConfig = field(default_factory=InterestEncoderConfig)


@dataclass(frozen=True, slots=True)
class Candidates:
    """The items a step ranks.

    Args:
        rows: (C,) int64 item rows, ascending.
        drawn: (C,) bool, whether an item was drawn for all events; the others are only targets.
        log_inclusion: (C,) float32, log of the chance of being drawn; zeros when all items are.
    """

    rows: Tensor
    drawn: Tensor
    log_inclusion: Tensor

    def to(self, device: torch.device) -> Candidates:
        """The same on another device."""
        moved = (part.to(device) for part in (self.rows, self.drawn, self.log_inclusion))
        return Candidates(*moved)


class Recommender(nn.Module):
    """s(u, i) = Σ_j α_uj v_jᵀ M v_i + Σ_{j≠i} γ_uj w_ji + Σ_{j=i} ρ_uj w_ii + c · log(1 + n_i).

    n is the popularity as it stands at the moment that is asked about, in training too.

    Args:
        config: Its shape.
        identities: Number of items, categories and brands with a learned identity.
        edges: Number of edges of the item graph.
    """

    def __init__(self, config: RecommenderConfig, identities: dict[str, int], edges: int) -> None:
        super().__init__()
        self.config = config
        self.graph_encoder = GraphEncoder(config.graph_encoder, identities)
        self.interest_encoder = InterestEncoder(config.interest_encoder)
        self.edge_net = EdgeNet(edges)
        self.popularity_weight = nn.Parameter(torch.tensor(0.5))

    def embed(
        self,
        table: ItemTable,
        rows: Tensor,
        state: Tensor,
        fresh: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """h(t+1) of the items in `rows` (n,), ascending, from the frozen state (items, dim).

        `fresh` replaces the text embeddings of some of them, to let gradients through.
        """
        data = table.subgraph(rows, state)
        if fresh is not None:
            place = torch.searchsorted(rows, fresh[0])
            data["item"].x = data["item"].x.index_put((place,), fresh[1])
        embeddings: Tensor = self.graph_encoder(data).embeddings
        return embeddings

    @torch.no_grad()
    def sweep(self, table: ItemTable, tolerance: float = 1e-6) -> Tensor:
        """The fixed point of the seed formula for all items, (items, dim)."""
        device = table.text.device
        state = torch.zeros(len(table), self.config.graph_encoder.dim, device=device)
        parts = []
        for start in range(0, len(table), CHUNK_ROWS):
            rows = torch.arange(start, min(start + CHUNK_ROWS, len(table)), device=device)
            encoding = self.graph_encoder(table.subgraph(rows, state))
            owner, column = torch.nonzero(table.neighbor_rows[rows] >= 0, as_tuple=True)
            index = torch.stack([table.neighbor_rows[rows][owner, column], owner + start])
            parts.append((encoding.own, encoding.gate, encoding.neighbor_weight, index))
        if not parts:
            return state
        own, gate, weight = (torch.cat([part[place] for part in parts]) for place in range(3))
        index = torch.cat([part[3] for part in parts], 1)
        state, gate = own, gate.unsqueeze(-1)
        for _ in range(MAX_SWEEPS):
            related = self.graph_encoder.sum(state, index, weight, len(table))
            moved = (1 - gate) * own + gate * related
            if float((moved - state).abs().max()) < tolerance:
                return torch.as_tensor(moved)
            state = moved
        return state

    def bias(self, log_popularity: Tensor) -> Tensor:
        """The score's last term."""
        return torch.as_tensor(self.popularity_weight * log_popularity)

    def edge_weights(self, features: Tensor) -> Tensor:
        """Weights of all edges of the item graph, (E,)."""
        weights: Tensor = self.edge_net(features, self.edge_net.refinement)
        return weights

    def loss(
        self,
        batch: WindowBatch,
        candidates: Candidates,
        table: ItemTable,
        edges: EdgeTensors,
        state: Tensor,
        past: PastPopularity,
        fresh: tuple[Tensor, Tensor] | None = None,
        whole: WindowBatch | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Softmax cross-entropy of every event of the windows over the candidates.

        Each event's target stands against the items that were drawn, whose logits are corrected by
        the log of their chance of being drawn (Bengio & Senécal 2008): so the sum over these
        estimates the sum over all other items.

        Args:
            batch: The windows.
            candidates: The items that are ranked, the targets among them.
            table: All items.
            edges: The item graph as these users may see it.
            state: (items, dim), the frozen state h(t): neighbours come from here and get no
                gradient (historical embeddings; Fey et al. 2021, arXiv:2106.05609).
            past: Popularity as it stood when the events happened.
            fresh: Rows of some items of the windows, and their text embeddings with gradients.
            whole: The batch that these windows are a share of: the losses of all shares sum to its
                loss, and each computes all its embeddings.

        Returns:
            The loss, and the rows and embeddings h(t+1) that it computed.
        """
        whole = whole or batch
        seeds = torch.unique(torch.cat([whole.items.flatten(), candidates.rows]))
        embeddings = self.embed(table, seeds, state, fresh)
        places = torch.searchsorted(seeds, batch.items)
        logits = self._logits(
            batch,
            nn.functional.embedding(places, embeddings),
            candidates.rows,
            embeddings[torch.searchsorted(seeds, candidates.rows)],
            edges,
        )
        bias = self.bias(past.log_popularity[:, candidates.rows])  # (S, C)
        logits = logits + nn.functional.embedding(past.snapshots(batch.as_of), bias)
        target = torch.searchsorted(candidates.rows, batch.targets)
        target = target.clamp(max=len(candidates.rows) - 1).unsqueeze(-1)  # padding weighs nothing
        chosen = logits.gather(-1, target).squeeze(-1)
        correction = candidates.log_inclusion.masked_fill(~candidates.drawn, float("inf"))
        others = (logits - correction).scatter(-1, target, float("-inf")).logsumexp(-1)
        losses = nn.functional.softplus(others - chosen) * batch.weight
        return losses.sum() / whole.weight.sum().clamp(min=1e-6), seeds, embeddings

    def _logits(
        self,
        batch: WindowBatch,
        history: Tensor,
        candidates: Tensor,
        values: Tensor,
        edges: EdgeTensors,
    ) -> Tensor:
        """The first two terms for every event and candidate, (B, T, C)."""
        alpha, gamma = self.interest_encoder(
            batch.event_types, batch.times, batch.last, batch.as_of
        )
        query = (alpha @ history) @ self.interest_encoder.score_map  # (B, T, dim)
        sources, places = torch.unique(batch.items, return_inverse=True)
        matrix = self._edge_matrix(sources, candidates, edges)  # (sources, C)
        linked = nn.functional.embedding(places, matrix)  # (B, T, C)
        # The large products in bfloat16 where there is a GPU, the softmax in float32.
        device = values.device.type
        with torch.autocast(device, torch.bfloat16, enabled=device in MIXED_PRECISION):
            logits = torch.baddbmm(query @ values.T, gamma, linked).float()
        if len(edges.again_places):
            logits = self._add_again(logits, batch, candidates, edges)
        return logits

    def _add_again(
        self, logits: Tensor, batch: WindowBatch, candidates: Tensor, edges: EdgeTensors
    ) -> Tensor:
        """Add Σ_j ρ_j w_jj to the logits of the items of the events before each, (B, T, C)."""
        items = torch.cat([batch.past_items, batch.items], 1)  # (B, O + T)
        again = self.interest_encoder.again(
            items,
            torch.cat([batch.past_types, batch.event_types], 1),
            torch.cat([batch.past_times, batch.times], 1),
            batch.last + batch.past_items.shape[1],
            batch.as_of,
        )
        weights = self.again_weights(edges)[items.clamp(min=0)] * (items >= 0)
        place = torch.searchsorted(candidates, items.contiguous()).clamp(max=len(candidates) - 1)
        weights = weights * (candidates[place] == items)
        amount = again * weights.unsqueeze(1)  # (B, T, O + T)
        return logits.scatter_add(2, place.unsqueeze(1).expand_as(amount), amount)

    def again_weights(self, edges: EdgeTensors) -> Tensor:
        """w_ii of every item, 0 where nothing leads from it to itself: (items,)."""
        own = edges.again_places
        weights = self.edge_net(edges.features[own], self._refinement(edges.known[own]))
        result = weights.new_zeros(len(edges.start) - 1)
        return torch.as_tensor(result.index_put((edges.target[own],), weights))

    def _refinement(self, known: Tensor) -> Tensor:
        """Learned refinements by place, 0 for none."""
        table = self.edge_net.refinement
        if not len(table):
            return torch.zeros(len(known), device=known.device)
        return torch.as_tensor(table[known.clamp(min=0)] * (known >= 0))

    def _edge_matrix(self, sources: Tensor, candidates: Tensor, edges: EdgeTensors) -> Tensor:
        """The weights of the edges from `sources` to `candidates`, dense."""
        starts, counts = edges.start[sources], edges.start[sources + 1] - edges.start[sources]
        chosen = expand(starts, counts)
        row = torch.repeat_interleave(torch.arange(len(sources), device=counts.device), counts)
        column = torch.searchsorted(candidates, edges.target[chosen]).clamp(max=len(candidates) - 1)
        hit = candidates[column] == edges.target[chosen]
        hit &= edges.target[chosen] != sources[row]  # what is wanted again counts apart
        chosen, row, column = chosen[hit], row[hit], column[hit]
        weights = self.edge_net(edges.features[chosen], self._refinement(edges.known[chosen]))
        matrix = weights.new_zeros(len(sources), len(candidates))
        return torch.as_tensor(matrix.index_put((row, column), weights))


@dataclass(frozen=True, slots=True)
class EdgeTensors:
    """The item graph, or what one fold of users may see of it.

    Args:
        target: (E,) int64 item rows, ordered by source.
        start: (items + 1,) int64, where each source's edges begin.
        features: (E, 6) float32.
        known: (E,) int64, where each edge's refinement is, -1 for none.
        again_places: (A,) int64, places of the edges that lead from an item to itself.
    """

    target: Tensor
    start: Tensor
    features: Tensor
    known: Tensor
    again_places: Tensor


def edge_tensors(edges: ItemEdges | FoldEdges, items: int, device: torch.device) -> EdgeTensors:
    """Edges as tensors."""
    start = np.searchsorted(edges.source, np.arange(items + 1))
    known = edges.known if isinstance(edges, FoldEdges) else np.arange(len(edges.source))
    own = np.flatnonzero(edges.source == edges.target)
    arrays = (edges.target, start, edges.features, known, own)
    return EdgeTensors(*(torch.from_numpy(array).to(device) for array in arrays))


def set_neighbors(table: ItemTable, edges: ItemEdges, weights: Tensor) -> None:
    """Make the strongest edges of each item, but the one to itself, its neighbours."""
    rows, values = neighbor_lists(edges, weights, len(table), again=False)
    width = table.neighbor_rows.shape[1]
    table.neighbor_rows.fill_(-1)
    table.neighbor_weights.zero_()
    kept = min(width, rows.shape[1])
    table.neighbor_rows[:, :kept] = torch.from_numpy(rows[:, :kept])
    table.neighbor_weights[:, :kept] = torch.from_numpy(values[:, :kept])


def neighbor_lists(
    edges: ItemEdges, weights: Tensor, items: int, *, again: bool = True
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """The edges of each item, strongest first, equal ones by item_id.

    Args:
        edges: The item graph.
        weights: (E,) the weights of its edges.
        items: Number of items.
        again: Whether edges from an item to itself count.

    Returns:
        (items, width) target rows, -1 for none, and weights, 0 for none.
    """
    values = weights.detach().cpu().numpy()
    order = np.lexsort((edges.target_order, -values, edges.source))
    if not again:
        order = order[edges.source[order] != edges.target[order]]
    source = edges.source[order]
    place = np.arange(len(order)) - np.searchsorted(source, source, side="left")
    width = int(place.max(initial=-1)) + 1
    rows = np.full((items, width), -1, dtype=np.int64)
    listed = np.zeros((items, width), dtype=np.float32)
    rows[source, place] = edges.target[order]
    listed[source, place] = values[order]
    return rows, listed


def neighbor_evidence(edges: ItemEdges, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """The evidence of the edges in neighbour lists: (items, width), 0 where there is none."""
    items = len(rows)
    if not len(edges.source):
        return np.zeros(rows.shape, np.float32)
    keys = edges.source * items + edges.target
    order = np.argsort(keys)
    wanted = np.arange(items)[:, None] * items + rows
    place = np.minimum(np.searchsorted(keys, wanted, sorter=order), len(keys) - 1)
    found = edges.features[order[place], 0]
    return np.where(rows >= 0, found, 0).astype(np.float32)
