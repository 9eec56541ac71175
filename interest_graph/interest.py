"""The interest of a user, as every answer to a request computes it.

An interest is an attention-weighted sum of the embeddings of the items of a user's newest events;
a score is a sum of terms, each of one event and one path of the graph:

    h_u     = Σ_j α_j v_j
    s(u, i) = Σ_j α_j v_jᵀ M v_i  +  Σ_{j≠i} γ_j w_ji  +  Σ_{j=i} ρ_j w_ii  +  b_i

α comes from a small causal transformer over the newest events (`interest_encoder.py`), γ from
tables of type, rank and age, and ρ, how much a thing is wanted again, from others that reach
further back; the sum of an item's ρ grows like the log of its events. Deep in the weights, linear
in the values: that is why contributions (`scores.py`) sum to the score exactly.
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
    (found,) = encode_each(encoder, matrix, [history])
    return found


def encode_each(
    encoder: InterestEncoder, matrix: ItemMatrix, histories: Sequence[Sequence[HistoryEvent]]
) -> list[EncodedHistory]:
    """Read several histories, as `encode` of each but for rounding: see the encoder's."""
    read = [_readable(encoder, matrix, history) for history in histories]
    encoded = encoder.encode_each([events for events, _, _ in read])
    return [
        EncodedHistory(counted, one, matrix, matrix.epoch, unknown)
        for (_, counted, unknown), one in zip(read, encoded, strict=True)
    ]


def _readable(
    encoder: InterestEncoder, matrix: ItemMatrix, history: Sequence[HistoryEvent]
) -> tuple[EventArrays, History, int | None]:
    """The events that count, as arrays and as they are, and `unknown` of `EncodedHistory`."""
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
    values = matrix.embeddings[rows[-encoder.max_events :]]
    events = EventArrays(rows, values, kinds, times_ms / 1000)
    return events, History(raw, starts, whole=whole), unknown


def interest_at(encoder: InterestEncoder, history: EncodedHistory, as_of: int) -> Interest:
    """The interest at a moment, in seconds since 1970; floored to the minute.

    The history must fit its matrix.
    """
    encoded = history.encoded
    alpha, gamma, again = encoder.weights(encoded, as_of // MINUTE_S * MINUTE_S)
    first = len(encoded.rows) - len(encoded.attention)
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


def interests(
    encoder: InterestEncoder,
    matrix: ItemMatrix,
    histories: Sequence[Sequence[HistoryEvent]],
    as_of: int,
) -> list[Interest]:
    """The interests of several users, as `interest` of each but for rounding."""
    encoded = encode_each(encoder, matrix, histories)
    return [interest_at(encoder, history, as_of) for history in encoded]
