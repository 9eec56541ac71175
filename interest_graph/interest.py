"""The interest of a user, in NumPy: the only code that answers a request computes it.

An interest is an attention-weighted sum of the embeddings of the items of a user's newest events;
a score is a sum of terms, each of one event and one path of the graph:

    h_u     = Σ_j α_j v_j
    s(u, i) = Σ_j α_j v_jᵀ M v_i  +  Σ_{j≠i} γ_j w_ji  +  Σ_{j=i} ρ_j w_ii  +  b_i

α comes from a small causal transformer over the newest events (`models/interest_encoder.py` trains
it and is this file's twin), γ from tables of type, rank and age, and ρ, how much a thing is wanted
again, from others that reach further back; the sum of an item's ρ grows like the log of its events.
Deep in the weights, linear in the values: that is why `contributions` sum to the score exactly.

What does not depend on the moment is computed once a history (`encode`) and can be kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file

from .errors import CheckpointError
from .history import History

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
class EncodedEvents:
    """What of m events, oldest first, does not depend on the moment; n of them are the newest.

    Args:
        rows: (m,) int64, the item row of each event.
        times_s: (m,) float64, seconds since 1970.
        keys: (n, dim) float32, what attention compares with the query, over √dim.
        query: (dim,) float32, the query without the newest event's age.
        alpha: (n,) float32, logits of α by rank and type.
        gamma: (n,) float32, logarithms of γ by rank and type.
        again: (m,) float32, logarithms of ρ by rank and type.
        groups: (m,) int64, equal for events of one item.
    """

    rows: npt.NDArray[np.int64]
    times_s: npt.NDArray[np.float64]
    keys: Floats
    query: Floats
    alpha: Floats
    gamma: Floats
    again: Floats
    groups: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class EncodedHistory:
    """A user's events as a model reads them; good for every moment until `fits` says no.

    Args:
        events: The events that count, oldest first.
        encoded: What was computed of them.
        matrix: The item matrix they were read with.
        epoch: Its epoch then.
        unknown: Events were left out because their items had no row: when the matrix had
            so many items; None if none were.
    """

    events: History
    encoded: EncodedEvents
    matrix: ItemMatrix
    epoch: int
    unknown: int | None

    def fits(self, matrix: ItemMatrix) -> bool:
        """Whether encoding the same history with a matrix, as it is now, would change nothing."""
        if matrix is not self.matrix or self.unknown not in {None, len(matrix.item_ids)}:
            return False
        return self.epoch == matrix.epoch or not matrix.changed_since(self.epoch, self.encoded.rows)


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
        first: Place of the oldest event that has α and γ.
    """

    rows: npt.NDArray[np.int64]
    alpha: Floats
    gamma: Floats
    again: Floats
    embedding: Floats
    query: Floats
    events: Sequence[HistoryEvent]
    first: int


@dataclass(frozen=True, slots=True)
class Contributions:
    """The terms of one score, in float64.

    Args:
        interest: (m,) α_j v_jᵀ M v_i for each event.
        item_graph: (m,) γ_j w_ji for each event, ρ_j w_ii for those of the item itself.
        edge_weight: (m,) w_ji for each event; 0 where there is no edge or the event has no γ.
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


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of k scores, in float64; fields as in `Contributions`, (m, k), and bias (k,)."""

    interest: npt.NDArray[np.float64]
    item_graph: npt.NDArray[np.float64]
    edge_weight: npt.NDArray[np.float64]
    bias: npt.NDArray[np.float64]

    @property
    def of_events(self) -> npt.NDArray[np.float64]:
        """(m, k), what each event says for each item."""
        return self.interest + self.item_graph


class InterestEncoder:
    """Weights of a user's events: α from a causal transformer, γ and ρ from tables.

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
            self.dim = len(self.score_map)
            self.exact_map = self.score_map.astype(np.float64)
            self._ages: Floats = np.stack(
                [self._tensors[f"{n}_age"] for n in ("alpha", "gamma", "again")], 1
            )
            self._again_scale = np.exp(self._tensors["again_scale"])
            self._input = _columns(self._tensors["input.weight"])
            self._key = _columns(self._tensors["key.weight"]) / np.float32(np.sqrt(self.dim))
            self._query = _columns(self._tensors["query.weight"])
            names = {name.split(".")[1] for name in self._tensors if name.startswith("blocks.")}
            self._blocks = [_Block(self._tensors, f"blocks.{n}") for n in range(len(names))]
        except KeyError as error:
            msg = f"interest encoder: no tensor {error}"
            raise CheckpointError(msg) from error

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

    def encode(
        self,
        rows: npt.NDArray[np.int64],
        values: Floats,
        event_types: npt.NDArray[np.int64],
        times_s: npt.NDArray[np.float64],
    ) -> EncodedEvents:
        """Read m events, oldest first.

        Args:
            rows: (m,) the items' rows.
            values: (n, dim) float32, the embeddings of the newest n = min(m, `max_events`).
            event_types: (m,) codes.
            times_s: (m,) float64, seconds since 1970, ascending.
        """
        tensors, count = self._tensors, len(values)
        table = tensors["again_rank"]
        rank = np.minimum(np.arange(len(rows))[::-1], len(table) - 1)  # 0 is the newest event
        again = table[rank] + tensors["again_type"][event_types]
        _, groups = np.unique(rows, return_inverse=True)
        newest, times = event_types[len(rows) - count :], times_s[len(rows) - count :]
        x = self._states(values, newest, times)
        return EncodedEvents(
            rows=rows,
            times_s=times_s,
            keys=x @ self._key,
            query=x[-1] @ self._query if count else np.zeros(self.dim, np.float32),
            alpha=tensors["alpha_rank"][:count][::-1] + tensors["alpha_type"][newest],
            gamma=tensors["gamma_rank"][:count][::-1] + tensors["gamma_type"][newest],
            again=again,
            groups=groups,
        )

    def weights(self, events: EncodedEvents, as_of: float) -> tuple[Floats, Floats, Floats]:
        """α, γ and ρ of m events at a moment, (m,) float32 each.

        α sums to 1; γ and ρ are not negative. Events older than the newest `max_events` have
        neither α nor γ.

        Args:
            events: The events.
            as_of: Seconds since 1970.
        """
        count, first = len(events.rows), len(events.rows) - len(events.keys)
        alpha, gamma = np.zeros(count, np.float32), np.zeros(count, np.float32)
        if not count:
            return alpha, gamma, np.zeros(0, np.float32)
        low, share = _knots(np.maximum(as_of - events.times_s, 0.0), len(self._ages))
        ages = _between(self._ages, low, share)  # (m, 3)
        query = events.query + _between(self._tensors["query_age"], low[-1:], share[-1:])[0]
        alpha[first:] = _softmax(events.keys @ query + events.alpha + ages[first:, 0])
        gamma[first:] = np.exp(events.gamma + ages[first:, 1])
        amount = np.exp(events.again + ages[:, 2])
        total = np.bincount(events.groups, amount).astype(np.float32)[events.groups]
        again = amount * self._again_scale * (np.log1p(total) / np.maximum(total, TINY))
        return alpha, gamma, again

    def _states(
        self, values: Floats, event_types: npt.NDArray[np.int64], times_s: npt.NDArray[np.float64]
    ) -> Floats:
        """The transformer's output at every event, (n, dim)."""
        tensors, count = self._tensors, len(values)
        if not count:
            return values
        x = values @ self._input + tensors["type_embedding"][event_types]
        gaps = np.full(count, np.inf)
        gaps[1:] = times_s[1:] - times_s[:-1]
        x = _norm(x + at_knots(tensors["gap_embedding"], gaps), tensors, "input_norm")
        if self._blocks:
            between = times_s[:, None] - times_s[None, :]  # (n, n) seconds
            low, share = _knots(between, len(self._ages))
            for block in self._blocks:
                x = block(x, low, share)
        return _norm(x, tensors, "output_norm")


class _Block:
    """A layer of causal self-attention with biases for rank and time, and a feed-forward part."""

    def __init__(self, tensors: Mapping[str, Floats], name: str) -> None:
        part = {key[len(name) + 1 :]: tensor for key, tensor in tensors.items() if name in key}
        self._part = part
        self._qkv, self._out = _columns(part["qkv.weight"]), _columns(part["out.weight"])
        self._expand, self._contract = (
            _columns(part["expand.weight"]),
            _columns(part["contract.weight"]),
        )
        rank_bias = part["rank_bias"]
        self._heads, longest = rank_bias.shape
        ranks = np.arange(longest)
        distance = ranks[:, None] - ranks[None, :]
        bias = rank_bias[:, np.maximum(distance, 0)]  # (heads, max_events, max_events)
        self._bias = np.where(distance >= 0, bias, np.float32(-np.inf))
        self._time_bias = part["time_bias"]

    def __call__(self, x: Floats, low: npt.NDArray[np.int64], share: Floats) -> Floats:
        """One layer.

        Args:
            x: (n, dim).
            low: (n, n) int64, the knot below the time between two events.
            share: (n, n) float32, the share of the knot above.
        """
        part, count = self._part, len(x)
        mixed = _norm(x, part, "norm_attention") @ self._qkv
        query, key, value = mixed.reshape(count, 3, self._heads, -1).transpose(1, 2, 0, 3)
        logits = query @ key.transpose(0, 2, 1) / np.float32(np.sqrt(query.shape[-1]))
        logits += self._bias[:, :count, :count]
        logits += _between(self._time_bias, low, share).transpose(2, 0, 1)
        merged = (
            (_softmax(np.asarray(logits, dtype=np.float32)) @ value)
            .transpose(1, 0, 2)
            .reshape(count, -1)
        )
        x = np.asarray(x + merged @ self._out, dtype=np.float32)
        hidden = _norm(x, part, "norm_feed") @ self._expand
        hidden += part["expand.bias"]
        np.maximum(hidden, 0, out=hidden)
        return np.asarray(x + hidden @ self._contract + part["contract.bias"])


def encode(
    encoder: InterestEncoder, matrix: ItemMatrix, history: Sequence[HistoryEvent]
) -> EncodedHistory:
    """Read a history with a model.

    Args:
        encoder: The model's interest encoder.
        matrix: The item matrix of the same model.
        history: The user's events, in any order unless packed. Those of items or types that the
            model does not know are left out; of the rest the newest `encoder.again_events` count.
    """
    packed = history if isinstance(history, History) else History.of(history)
    times, types, item_ids = packed.columns()
    known = [
        (place, matrix.row_of[item_id], event_type)
        for place, (item_id, event_type) in enumerate(zip(item_ids, types, strict=True))
        if item_id in matrix.row_of and event_type < encoder.event_types
    ]
    newest = np.array(known[-encoder.again_events :], dtype=np.int64).reshape(-1, 3)
    places, rows, kinds = np.ascontiguousarray(newest.T)
    values = np.asarray(matrix.embeddings[rows[-encoder.max_events :]])
    encoded = encoder.encode(rows, values, kinds, np.array(times, dtype=np.float64)[places] / 1000)
    unknown = None if len(known) == len(packed) else len(matrix.item_ids)
    return EncodedHistory(packed.only(places), encoded, matrix, matrix.epoch, unknown)


def interest_at(encoder: InterestEncoder, history: EncodedHistory, as_of: int) -> Interest:
    """The interest at a moment, in seconds since 1970; floored to the minute.

    The history must fit its matrix.
    """
    encoded = history.encoded
    alpha, gamma, again = encoder.weights(encoded, as_of // MINUTE_S * MINUTE_S)
    first = len(encoded.rows) - len(encoded.keys)
    values = history.matrix.embeddings[encoded.rows[first:]]
    embedding = np.asarray(alpha[first:] @ values, dtype=np.float32)
    query = embedding @ encoder.score_map
    return Interest(encoded.rows, alpha, gamma, again, embedding, query, history.events, first)


def interest(
    encoder: InterestEncoder, matrix: ItemMatrix, history: Sequence[HistoryEvent], as_of: int
) -> Interest:
    """The interest of a user: a pure function of model, item matrix, history and minute.

    Args:
        encoder: As for `encode`.
        matrix: As for `encode`.
        history: As for `encode`.
        as_of: As for `interest_at`.
    """
    return interest_at(encoder, encode(encoder, matrix, history), as_of)


def scores(matrix: ItemMatrix, interest: Interest) -> Floats:
    """(n,) float32, the score of every item for one interest."""
    result = matrix.embeddings @ interest.query
    result += matrix.bias
    sources, again = interest.rows, interest.again
    np.add.at(result, sources, again * matrix.own_weights[sources])
    sources, gamma = sources[interest.first :], interest.gamma[interest.first :]
    rows = matrix.neighbor_rows[sources]
    amounts = gamma[:, None] * matrix.neighbor_weights[sources]
    amounts[rows == sources[:, None]] = 0
    np.add.at(result, rows, amounts)  # where there is no edge, row -1 gets 0
    return np.asarray(result)


def contributions(
    matrix: ItemMatrix, encoder: InterestEncoder, interest: Interest, row: int
) -> Contributions:
    """The terms of the score of the item in `row`."""
    found = terms(matrix, encoder, interest, [row])
    return Contributions(
        found.interest[:, 0],
        found.item_graph[:, 0],
        found.edge_weight[:, 0],
        float(found.bias[0]),
    )


def terms(
    matrix: ItemMatrix, encoder: InterestEncoder, interest: Interest, rows: Sequence[int]
) -> Terms:
    """The terms of the scores of the items in `rows`; each item's are the same bits alone."""
    chosen = np.asarray(rows, dtype=np.int64)
    count, first = len(interest.rows), interest.first
    newest = interest.rows[first:]
    values = matrix.embeddings[newest].astype(np.float64)  # (n, dim)
    items = matrix.embeddings[chosen].astype(np.float64)  # (k, dim)
    # A stack of products of a matrix and a vector gives each item the same bits alone and among
    # others, which a product of two matrices does not.
    mapped = np.matmul(encoder.exact_map, items[:, :, None])  # (k, dim, 1)
    felt = np.zeros((count, len(chosen)))
    felt[first:] = np.matmul(values, mapped)[:, :, 0].T
    felt[first:] *= interest.alpha[first:, None]
    weights = np.zeros((count, len(chosen)))
    wanted = np.zeros(len(matrix.item_ids), dtype=np.bool_)
    wanted[chosen] = True
    leads = matrix.neighbor_rows[newest]
    event, edge = np.nonzero(wanted[leads] & (leads >= 0))
    found, strength = leads[event, edge], matrix.neighbor_weights[newest[event], edge]
    hit, place = np.nonzero(found[:, None] == chosen)
    weights[first + event[hit], place] = strength[hit]
    same = interest.rows[:, None] == chosen
    weights[same] = matrix.own_weights[interest.rows][np.nonzero(same)[0]]
    amount = np.where(same, interest.again[:, None], interest.gamma[:, None]).astype(np.float64)
    return Terms(felt, amount * weights, weights, matrix.bias[chosen].astype(np.float64))


def at_knots(table: Floats, seconds: npt.NDArray[np.float64]) -> Floats:
    """A table read at a time span, linearly between knots that are even in log minutes.

    Args:
        table: (knots, …) float32; the first knot is 0 s, the last is three years and more.
        seconds: (…) float64.

    >>> at_knots(np.array([0, 1], np.float32), np.array([0.0, np.inf])).tolist()
    [0.0, 1.0]
    """
    return _between(table, *_knots(seconds, len(table)))


def _knots(seconds: npt.NDArray[np.float64], knots: int) -> tuple[npt.NDArray[np.int64], Floats]:
    """The knot below each time span, and the share of the knot above."""
    position = np.log1p(np.maximum(seconds, 0.0) / MINUTE_S) * ((knots - 1) / LAST_KNOT)
    position = np.minimum(position, knots - 1)
    low = np.minimum(position.astype(np.int64), knots - 2)
    return low, (position - low).astype(np.float32)


def _between(table: Floats, low: npt.NDArray[np.int64], share: Floats) -> Floats:
    """The table's value between two knots."""
    if table.ndim > 1:
        share = share[..., None]
    below = table[low]
    return np.asarray(below + share * (table[low + 1] - below))


def _columns(weight: Floats) -> Floats:
    """(in, out) of a layer's (out, in), as a product from the right wants it."""
    return np.ascontiguousarray(weight.T)


def _norm(x: Floats, tensors: Mapping[str, Floats], name: str) -> Floats:
    """Layer normalisation over the last axis."""
    dim = np.float32(x.shape[-1])
    centred = x - np.add.reduce(x, -1, keepdims=True) / dim
    variance = np.add.reduce(centred * centred, -1, keepdims=True) / dim
    centred /= np.sqrt(variance + np.float32(NORM_EPSILON))
    return np.asarray(centred * tensors[f"{name}.weight"] + tensors[f"{name}.bias"])


def _softmax(logits: Floats) -> Floats:
    """Softmax over the last axis."""
    powers = np.exp(logits - np.maximum.reduce(logits, -1, keepdims=True))
    return np.asarray(powers / np.add.reduce(powers, -1, keepdims=True))
