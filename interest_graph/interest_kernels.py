"""Loops of the interest encoder over a user's events; what they compute is said there."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .kernels import kernel

if TYPE_CHECKING:
    Floats = npt.NDArray[np.float32]
    Doubles = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

MINUTE_S = 60
LAST_KNOT = float(np.log1p(3 * 365 * 24 * 60))
TINY = np.float32(1e-20)


@kernel(
    "Tuple((i8[::1], i8[::1], i8[::1], i8[::1], i8[::1]))"
    "(Array(uint8, 1, 'C', readonly=True), i8, i8)"
)
def columns(
    packed: npt.NDArray[np.uint8], head: int, tail: int
) -> tuple[Ints, Ints, Ints, Ints, Ints]:
    """The events of a packed history (see `history.py`), m of them.

    Args:
        packed: The bytes.
        head: Bytes of an event before its ids.
        tail: Bytes after them.

    Returns:
        (m,) each: where events begin, when they happened in milliseconds since 1970, codes of their
        types, and where their items' ids begin and end.

    Raises:
        ValueError: The last event is cut off.
    """
    count, start = 0, 0
    while start + head <= len(packed):
        start += head + tail + packed[start + 7] + packed[start + 8]
        count += 1
    if start != len(packed):
        raise ValueError("a history that is cut off")
    starts, times, kinds = (
        np.empty(count, np.int64),
        np.empty(count, np.int64),
        np.empty(count, np.int64),
    )
    begins, ends = np.empty(count, np.int64), np.empty(count, np.int64)
    start = 0
    for event in range(count):
        time = np.int64(0)
        for byte in range(6):
            time = time << 8 | np.int64(packed[start + byte])
        starts[event], times[event], kinds[event] = start, time, packed[start + 6]
        begins[event] = start + head + packed[start + 7]
        ends[event] = begins[event] + packed[start + 8]
        start = ends[event] + tail
    return starts, times, kinds, begins, ends


@kernel("f8(f8, i8)")
def knot_place(seconds: float, knots: int) -> float:
    """Where among knots a time span is, from 0 to knots - 1; knots are even in log minutes."""
    place = math.log1p(max(seconds, 0.0) / MINUTE_S) * ((knots - 1) / LAST_KNOT)
    return min(place, float(knots - 1))


@kernel("Tuple((i8, f4))(f8, i8)")
def knot_of(place: float, knots: int) -> tuple[int, np.float32]:
    """The knot below a place, and the share of the knot above."""
    low = min(int(place), knots - 2)
    return low, np.float32(place - low)


@kernel(
    "Tuple((f4[::1], f4[::1], f4[::1], i8[::1]))"
    "(i8[::1], i8[::1], f4[::1], f4[::1], f4[::1], f4[::1], f4[::1], f4[::1])"
)
def timeless(
    rows: Ints,
    kinds: Ints,
    alpha_rank: Floats,
    alpha_type: Floats,
    gamma_rank: Floats,
    gamma_type: Floats,
    again_rank: Floats,
    again_type: Floats,
) -> tuple[Floats, Floats, Floats, Ints]:
    """What of a user's m events does not depend on the moment; n of them are the newest.

    Args:
        rows: (m,) rows of the events' items.
        kinds: (m,) codes of types.
        alpha_rank: (max_events,), and so the other tables, by rank and by type.
        alpha_type: (types,).
        gamma_rank: (max_events,).
        gamma_type: (types,).
        again_rank: (again_events,).
        again_type: (types,).

    Returns:
        `alpha`, `gamma`, `again` and `groups` of `EncodedEvents`.
    """
    count = len(rows)
    newest = min(count, len(alpha_rank))
    alpha, gamma = np.empty(newest, np.float32), np.empty(newest, np.float32)
    for event in range(newest):
        rank, kind = newest - 1 - event, kinds[count - newest + event]
        alpha[event] = alpha_rank[rank] + alpha_type[kind]
        gamma[event] = gamma_rank[rank] + gamma_type[kind]
    again, groups = np.empty(count, np.float32), np.empty(count, np.int64)
    for event in range(count):
        rank = min(count - 1 - event, len(again_rank) - 1)
        again[event] = again_rank[rank] + again_type[kinds[event]]
    group, before = -1, -1
    for event in np.argsort(rows):
        if rows[event] != before:
            group, before = group + 1, rows[event]
        groups[event] = group
    return alpha, gamma, again, groups


@kernel(
    "Tuple((f4[::1], f4[::1], f4[::1]))"
    "(f8[::1], f4[::1], f4[::1], f4[::1], i8[::1], f4[:, ::1], f4, f8)"
)
def weights(
    times_s: Doubles,
    alpha_logits: Floats,
    gamma_logs: Floats,
    again_logs: Floats,
    groups: Ints,
    ages: Floats,
    again_scale: float,
    as_of: float,
) -> tuple[Floats, Floats, Floats]:
    """α, γ and ρ of m events at a moment, (m,) each.

    Args:
        times_s: (m,) as `EncodedEvents` has them, and so the next four.
        alpha_logits: (n,).
        gamma_logs: (n,).
        again_logs: (m,).
        groups: (m,) each less than m.
        ages: (knots, 3), what an age adds to the logarithms of α, γ and ρ.
        again_scale: What ρ is multiplied by.
        as_of: Seconds since 1970.
    """
    count, newest, knots = len(times_s), len(alpha_logits), len(ages)
    first, highest = count - newest, np.float32(-np.inf)
    alpha, gamma = np.zeros(count, np.float32), np.zeros(count, np.float32)
    again, totals = np.zeros(count, np.float32), np.zeros(count)
    for event in range(count):
        low, share = knot_of(knot_place(as_of - times_s[event], knots), knots)
        below, above = ages[low], ages[low + 1]
        again[event] = np.exp(again_logs[event] + below[2] + share * (above[2] - below[2]))
        totals[groups[event]] += again[event]
        if event < first:
            continue
        own = event - first
        alpha[event] = alpha_logits[own] + below[0] + share * (above[0] - below[0])
        highest = max(highest, alpha[event])
        gamma[event] = np.exp(gamma_logs[own] + below[1] + share * (above[1] - below[1]))
    total = np.float32(0)
    for event in range(first, count):
        alpha[event] = np.exp(alpha[event] - highest)
        total += alpha[event]
    for event in range(first, count):
        alpha[event] /= total
    for event in range(count):
        of_item = np.float32(totals[groups[event]])
        again[event] *= again_scale * (np.log1p(of_item) / max(of_item, TINY))
    return alpha, gamma, again


@kernel("Tuple((f4[::1], f4[::1]))(f4[::1], i8[::1], i8, f4[:, ::1], f4[:, ::1])")
def interest(
    alpha: Floats, rows: Ints, first: int, embeddings: Floats, score_map: Floats
) -> tuple[Floats, Floats]:
    """(dim,) h_u = Σ_j α_j v_j, and (dim,) Mᵀ h_u.

    Args:
        alpha: (m,).
        rows: (m,) rows of the events' items.
        first: Place of the oldest event that has α.
        embeddings: (n, dim).
        score_map: (dim, dim), M.
    """
    dim = embeddings.shape[1]
    felt, query = np.zeros(dim, np.float32), np.zeros(dim, np.float32)
    for event in range(first, len(rows)):
        value, amount = embeddings[rows[event]], alpha[event]
        for axis in range(dim):
            felt[axis] += amount * value[axis]
    for axis in range(dim):
        amount, column = felt[axis], score_map[axis]
        for other in range(dim):
            query[other] += amount * column[other]
    return felt, query
