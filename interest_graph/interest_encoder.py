"""The interest encoder in NumPy: what a model makes of a user's events.

`models/interest_encoder.py` trains it and is this file's twin. What does not depend on the moment
is computed once a history (`InterestEncoder.encode`); ages enter afterwards, by tables.
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

Floats = npt.NDArray[np.float32]
MINUTE_S = 60
LAST_KNOT = float(np.log1p(3 * 365 * 24 * 60))
NORM_EPSILON = 1e-5
TINY = np.float32(1e-20)
TOGETHER = 16
"""Users whose events are read at once: more are no faster, and pad more."""


@dataclass(frozen=True, slots=True)
class EventArrays:
    """A user's m events, oldest first, as the encoder reads them.

    Args:
        rows: (m,) int64, the items' rows.
        values: (n, dim) float32, the embeddings of the newest n = min(m, `max_events`).
        event_types: (m,) int64 codes.
        times_s: (m,) float64, seconds since 1970, ascending.
    """

    rows: npt.NDArray[np.int64]
    values: Floats
    event_types: npt.NDArray[np.int64]
    times_s: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class EncodedEvents:
    """What of m events, oldest first, does not depend on the moment; n of them are the newest.

    Args:
        rows: (m,) int64, the item row of each event.
        times_s: (m,) float64, seconds since 1970.
        attention: (n, 1 + knots) float32, what attention finds by the query without the newest
            event's age, and by that age at each knot.
        alpha: (n,) float32, logits of α by rank and type.
        gamma: (n,) float32, logarithms of γ by rank and type.
        again: (m,) float32, logarithms of ρ by rank and type.
        groups: (m,) int64, equal for events of one item.
    """

    rows: npt.NDArray[np.int64]
    times_s: npt.NDArray[np.float64]
    attention: Floats
    alpha: Floats
    gamma: Floats
    again: Floats
    groups: npt.NDArray[np.int64]


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
            if names:
                layers = [f"blocks.{n}" for n in range(len(names))]
                self._time_bias = np.concatenate(
                    [self._tensors[f"{layer}.time_bias"] for layer in layers], 1
                )
                self._rank_bias = np.concatenate(
                    [_causal(self._tensors[f"{layer}.rank_bias"]) for layer in layers]
                )
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

    def encode(self, events: EventArrays) -> EncodedEvents:
        """Read a user's events."""
        newest = slice(len(events.rows) - len(events.values), None)
        kinds, times = events.event_types[newest], events.times_s[newest]
        return self._encoded(events, self._states(events.values, kinds, times))

    def encode_each(self, users: Sequence[EventArrays]) -> list[EncodedEvents]:
        """Read the events of several users, those with about as many events together.

        As `encode` of each, but for rounding: two take two thirds of the time, sixteen a third.
        """
        if len(users) == 1:
            return [self.encode(users[0])]
        order = sorted(range(len(users)), key=lambda place: len(users[place].values))
        found: dict[int, EncodedEvents] = {}
        for start in range(0, len(order), TOGETHER):
            together = order[start : start + TOGETHER]
            states = self._padded_states([users[place] for place in together])
            for place, state in zip(together, states, strict=True):
                events = users[place]
                found[place] = self._encoded(events, state[: len(events.values)])
        return [found[place] for place in range(len(users))]

    def _padded_states(self, users: Sequence[EventArrays]) -> Floats:
        """The states of the newest events of several users, and of padding behind them.

        Attention looks backwards: no event sees the padding.
        """
        counts = [len(events.values) for events in users]
        shape = (len(users), max(counts))
        values = np.zeros((*shape, self.dim), np.float32)
        kinds, times = np.zeros(shape, np.int64), np.zeros(shape)
        for place, (events, count) in enumerate(zip(users, counts, strict=True)):
            if not count:
                continue
            values[place, :count] = events.values
            kinds[place, :count] = events.event_types[-count:]
            times[place, :count] = events.times_s[-count:]
            times[place, count:] = events.times_s[-1]
        return self._states(values, kinds, times)

    def _encoded(self, events: EventArrays, x: Floats) -> EncodedEvents:
        """What is kept of events, from the states `x` (n, dim) of the newest."""
        tensors, count, rows, event_types = self._tensors, len(x), events.rows, events.event_types
        table = tensors["again_rank"]
        rank = np.minimum(np.arange(len(rows))[::-1], len(table) - 1)  # 0 is the newest event
        again = table[rank] + tensors["again_type"][event_types]
        _, groups = np.unique(rows, return_inverse=True)
        newest = event_types[len(rows) - count :]
        queries = np.concatenate([x[-1:] @ self._query, tensors["query_age"]])
        return EncodedEvents(
            rows=rows,
            times_s=events.times_s,
            attention=(x @ self._key) @ queries.T,
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
        count, first = len(events.rows), len(events.rows) - len(events.attention)
        alpha, gamma = np.zeros(count, np.float32), np.zeros(count, np.float32)
        if not count:
            return alpha, gamma, np.zeros(0, np.float32)
        low, share = _knots(np.maximum(as_of - events.times_s, 0.0), len(self._ages))
        ages = _between(self._ages, low, share)  # (m, 3)
        by_event = events.attention[:, 0]
        by_age = _between(events.attention.T[1:], low[-1:], share[-1:])[0]
        alpha[first:] = _softmax(by_event + by_age + events.alpha + ages[first:, 0])
        gamma[first:] = np.exp(events.gamma + ages[first:, 1])
        amount = np.exp(events.again + ages[:, 2])
        total = np.bincount(events.groups, amount).astype(np.float32)[events.groups]
        again = amount * self._again_scale * (np.log1p(total) / np.maximum(total, TINY))
        return alpha, gamma, again

    def _states(
        self, values: Floats, event_types: npt.NDArray[np.int64], times_s: npt.NDArray[np.float64]
    ) -> Floats:
        """The transformer's output at every event, (…, n, dim), of one user or several."""
        tensors = self._tensors
        if not values.size:
            return values
        x = values @ self._input + tensors["type_embedding"][event_types]
        gaps = np.full(times_s.shape, np.inf)
        gaps[..., 1:] = times_s[..., 1:] - times_s[..., :-1]
        x = _norm(x + at_knots(tensors["gap_embedding"], gaps), tensors, "input_norm")
        if self._blocks:
            for block, bias in zip(self._blocks, self._biases(times_s), strict=True):
                x = block(x, bias)
        return _norm(x, tensors, "output_norm")

    def _biases(self, times_s: npt.NDArray[np.float64]) -> Sequence[Floats]:
        """What rank and time between two events add to each block's logits, (…, heads, n, n)."""
        between = times_s[..., :, None] - times_s[..., None, :]  # (…, n, n) seconds
        low, share = _knots(between, len(self._ages))
        count = times_s.shape[-1]
        by_time = np.moveaxis(_between(self._time_bias, low, share), -1, -3)
        bias = by_time + self._rank_bias[:, :count, :count]
        heads = bias.shape[-3] // len(self._blocks)
        return [bias[..., n * heads : (n + 1) * heads, :, :] for n in range(len(self._blocks))]


def _causal(rank_bias: Floats) -> Floats:
    """(heads, max_events, max_events): the bias of rank, and minus infinity for later events."""
    ranks = np.arange(rank_bias.shape[1])
    distance = ranks[:, None] - ranks[None, :]
    return np.where(distance >= 0, rank_bias[:, np.maximum(distance, 0)], np.float32(-np.inf))


class _Block:
    """A layer of causal self-attention and a feed-forward part."""

    def __init__(self, tensors: Mapping[str, Floats], name: str) -> None:
        part = {key[len(name) + 1 :]: tensor for key, tensor in tensors.items() if name in key}
        self._part = part
        self._qkv, self._out = _columns(part["qkv.weight"]), _columns(part["out.weight"])
        self._expand, self._contract = (
            _columns(part["expand.weight"]),
            _columns(part["contract.weight"]),
        )
        self._heads = len(part["rank_bias"])

    def __call__(self, x: Floats, bias: Floats) -> Floats:
        """One layer.

        Args:
            x: (…, n, dim).
            bias: (…, heads, n, n) float32, added to the logits.
        """
        part = self._part
        mixed = _norm(x, part, "norm_attention") @ self._qkv
        mixed = mixed.reshape(*x.shape[:-1], 3, self._heads, -1)
        query, key, value = (mixed[..., n, :, :].swapaxes(-3, -2) for n in range(3))
        logits = query @ key.swapaxes(-2, -1) / np.float32(np.sqrt(query.shape[-1]))
        logits += bias
        attended = _softmax(np.asarray(logits, dtype=np.float32)) @ value  # (…, heads, n, ·)
        merged = attended.swapaxes(-3, -2).reshape(x.shape)
        x = np.asarray(x + merged @ self._out, dtype=np.float32)
        hidden = _norm(x, part, "norm_feed") @ self._expand
        hidden += part["expand.bias"]
        np.maximum(hidden, 0, out=hidden)
        return np.asarray(x + hidden @ self._contract + part["contract.bias"])


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
    steps = table[1:] - table[:-1]
    return np.asarray(table.take(low, 0) + share * steps.take(low, 0))


def _columns(weight: Floats) -> Floats:
    """(in, out) of a layer's (out, in), as a product from the right wants it."""
    return np.ascontiguousarray(weight.T)


def _norm(x: Floats, tensors: Mapping[str, Floats], name: str) -> Floats:
    """Layer normalisation over the last axis."""
    dim = np.float32(x.shape[-1])
    centred = x - np.add.reduce(x, -1, keepdims=True) / dim
    variance = np.vecdot(centred, centred)[..., None] / dim
    centred /= np.sqrt(variance + np.float32(NORM_EPSILON))
    return np.asarray(centred * tensors[f"{name}.weight"] + tensors[f"{name}.bias"])


def _softmax(logits: Floats) -> Floats:
    """Softmax over the last axis."""
    powers = np.exp(logits - np.maximum.reduce(logits, -1, keepdims=True))
    return np.asarray(powers / np.add.reduce(powers, -1, keepdims=True))
