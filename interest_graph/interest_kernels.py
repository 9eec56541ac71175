"""Loops of the interest encoder over a user's events; what they compute is said there.

E events of several users stand one after another; `starts` says where each user's begin, and last
where all end.
"""

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
NORM_EPSILON = np.float32(1e-5)
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


@kernel("void(f4[:, ::1], f4[::1], f4[::1])", any_order=True)
def normalise(x: Floats, weight: Floats, bias: Floats) -> None:
    """Layer normalisation of each row of (E, dim), in place (Ba et al. 2016, arXiv:1607.06450)."""
    dim = np.float32(x.shape[1])
    for row in x:
        mean = np.float32(0)
        for number in row:
            mean += number
        mean /= dim
        variance = np.float32(0)
        for number in row:
            variance += (number - mean) * (number - mean)
        scale = np.float32(1) / np.sqrt(variance / dim + NORM_EPSILON)
        for axis in range(len(row)):
            row[axis] = (row[axis] - mean) * scale * weight[axis] + bias[axis]


@kernel("void(f4[:, ::1], i8[::1], f8[::1], i8[::1], f4[:, ::1], f4[:, ::1])")
def add_types_and_gaps(
    x: Floats, kinds: Ints, times_s: Doubles, starts: Ints, by_type: Floats, by_gap: Floats
) -> None:
    """Add to (E, dim) what an event's type says, and the time since the event before.

    Args:
        x: (E, dim); changed.
        kinds: (E,) codes of types.
        times_s: (E,) seconds since 1970.
        starts: (users + 1,).
        by_type: (types, dim).
        by_gap: (knots, dim); the first event of a user has the last knot's.
    """
    knots = len(by_gap)
    for user in range(len(starts) - 1):
        for event in range(starts[user], starts[user + 1]):
            place = float(knots - 1)
            if event > starts[user]:
                place = knot_place(times_s[event] - times_s[event - 1], knots)
            low, share = knot_of(place, knots)
            for axis in range(x.shape[1]):
                gap = by_gap[low, axis] + share * (by_gap[low + 1, axis] - by_gap[low, axis])
                x[event, axis] += by_type[kinds[event], axis] + gap


@kernel("f8[::1](f8[::1], i8[::1], i8)")
def places_between(times_s: Doubles, starts: Ints, knots: int) -> Doubles:
    """Among knots, the time between each event and itself and each of its user's before it."""
    pairs = 0
    for user in range(len(starts) - 1):
        count = starts[user + 1] - starts[user]
        pairs += count * (count + 1) // 2
    places, pair = np.empty(pairs), 0
    for user in range(len(starts) - 1):
        for event in range(starts[user], starts[user + 1]):
            for other in range(starts[user], event + 1):
                places[pair] = knot_place(times_s[event] - times_s[other], knots)
                pair += 1
    return places


@kernel("f4[:, ::1](f4[:, ::1], f8[::1], i8[::1], f4[:, ::1], f4[:, ::1])", any_order=True)
def attend(
    mixed: Floats, places: Doubles, starts: Ints, rank_bias: Floats, time_bias: Floats
) -> Floats:
    """Causal self-attention of each user's events (Vaswani et al. 2017, arXiv:1706.03762).

    Args:
        mixed: (E, 3 · dim) queries, keys and values, each head by head.
        places: What `places_between` found.
        starts: (users + 1,).
        rank_bias: (heads, max_events), added to logits by the number of events between two.
        time_bias: (knots, heads), by the time between them.

    Returns:
        (E, dim), head by head.
    """
    heads, knots = len(rank_bias), len(time_bias)
    dim = mixed.shape[1] // 3
    size = dim // heads
    scale = np.float32(1) / np.sqrt(np.float32(size))
    merged = np.zeros((len(mixed), dim), np.float32)
    logits = np.empty((heads, rank_bias.shape[1]), np.float32)
    pair = 0
    for user in range(len(starts) - 1):
        first = starts[user]
        for event in range(first, starts[user + 1]):
            for other in range(first, event + 1):
                low, share = knot_of(places[pair], knots)
                pair += 1
                for head in range(heads):
                    query = mixed[event, head * size : (head + 1) * size]
                    key = mixed[other, dim + head * size : dim + (head + 1) * size]
                    like = np.float32(0)
                    for axis in range(size):
                        like += query[axis] * key[axis]
                    below, above = time_bias[low, head], time_bias[low + 1, head]
                    by_time = below + share * (above - below)
                    logits[head, other - first] = (
                        like * scale + rank_bias[head, event - other] + by_time
                    )
            for head in range(heads):
                own = logits[head, : event - first + 1]
                highest = own.max()
                total = np.float32(0)
                for place in range(len(own)):
                    own[place] = np.exp(own[place] - highest)
                    total += own[place]
                found = merged[event, head * size : (head + 1) * size]
                for place in range(len(own)):
                    share = own[place] / total
                    begin = 2 * dim + head * size
                    value = mixed[first + place, begin : begin + size]
                    for axis in range(size):
                        found[axis] += share * value[axis]
    return merged


@kernel("void(f4[:, ::1], f4[::1])")
def rectify(x: Floats, bias: Floats) -> None:
    """max(x + bias, 0) of each row of (E, dim), in place."""
    for row in x:
        for axis in range(len(row)):
            row[axis] = max(row[axis] + bias[axis], np.float32(0))


@kernel(
    "Tuple((f4[:, ::1], f4[::1], f4[::1], f4[::1], i8[::1]))"
    "(f4[:, ::1], f4[:, ::1], f4[:, ::1], i8[::1], i8[::1],"
    " f4[::1], f4[::1], f4[::1], f4[::1], f4[::1], f4[::1])"
)
def timeless(
    states: Floats,
    by_age: Floats,
    asked: Floats,
    rows: Ints,
    kinds: Ints,
    alpha_rank: Floats,
    alpha_type: Floats,
    gamma_rank: Floats,
    gamma_type: Floats,
    again_rank: Floats,
    again_type: Floats,
) -> tuple[Floats, Floats, Floats, Floats, Ints]:
    """What of a user's m events does not depend on the moment; n of them are the newest.

    Args:
        states: (n, dim) what the transformer makes of the newest.
        by_age: (n, knots) what attention finds by the newest event's age.
        asked: (dim, dim) what makes of the newest state what attention asks the others for.
        rows: (m,) rows of the events' items.
        kinds: (m,) codes of types.
        alpha_rank: (max_events,), and so the other tables, by rank and by type.
        alpha_type: (types,).
        gamma_rank: (max_events,).
        gamma_type: (types,).
        again_rank: (again_events,).
        again_type: (types,).

    Returns:
        `attention`, `alpha`, `gamma`, `again` and `groups` of `EncodedEvents`.
    """
    count, (newest, dim) = len(rows), states.shape
    attention = np.empty((newest, 1 + by_age.shape[1]), np.float32)
    query = np.zeros(dim, np.float32)
    if newest:
        for axis in range(dim):
            for other in range(dim):
                query[other] += states[newest - 1, axis] * asked[axis, other]
    alpha, gamma = np.empty(newest, np.float32), np.empty(newest, np.float32)
    for event in range(newest):
        total = np.float32(0)
        for axis in range(dim):
            total += states[event, axis] * query[axis]
        attention[event, 0] = total
        attention[event, 1:] = by_age[event]
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
    return attention, alpha, gamma, again, groups


@kernel(
    "Tuple((f4[::1], f4[::1], f4[::1]))"
    "(f8[::1], f4[:, ::1], f4[::1], f4[::1], f4[::1], i8[::1], f4[:, ::1], f4, f8)"
)
def weights(
    times_s: Doubles,
    attention: Floats,
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
        times_s: (m,) as `EncodedEvents` has them, and so the next five.
        attention: (n, 1 + knots).
        alpha_logits: (n,).
        gamma_logs: (n,).
        again_logs: (m,).
        groups: (m,) each less than m.
        ages: (knots, 3), what an age adds to the logarithms of α, γ and ρ.
        again_scale: What ρ is multiplied by.
        as_of: Seconds since 1970.
    """
    count, newest, knots = len(times_s), len(attention), len(ages)
    first, highest = count - newest, np.float32(-np.inf)
    alpha, gamma = np.zeros(count, np.float32), np.zeros(count, np.float32)
    again, totals = np.zeros(count, np.float32), np.zeros(count)
    newest_low, newest_share = 0, np.float32(0)
    for event in range(count - 1, -1, -1):  # the newest first: its age enters all attention
        low, share = knot_of(knot_place(as_of - times_s[event], knots), knots)
        if event == count - 1:
            newest_low, newest_share = low, share
        below, above = ages[low], ages[low + 1]
        again[event] = np.exp(again_logs[event] + below[2] + share * (above[2] - below[2]))
        totals[groups[event]] += again[event]
        if event < first:
            continue
        own = event - first
        found, next_found = attention[own, 1 + newest_low], attention[own, 2 + newest_low]
        by_age = found + newest_share * (next_found - found)
        aged = below[0] + share * (above[0] - below[0])
        alpha[event] = attention[own, 0] + by_age + alpha_logits[own] + aged
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
