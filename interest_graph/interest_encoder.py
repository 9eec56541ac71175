"""The interest encoder that serves: what a model makes of a user's events.

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

from . import interest_kernels as kernels
from .errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Floats = npt.NDArray[np.float32]
WEIGHTS = ("alpha", "gamma", "again")
TENSORS = frozenset(
    {"score_map", "again_scale"}
    | {f"{name}_{by}" for name in WEIGHTS for by in ("rank", "age", "type")}
)


@dataclass(frozen=True, slots=True)
class EventArrays:
    """A user's m events, oldest first, as the encoder reads them.

    Args:
        rows: (m,) int64, the items' rows.
        event_types: (m,) int64 codes.
        times_s: (m,) float64, seconds since 1970, ascending.
    """

    rows: npt.NDArray[np.int64]
    event_types: npt.NDArray[np.int64]
    times_s: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class EncodedEvents:
    """What of m events, oldest first, does not depend on the moment; n of them are the newest.

    Args:
        rows: (m,) int64, the item row of each event.
        times_s: (m,) float64, seconds since 1970.
        alpha: (n,) float32, logits of α by rank and type.
        gamma: (n,) float32, logarithms of γ by rank and type.
        again: (m,) float32, logarithms of ρ by rank and type.
        groups: (m,) int64, equal for events of one item.
    """

    rows: npt.NDArray[np.int64]
    times_s: npt.NDArray[np.float64]
    alpha: Floats
    gamma: Floats
    again: Floats
    groups: npt.NDArray[np.int64]


class InterestEncoder:
    """Weights of a user's events, α, γ and ρ, from tables of rank, age and type.

    Args:
        tensors: The tensors of `models.interest_encoder.InterestEncoder`, by the same names.

    Raises:
        CheckpointError: One is missing, has another shape, or says what this encoder cannot read.
    """

    def __init__(self, tensors: Mapping[str, Floats]) -> None:
        if strange := sorted(set(tensors) - TENSORS):
            msg = f"interest encoder: {strange[0]} is of another version: train a model"
            raise CheckpointError(msg)
        # Their own: those of a file are read-only, which is another type for a kernel.
        own = {name: np.array(tensor, np.float32, order="C") for name, tensor in tensors.items()}
        try:
            self.score_map = own["score_map"]
            self.dim = len(self.score_map)
            self.max_events = len(own["alpha_rank"])
            self.event_types = len(own["alpha_type"])
            self.again_events = max(self.max_events, len(own["again_rank"]))
            self.exact_columns = np.ascontiguousarray(self.score_map.astype(np.float64).T)
            self._ages: Floats = np.stack([own[f"{name}_age"] for name in WEIGHTS], 1)
            self._tables = tuple(own[f"{name}_{by}"] for name in WEIGHTS for by in ("rank", "type"))
            self._again_scale = float(np.exp(own["again_scale"]))
            self._check_shapes(own)
        except KeyError as error:
            msg = f"interest encoder: no tensor {error}"
            raise CheckpointError(msg) from error
        except (ValueError, TypeError) as error:
            msg = f"interest encoder: {error}"
            raise CheckpointError(msg) from error

    def _check_shapes(self, tensors: Mapping[str, Floats]) -> None:
        """See that tables are as long as the kernels, which check nothing, take them to be.

        Raises:
            ValueError: One is not.
        """
        dim, types, ranks = self.dim, self.event_types, self.max_events
        wanted: dict[str, tuple[int, ...]] = {"alpha_rank": (ranks,), "gamma_rank": (ranks,)}
        wanted |= {f"{name}_type": (types,) for name in WEIGHTS}
        wanted |= {f"{name}_age": (len(self._ages),) for name in WEIGHTS}
        wanted |= {"score_map": (dim, dim), "again_rank": (len(tensors["again_rank"]),)}
        for name, shape in wanted.items():
            if tensors[name].shape != shape:
                msg = f"{name} has the shape {tensors[name].shape}, not {shape}"
                raise ValueError(msg)
        if len(self._ages) < 2 or not len(tensors["again_rank"]):  # noqa: PLR2004 a time is between two
            msg = "a table of times or of ranks is too short"
            raise ValueError(msg)

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read `interest_encoder.safetensors` of a published directory.

        Raises:
            CheckpointError: The file is missing, damaged, or of another version.
        """
        try:
            return cls(load_file(directory / "interest_encoder.safetensors"))
        except (OSError, SafetensorError) as error:
            msg = f"{directory}: cannot read the interest encoder: {error}"
            raise CheckpointError(msg) from error

    def encode(self, events: EventArrays) -> EncodedEvents:
        """Read a user's events."""
        alpha, gamma, again, groups = kernels.timeless(
            events.rows, events.event_types, *self._tables
        )
        return EncodedEvents(events.rows, events.times_s, alpha, gamma, again, groups)

    def weights(self, events: EncodedEvents, as_of: float) -> tuple[Floats, Floats, Floats]:
        """α, γ and ρ of m events at a moment, (m,) float32 each.

        α sums to 1; γ and ρ are not negative. Events older than the newest `max_events` have
        neither α nor γ.

        Args:
            events: The events.
            as_of: Seconds since 1970.
        """
        return kernels.weights(
            *(events.times_s, events.alpha, events.gamma, events.again),
            *(events.groups, self._ages, self._again_scale, as_of),
        )
