"""The item graph: a sparse set of directed edges, and the network that weighs them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse
from torch import Tensor, nn

from .item_evidence import EvidenceConfig, evidence_by_fold
from .sparse_rows import at, strongest
from .threads import in_threads

if TYPE_CHECKING:
    from interest_graph.interaction_graph import InteractionGraph

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
FEATURES = ("evidence", "reverse_evidence", "text_cosine", "same_category", "same_brand", "same")
CHUNK_ROWS = 2048


@dataclass(frozen=True, slots=True)
class FoldEdges:
    """The edges as the users of one fold may see them in training: without their own events.

    Choosing edges is seeing as much as weighing them, so each fold has its own.

    Args:
        source: (F,) int64 item rows the edges leave, ascending.
        target: (F,) int64 item rows they lead to.
        features: (F, 6) float32, `FEATURES` as seen without the fold.
        known: (F,) int64, place of the same edge in `ItemEdges`, -1 for none.
    """

    source: Ints
    target: Ints
    features: Floats
    known: Ints


@dataclass(frozen=True, slots=True)
class ItemEdges:
    """The edges of the item graph, E of them, ordered by source.

    Args:
        source: (E,) int64 item rows the edges leave, ascending.
        target: (E,) int64 item rows they lead to; equal to the source for "again".
        target_order: (E,) int64, place of the target among all items sorted by item_id.
        features: (E, 6) float32, `FEATURES` as seen in all events.
        folds: The edges for each fold of users.
    """

    source: Ints
    target: Ints
    target_order: Ints
    features: Floats
    folds: tuple[FoldEdges, ...]


class EdgeNet(nn.Module):
    """Weights of item edges from what is known of the pair, refined edge by edge.

        w_ji = exp(c) · (e_ji · b_ji + φ · σ(r(x_ji))) for j ≠ i
        w_ii = exp(a) + exp(c') · e_ii · b_ii
        b_ji = exp(2 tanh((m(x_ji) + δ_ji) / 2))

    e is the evidence, x the features, m and r a small network, δ what training learned of this
    very edge (0 for one it did not know). For edges without evidence the second term says what
    text, category and brand say. How much a thing is wanted again is first a matter of its events,
    which ρ counts, and starts nearly the same for all things.

    Args:
        edges: Number of edges with a learned refinement.
        hidden: Width of the network.

    Shapes:
        - features: (m, 6); refinement: (m,)
        - output: (m,), not negative
    """

    def __init__(self, edges: int, hidden: int = 16) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(2.2))
        self.log_floor = nn.Parameter(torch.tensor(-2.0))
        self.log_again = nn.Parameter(torch.tensor(0.0))
        self.log_again_evidence = nn.Parameter(torch.tensor(-2.0))
        self.refinement = nn.Parameter(torch.zeros(edges))
        self.inner = nn.Linear(len(FEATURES), hidden)
        self.outer = nn.Linear(hidden, 2)
        nn.init.zeros_(self.outer.weight)
        with torch.no_grad():
            self.outer.bias.copy_(torch.tensor([0.0, -4.0]))

    def forward(self, features: Tensor, refinement: Tensor) -> Tensor:
        """Weigh m edges; shapes as in the class."""
        amounts, flags = features[:, :2], features[:, 2:]
        inputs = torch.cat([amounts.clamp(min=0).sqrt(), flags], 1)
        change, rest = self.outer(torch.relu(self.inner(inputs))).unbind(-1)
        boost = (2 * torch.tanh((change + refinement) / 2)).exp()
        evidence = features[:, 0] * boost
        other = self.log_scale.exp() * (evidence + self.log_floor.exp() * torch.sigmoid(rest))
        again = self.log_again.exp() + self.log_again_evidence.exp() * evidence
        return torch.where(features[:, -1] > 0, again, other)


def build_edges(
    graph: InteractionGraph,
    texts: Floats,
    similar: tuple[Ints, Ints],
    config: EvidenceConfig,
    *,
    edges_per_item: int,
    text_edges: int,
    fold_of_user: Ints,
    lent: sparse.csr_array | None = None,
) -> ItemEdges:
    """Choose the edges and describe them.

    Each item leads to itself where things are wanted again at all, to the
    `edges_per_item - text_edges` items with most evidence, and then to those that read most alike,
    up to `edges_per_item`.

    Args:
        graph: The events that count.
        texts: (items, d) float32 text vectors in which alikeness is measured; zeros for none.
        similar: Sources and targets of pairs that read alike, nearest first, as of `alike`.
        config: How events become evidence.
        edges_per_item: Most edges that leave an item.
        text_edges: Of these, how many at least are kept for alike texts.
        fold_of_user: (users,) int64, the fold of each user.
        lent: The shares in which items borrow evidence, as of `models.likeness.lenders`.
    """
    matrices = evidence_by_fold(graph, config, fold_of_user, lent)
    again = np.arange(graph.num_items if matrices[0].diagonal().any() else 0)

    def described(matrix: sparse.csr_array) -> tuple[Ints, Floats]:
        source, target, _ = strongest(matrix, edges_per_item - text_edges)
        sources, targets = (again, source, similar[0]), (again, target, similar[1])
        both = np.stack([np.concatenate(sources), np.concatenate(targets)])
        pairs = _first_of_each(both, graph.num_items, edges_per_item)
        return pairs, _features(graph, texts, matrix, pairs)

    (whole, features), *others = in_threads(described, matrices)
    by_id = np.argsort(np.argsort(np.asarray(graph.item_ids)))
    folds = [
        FoldEdges(pairs[0], pairs[1], seen, _places(whole, pairs, graph.num_items))
        for pairs, seen in others
    ]
    return ItemEdges(whole[0], whole[1], by_id[whole[1]], features, tuple(folds))


def _features(
    graph: InteractionGraph, texts: Floats, matrix: sparse.csr_array, pairs: Ints
) -> Floats:
    """`FEATURES` of pairs (2, m) for one matrix of evidence: (m, 6)."""
    brands = graph.item_brand[pairs]
    return np.column_stack(
        [
            at(matrix, pairs[0], pairs[1]),
            at(matrix, pairs[1], pairs[0]),
            cosine(texts[pairs[0]], texts[pairs[1]]),
            _share_category(graph, pairs),
            (brands[0] >= 0) & (brands[0] == brands[1]),
            pairs[0] == pairs[1],
        ]
    ).astype(np.float32)


def _places(whole: Ints, pairs: Ints, items: int) -> Ints:
    """The place of each pair among `whole` (2, E), -1 for none."""
    keys, wanted = whole[0] * items + whole[1], pairs[0] * items + pairs[1]
    if not len(keys):
        return np.full(len(wanted), -1, dtype=np.int64)
    order = np.argsort(keys)
    place = order[np.minimum(np.searchsorted(keys, wanted, sorter=order), len(keys) - 1)]
    return np.where(keys[place] == wanted, place, -1).astype(np.int64)


def alike(texts: Floats, count: int) -> tuple[Ints, Ints]:
    """For each item with a text up to `count` others that read alike: sources, targets.

    The nearest distinct texts by cosine, one item of each; an item's own text stands first, with
    the next item that bears it. Which item of a text is taken goes round, so that edges spread.
    """
    said = np.flatnonzero(np.abs(texts).sum(1) > 0)
    if len(said) <= 1 or count < 1:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    keys = np.ascontiguousarray(texts[said]).view(np.dtype((np.void, texts[0].nbytes))).ravel()
    _, first, group = np.unique(keys, return_index=True, return_inverse=True)
    unit = texts[said[first]] / np.linalg.norm(texts[said[first]], axis=1, keepdims=True)
    order = np.argsort(group, kind="stable")
    start = np.searchsorted(group[order], np.arange(len(first)))
    size = np.diff(np.append(start, len(order)))
    turn = np.empty(len(said), dtype=np.int64)
    turn[order] = np.arange(len(order)) - start[group[order]]
    near = _nearest(unit, min(count, len(first)))[group]  # (items, count) groups
    member = (turn[:, None] + 1) % size[near]
    targets = said[order[start[near] + member]]
    sources = np.broadcast_to(said[:, None], targets.shape)
    other = targets != sources
    return sources[other], targets[other]


def _nearest(unit: Floats, count: int) -> Ints:
    """For each row of unit vectors the `count` nearest rows, itself included, nearest first."""
    found = []
    for begin in range(0, len(unit), CHUNK_ROWS):
        block = unit[begin : begin + CHUNK_ROWS] @ unit.T
        best = np.argpartition(-block, count - 1, axis=1)[:, :count]
        order = np.argsort(-np.take_along_axis(block, best, 1), axis=1, kind="stable")
        found.append(np.take_along_axis(best, order, 1))
    return np.concatenate(found)


def text_directions(texts: Floats, count: int) -> Floats:
    """Texts in their `count` leading directions, centred: (items, count); zeros stay zeros."""
    said = np.abs(texts).sum(1) > 0
    if not said.any():
        return np.zeros((len(texts), 1), np.float32)
    centred = np.where(said[:, None], texts - texts[said].mean(0), 0).astype(np.float32)
    _, basis = np.linalg.eigh(centred.T @ centred)
    return np.asarray(centred @ basis[:, ::-1][:, :count])


def cosine(left: Floats, right: Floats) -> Floats:
    """Cosine of the rows of two arrays, 0 where one is zero."""
    norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    return np.asarray(np.einsum("md,md->m", left, right) / np.maximum(norms, 1e-12))


def _first_of_each(pairs: Ints, items: int, count: int) -> Ints:
    """Drop repeated pairs and keep the first `count` of each source, ordered by source."""
    _, first = np.unique(pairs[0] * items + pairs[1], return_index=True)
    pairs = pairs[:, np.sort(first)]
    pairs = pairs[:, np.argsort(pairs[0], kind="stable")]
    place = np.arange(pairs.shape[1]) - np.searchsorted(pairs[0], pairs[0], side="left")
    return pairs[:, place < count]


def _share_category(graph: InteractionGraph, pairs: Ints) -> npt.NDArray[np.bool_]:
    """Whether the two items of each pair share a category."""
    counts = [len(rows) for rows in graph.item_categories]
    columns = np.array([row for rows in graph.item_categories for row in rows], dtype=np.int64)
    rows = np.repeat(np.arange(graph.num_items), counts)
    shape = (graph.num_items, max(len(graph.category_ids), 1))
    member = sparse.csr_array((np.ones(len(rows), np.float32), (rows, columns)), shape=shape)
    shared = member[pairs[0]].multiply(member[pairs[1]]).sum(axis=1)
    return np.asarray(shared).ravel() > 0
