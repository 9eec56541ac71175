"""The interest of a user, in NumPy: the only code that answers a request computes it.

An interest is an attention-weighted sum of the embeddings of the items of a user's newest events;
a score is a sum of terms, each of one event and one path of the graph:

    h_u     = Σ_j α_j v_j
    s(u, i) = Σ_j α_j v_jᵀ M v_i  +  Σ_{j≠i} γ_j w_ji  +  Σ_{j=i} ρ_j w_ii  +  b_i

α comes from a small causal transformer over the newest events (`models/interest_encoder.py` trains
it and is this file's twin), γ from tables of type, rank and age, and ρ, how much a thing is wanted
again, from others that reach further back; the sum of an item's ρ grows like the log of its events.
Deep in the weights, linear in the values: that is why `contributions` sum to the score exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file

from .errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from .history import HistoryEvent
    from .item_matrix import ItemMatrix

Floats = npt.NDArray[np.float32]
MINUTE_S = 60
LAST_KNOT = float(np.log1p(3 * 365 * 24 * 60))
NORM_EPSILON = 1e-5
TINY = np.float32(1e-20)


@dataclass(frozen=True, slots=True)
class Interest:
    """A user's interest at one moment, m events long.

    Args:
        rows: (m,) int64, the item row of each event, oldest first.
        alpha: (m,) float32, attention to each event; sums to 1. Older events than the newest
            `max_events` have neither α nor γ.
        gamma: (m,) float32, weight of each event for edges to other items; not negative.
        again: (m,) float32, ρ, weight of each event for wanting the same item again; not negative.
        embedding: (dim,) float32, h_u; zeros without events.
        query: (dim,) float32, Mᵀ h_u: its product with an item's embedding is the first term.
        events: The events themselves.
    """

    rows: npt.NDArray[np.int64]
    alpha: Floats
    gamma: Floats
    again: Floats
    embedding: Floats
    query: Floats
    events: tuple[HistoryEvent, ...]


@dataclass(frozen=True, slots=True)
class Contributions:
    """The terms of one score, in float64.

    Args:
        interest: (m,) α_j v_jᵀ M v_i for each event.
        item_graph: (m,) γ_j w_ji for each event, ρ_j w_ii for those of the item itself.
        edge_weight: (m,) w_ji for each event; 0 where there is no edge.
        bias: b_i, what the item's popularity says.
    """

    interest: npt.NDArray[np.float64]
    item_graph: npt.NDArray[np.float64]
    edge_weight: npt.NDArray[np.float64]
    bias: float

    @property
    def score(self) -> float:
        """The sum of all terms."""
        return float(self.interest.sum() + self.item_graph.sum()) + self.bias


class InterestEncoder:
    """Weights of a user's events: α from a causal transformer, γ from a table.

    Args:
        tensors: The tensors of `models.interest_encoder.InterestEncoder`, by the same names.
    """

    def __init__(self, tensors: Mapping[str, Floats]) -> None:
        self._tensors = dict(tensors)
        try:
            self.score_map = self._tensors["score_map"]
            self.max_events = len(self._tensors["alpha_rank"])
            self.event_types = len(self._tensors["alpha_type"])
            self.again_events = max(self.max_events, len(self._tensors["again_rank"]))
        except KeyError as error:
            msg = f"interest encoder: no tensor {error}"
            raise CheckpointError(msg) from error
        self.dim = len(self.score_map)
        names = {name.split(".")[1] for name in self._tensors if name.startswith("blocks.")}
        self._blocks = [f"blocks.{number}" for number in range(len(names))]

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read `interest_encoder.safetensors` of a published directory.

        Raises:
            CheckpointError: The file is missing or damaged.
        """
        try:
            return cls(load_file(directory / "interest_encoder.safetensors"))
        except (OSError, SafetensorError) as error:
            msg = f"{directory}: cannot read the interest encoder: {error}"
            raise CheckpointError(msg) from error

    def weights(
        self,
        embeddings: Floats,
        event_types: npt.NDArray[np.int64],
        ages_s: npt.NDArray[np.float64],
    ) -> tuple[Floats, Floats]:
        """α and γ of m events, oldest first.

        Args:
            embeddings: (m, dim) float32, the items' embeddings.
            event_types: (m,) codes.
            ages_s: (m,) float64, seconds before the moment that is asked about.

        Returns:
            α (m,) float32, which sums to 1, and γ (m,) float32, not negative.
        """
        tensors, count = self._tensors, len(ages_s)
        if not count:
            return np.zeros(0, np.float32), np.zeros(0, np.float32)
        gaps = np.concatenate(([np.inf], ages_s[:-1] - ages_s[1:]))
        x = embeddings @ tensors["input.weight"].T + tensors["type_embedding"][event_types]
        x = _norm(x + at_knots(tensors["gap_embedding"], gaps), tensors, "input_norm")
        ranks = np.arange(count)
        distance = ranks[:, None] - ranks[None, :]  # (m, m)
        between = ages_s[None, :] - ages_s[:, None]  # (m, m) seconds
        for block in self._blocks:
            x = x + self._attend(block, x, distance, between)
            hidden = _norm(x, tensors, f"{block}.norm_feed") @ tensors[f"{block}.expand.weight"].T
            hidden = np.maximum(hidden + tensors[f"{block}.expand.bias"], 0)
            x = x + hidden @ tensors[f"{block}.contract.weight"].T
            x = x + tensors[f"{block}.contract.bias"]
        x = _norm(x, tensors, "output_norm")
        rank = ranks[::-1]  # 0 is the newest event
        query = x[-1] @ tensors["query.weight"].T + at_knots(tensors["query_age"], ages_s[-1:])[0]
        logits = (x @ tensors["key.weight"].T) @ query / np.float32(np.sqrt(self.dim))
        logits = logits + tensors["alpha_rank"][rank] + at_knots(tensors["alpha_age"], ages_s)
        logits = logits + tensors["alpha_type"][event_types]
        gamma = tensors["gamma_rank"][rank] + at_knots(tensors["gamma_age"], ages_s)
        return _softmax(logits), np.exp(gamma + tensors["gamma_type"][event_types])

    def again(
        self,
        rows: npt.NDArray[np.int64],
        event_types: npt.NDArray[np.int64],
        ages_s: npt.NDArray[np.float64],
    ) -> Floats:
        """ρ of m events, oldest first: (m,) float32, not negative.

        Args:
            rows: (m,) the items' rows.
            event_types: (m,) codes.
            ages_s: (m,) float64, seconds before the moment that is asked about.
        """
        tensors, count = self._tensors, len(ages_s)
        table = tensors["again_rank"]
        rank = np.minimum(np.arange(count)[::-1], len(table) - 1)
        weight = table[rank] + at_knots(tensors["again_age"], ages_s)
        amount = np.exp(weight + tensors["again_type"][event_types])
        _, group = np.unique(rows, return_inverse=True)
        total = np.bincount(group, amount).astype(np.float32)[group]
        saturated = np.log1p(total) / np.maximum(total, TINY)
        return np.asarray(amount * np.exp(tensors["again_scale"]) * saturated)

    def _attend(
        self,
        block: str,
        x: Floats,
        distance: npt.NDArray[np.int64],
        between: npt.NDArray[np.float64],
    ) -> Floats:
        """One layer of causal self-attention with biases for rank and time between events."""
        tensors = self._tensors
        rank_bias = tensors[f"{block}.rank_bias"]  # (heads, max_events)
        heads, count = len(rank_bias), len(x)
        mixed = _norm(x, tensors, f"{block}.norm_attention") @ tensors[f"{block}.qkv.weight"].T
        query, key, value = mixed.reshape(count, 3, heads, -1).transpose(1, 2, 0, 3)
        logits = query @ key.transpose(0, 2, 1) / np.float32(np.sqrt(query.shape[-1]))
        logits = logits + rank_bias[:, np.maximum(distance, 0)]
        logits = logits + at_knots(tensors[f"{block}.time_bias"], between).transpose(2, 0, 1)
        attention = _softmax(np.where(distance >= 0, logits, np.float32(-np.inf)))
        merged = (attention @ value).transpose(1, 0, 2).reshape(count, -1)
        return np.asarray(merged @ tensors[f"{block}.out.weight"].T)


def interest(
    encoder: InterestEncoder, matrix: ItemMatrix, history: Sequence[HistoryEvent], as_of: int
) -> Interest:
    """The interest of a user: a pure function of model, item matrix, history and minute.

    Args:
        encoder: The model's interest encoder.
        matrix: The item matrix of the same model.
        history: The user's events, in any order. Those of items or types that the model does not
            know are left out; of the rest the newest `encoder.again_events` count.
        as_of: The moment, in seconds since 1970; floored to the minute.
    """
    known = sorted(
        (event.occurred_at_ms, event.event_id, position)
        for position, event in enumerate(history)
        if event.item_id in matrix.row_of and event.event_type < encoder.event_types
    )[-encoder.again_events :]
    events = tuple(history[position] for _, _, position in known)
    rows = np.array([matrix.row_of[event.item_id] for event in events], dtype=np.int64)
    types = np.array([event.event_type for event in events], dtype=np.int64)
    times = np.array([event.occurred_at_ms for event in events], dtype=np.float64) / 1000
    ages = np.maximum(as_of // MINUTE_S * MINUTE_S - times, 0.0)
    first = max(0, len(rows) - encoder.max_events)
    values = np.asarray(matrix.embeddings[rows[first:]])
    newest, edges = encoder.weights(values, types[first:], ages[first:])
    embedding = np.asarray(newest @ values, dtype=np.float32)
    older = np.zeros(first, np.float32)
    alpha, gamma = np.concatenate([older, newest]), np.concatenate([older, edges])
    query = embedding @ encoder.score_map
    again = encoder.again(rows, types, ages)
    return Interest(rows, alpha, gamma, again, embedding, query, events)


def scores(matrix: ItemMatrix, interest: Interest) -> Floats:
    """(n,) float32, the score of every item for one interest."""
    result = matrix.embeddings @ interest.query + matrix.bias
    source = interest.rows[:, None]
    rows, weights = matrix.neighbor_rows[interest.rows], matrix.neighbor_weights[interest.rows]
    same = rows == source
    np.add.at(result, interest.rows, interest.again * np.where(same, weights, 0).sum(1))
    newest = interest.gamma > 0
    linked = (rows >= 0) & ~same & newest[:, None]
    np.add.at(result, rows[linked], (interest.gamma[:, None] * weights)[linked])
    return np.asarray(result)


def contributions(
    matrix: ItemMatrix, encoder: InterestEncoder, interest: Interest, row: int
) -> Contributions:
    """The terms of the score of the item in `row`, in float64."""
    return contributions_of_all(matrix, encoder, interest, [row])[0]


def contributions_of_all(
    matrix: ItemMatrix, encoder: InterestEncoder, interest: Interest, rows: Sequence[int]
) -> list[Contributions]:
    """The terms of the scores of the items in `rows`, computed together."""
    values = matrix.embeddings[interest.rows].astype(np.float64)  # (m, dim)
    items = matrix.embeddings[list(rows)].astype(np.float64)  # (k, dim)
    # einsum, unlike a matrix product, gives an item the same bits alone and among others.
    mapped = np.einsum("ab,kb->ka", encoder.score_map.astype(np.float64), items)
    match = np.einsum("ma,ka->mk", values, mapped)
    felt = interest.alpha.astype(np.float64)[:, None] * match
    leads, strengths = matrix.neighbor_rows[interest.rows], matrix.neighbor_weights[interest.rows]
    gamma, again = interest.gamma.astype(np.float64), interest.again.astype(np.float64)
    terms = []
    for place, row in enumerate(rows):
        weights = np.where(leads == row, strengths, 0).sum(1, dtype=np.float64)
        terms.append(
            Contributions(
                interest=felt[:, place],
                item_graph=np.where(interest.rows == row, again, gamma) * weights,
                edge_weight=weights,
                bias=float(matrix.bias[row]),
            )
        )
    return terms


def at_knots(table: Floats, seconds: npt.NDArray[np.float64]) -> Floats:
    """A table read at a time span, linearly between knots that are even in log minutes.

    Args:
        table: (knots, …) float32; the first knot is 0 s, the last is three years and more.
        seconds: (…) float64.

    >>> at_knots(np.array([0, 1], np.float32), np.array([0.0, np.inf])).tolist()
    [0.0, 1.0]
    """
    last = len(table) - 1
    position = np.log1p(np.maximum(seconds, 0.0) / MINUTE_S) * (last / LAST_KNOT)
    position = np.minimum(position, last)
    low = np.minimum(position.astype(np.int64), last - 1)
    share = (position - low).astype(np.float32)
    share = share.reshape(share.shape + (1,) * (table.ndim - 1))
    return np.asarray(table[low] * (1 - share) + table[low + 1] * share)


def _norm(x: Floats, tensors: Mapping[str, Floats], name: str) -> Floats:
    """Layer normalisation over the last axis."""
    centred = x - x.mean(-1, keepdims=True)
    variance = np.square(centred).mean(-1, keepdims=True)
    scaled = centred / np.sqrt(variance + np.float32(NORM_EPSILON))
    return np.asarray(scaled * tensors[f"{name}.weight"] + tensors[f"{name}.bias"])


def _softmax(logits: Floats) -> Floats:
    """Softmax over the last axis."""
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return np.asarray(powers / powers.sum(-1, keepdims=True))
