"""The interest encoder that serves: what a model makes of a user's events.

`models/interest_encoder.py` trains it and is this file's twin. What does not depend on the moment
is computed once a history (`InterestEncoder.encode`); ages enter afterwards, by tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Self, TypeVar

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file

from . import interest_kernels as kernels
from .errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

Floats = npt.NDArray[np.float32]
Scalar = TypeVar("Scalar", bound=np.generic)
TOGETHER = 16
"""Users whose events are read at once: more are no faster."""


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
        # Their own: those of a file are read-only, which is another type for a kernel.
        self._tensors = {
            name: np.array(tensor, np.float32, order="C") for name, tensor in tensors.items()
        }
        try:
            self.score_map = self._tensors["score_map"]
            self.max_events = len(self._tensors["alpha_rank"])
            self.event_types = len(self._tensors["alpha_type"])
            self.again_events = max(self.max_events, len(self._tensors["again_rank"]))
            self.dim = len(self.score_map)
            self.exact_columns = _columns(self.score_map.astype(np.float64))
            self._ages: Floats = np.stack(
                [self._tensors[f"{n}_age"] for n in ("alpha", "gamma", "again")], 1
            )
            self._tables = tuple(
                self._tensors[f"{name}_{by}"]
                for name in ("alpha", "gamma", "again")
                for by in ("rank", "type")
            )
            self._again_scale = float(np.exp(self._tensors["again_scale"]))
            self._input = _columns(self._tensors["input.weight"])
            keys: Floats = _columns(self._tensors["key.weight"]) / np.float32(np.sqrt(self.dim))
            # What a query and a key make of two states, and what an age makes of one.
            self._asked = _columns(keys @ self._tensors["query.weight"])
            self._by_age: Floats = np.ascontiguousarray(keys @ self._tensors["query_age"].T)
            self._norms = (
                _norm_of(self._tensors, "input_norm"),
                _norm_of(self._tensors, "output_norm"),
            )
            names = {name.split(".")[1] for name in self._tensors if name.startswith("blocks.")}
            self._blocks = [_Block(self._tensors, f"blocks.{n}") for n in range(len(names))]
            self._check_shapes(names)
        except KeyError as error:
            msg = f"interest encoder: no tensor {error}"
            raise CheckpointError(msg) from error
        except ValueError as error:
            msg = f"interest encoder: {error}"
            raise CheckpointError(msg) from error

    def _check_shapes(self, blocks: Iterable[str]) -> None:
        """See that tables are as long as the kernels, which check nothing, take them to be.

        Raises:
            ValueError: One is not.
        """
        dim, types, ranks, knots = self.dim, self.event_types, self.max_events, len(self._ages)
        wanted: dict[str, tuple[int, ...]] = {"alpha_rank": (ranks,), "gamma_rank": (ranks,)}
        wanted |= {f"{name}_type": (types,) for name in ("alpha", "gamma", "again")}
        wanted |= {"type_embedding": (types, dim), "score_map": (dim, dim)}
        wanted |= {"gap_embedding": (knots, dim), "query_age": (knots, dim)}
        wanted |= {name: (dim,) for name in self._tensors if "norm" in name}
        for block in blocks:
            heads = len(self._tensors[f"blocks.{block}.rank_bias"])
            wanted[f"blocks.{block}.rank_bias"] = (heads, ranks)
            wanted[f"blocks.{block}.time_bias"] = (knots, heads)
        for name, shape in wanted.items():
            if self._tensors[name].shape != shape:
                msg = f"{name} has the shape {self._tensors[name].shape}, not {shape}"
                raise ValueError(msg)
        if knots < 2 or not len(self._tensors["again_rank"]):  # noqa: PLR2004 a time is between two
            msg = "a table of times or of ranks is too short"
            raise ValueError(msg)

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
        (found,) = self.encode_each([events])
        return found

    def encode_each(self, users: Sequence[EventArrays]) -> list[EncodedEvents]:
        """Read the events of several users, as `encode` of each but for rounding."""
        found: list[EncodedEvents] = []
        for begin in range(0, len(users), TOGETHER):
            together = users[begin : begin + TOGETHER]
            starts = np.array([0, *accumulate(len(events.values) for events in together)])
            x = self._states(together, starts)
            by_age = x @ self._by_age
            for events, (start, stop) in zip(together, pairwise(starts.tolist()), strict=True):
                found.append(self._encoded(events, x[start:stop], by_age[start:stop]))
        return found

    def _encoded(self, events: EventArrays, x: Floats, by_age: Floats) -> EncodedEvents:
        """What is kept of events, from the states `x` (n, dim) of the newest."""
        attention, alpha, gamma, again, groups = kernels.timeless(
            x, by_age, self._asked, events.rows, events.event_types, *self._tables
        )
        return EncodedEvents(events.rows, events.times_s, attention, alpha, gamma, again, groups)

    def weights(self, events: EncodedEvents, as_of: float) -> tuple[Floats, Floats, Floats]:
        """α, γ and ρ of m events at a moment, (m,) float32 each.

        α sums to 1; γ and ρ are not negative. Events older than the newest `max_events` have
        neither α nor γ.

        Args:
            events: The events.
            as_of: Seconds since 1970.
        """
        return kernels.weights(
            *(events.times_s, events.attention, events.alpha, events.gamma, events.again),
            *(events.groups, self._ages, self._again_scale, as_of),
        )

    def _states(self, users: Sequence[EventArrays], starts: npt.NDArray[np.int64]) -> Floats:
        """The transformer's output at every event, (E, dim), of all users' newest events."""
        counts = np.diff(starts).tolist()
        newest = [slice(len(one.rows) - n, None) for one, n in zip(users, counts, strict=True)]
        kinds = np.concatenate([one.event_types[n] for one, n in zip(users, newest, strict=True)])
        times = np.concatenate([one.times_s[n] for one, n in zip(users, newest, strict=True)])
        x = np.concatenate([one.values for one in users]) @ self._input
        first, last = self._norms
        tables = self._tensors["type_embedding"], self._tensors["gap_embedding"]
        kernels.add_types_and_gaps(x, kinds, times, starts, *tables)
        kernels.normalise(x, *first)
        places = kernels.places_between(times, starts, len(self._ages))
        for block in self._blocks:
            x = block(x, places, starts)
        kernels.normalise(x, *last)
        return x


class _Block:
    """A layer of causal self-attention and a feed-forward part."""

    def __init__(self, tensors: Mapping[str, Floats], name: str) -> None:
        part = {key[len(name) + 1 :]: tensor for key, tensor in tensors.items() if name in key}
        self._norms = _norm_of(part, "norm_attention"), _norm_of(part, "norm_feed")
        self._biases = part["rank_bias"], part["time_bias"]
        self._qkv, self._out = _columns(part["qkv.weight"]), _columns(part["out.weight"])
        self._expand, self._expand_bias = _columns(part["expand.weight"]), part["expand.bias"]
        self._contract = _columns(part["contract.weight"])
        self._contract_bias = part["contract.bias"]

    def __call__(
        self, x: Floats, places: npt.NDArray[np.float64], starts: npt.NDArray[np.int64]
    ) -> Floats:
        """One layer.

        Args:
            x: (E, dim).
            places: Among knots, the time between events: `interest_kernels.places_between`.
            starts: (users + 1,).
        """
        of_attention, of_feed = self._norms
        normal = x.copy()
        kernels.normalise(normal, *of_attention)
        x = x + kernels.attend(normal @ self._qkv, places, starts, *self._biases) @ self._out
        normal = x.copy()
        kernels.normalise(normal, *of_feed)
        hidden = normal @ self._expand
        kernels.rectify(hidden, self._expand_bias)
        x += hidden @ self._contract
        x += self._contract_bias
        return x


def _columns(weight: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
    """(in, out) of a layer's (out, in), as a product from the right wants it."""
    return np.ascontiguousarray(weight.T)


def _norm_of(tensors: Mapping[str, Floats], name: str) -> tuple[Floats, Floats]:
    """Weight and bias of a layer normalisation."""
    return tensors[f"{name}.weight"], tensors[f"{name}.bias"]
