"""The interest of a user, as every answer to a request computes it.

An interest is an attention-weighted sum of the embeddings of the items of a user's newest events;
a score is a sum of terms, each of one event and one path of the graph:

    h_u     = Σ_j α_j v_j
    s(u, i) = Σ_j α_j v_jᵀ M v_i  +  Σ_{j≠i} γ_j w_ji  +  Σ_{j=i} ρ_j w_ii  +  b_i

α, γ, and ρ, how much a thing is wanted again, come from tables of type, rank and age
(`interest_encoder.py`), those of ρ reaching further back; the sum of an item's ρ grows like the log
of its events. All is linear in the values: that is why contributions (`scores.py`) sum to the score
exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from . import interest_kernels as kernels
from .history import HEAD_BYTES, TAIL_BYTES, History, pack
from .interest_encoder import EventArrays
from .interest_kernels import MINUTE_S

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .history import HistoryEvent
    from .interest_encoder import EncodedEvents, Floats, InterestEncoder
    from .item_matrix import ItemMatrix


@dataclass(frozen=True, slots=True)
class EncodedHistory:
    """A user's events as a model reads them; good for every moment until `fits` says no.

    Args:
        events: The events that count, oldest first.
        encoded: What was computed of them.
        matrix: The item matrix they were read with; embeddings of its items may move.
        unknown: Events were left out because their items had no row: when the matrix had
            so many items; None if none were.
    """

    events: History
    encoded: EncodedEvents
    matrix: ItemMatrix
    unknown: int | None

    def fits(self, matrix: ItemMatrix) -> bool:
        """Whether encoding the same history with a matrix, as it is now, would change nothing."""
        return matrix is self.matrix and self.unknown in {None, len(matrix.item_ids)}


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
    events: History
    first: int


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
    raw = history.pack() if isinstance(history, History) else pack(sorted(history))
    row_of = matrix.row_of
    starts, times_ms, kinds, begins, ends = kernels.columns(
        np.frombuffer(raw, np.uint8), HEAD_BYTES, TAIL_BYTES
    )
    ids = [
        raw[begin:end].decode() for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)
    ]
    rows = np.array([row_of.get(item_id, -1) for item_id in ids], dtype=np.int64)
    known = (rows >= 0) & (kinds < encoder.event_types)
    unknown = None if known.all() else len(matrix.item_ids)
    counted = np.flatnonzero(known)[-encoder.again_events :]
    whole = len(counted) == len(rows)
    if not whole:
        starts, times_ms, kinds, rows = (one[counted] for one in (starts, times_ms, kinds, rows))
    encoded = encoder.encode(EventArrays(rows, kinds, times_ms / 1000))
    return EncodedHistory(History(raw, starts, whole=whole), encoded, matrix, unknown)


def interest_at(encoder: InterestEncoder, history: EncodedHistory, as_of: int) -> Interest:
    """The interest at a moment, in seconds since 1970; floored to the minute.

    The history must fit its matrix.
    """
    encoded = history.encoded
    alpha, gamma, again = encoder.weights(encoded, as_of // MINUTE_S * MINUTE_S)
    first = len(encoded.rows) - len(encoded.alpha)
    embeddings = history.matrix.embeddings
    embedding, query = kernels.interest(alpha, encoded.rows, first, embeddings, encoder.score_map)
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
