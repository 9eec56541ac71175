"""Loops of scoring over items and edges; what they compute is said in `scores.py`.

Numbers are added in the order written here, so that what is computed of an item for a user is the
same bits alone and among others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .kernels import kernel

if TYPE_CHECKING:
    Floats = npt.NDArray[np.float32]
    Doubles = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]
    Rows = npt.NDArray[np.int32]


@kernel("void(f4[::1], i8[::1], i8, f4[::1], f4[::1], i4[:, ::1], f4[:, ::1], f4[::1])")
def add_edges(
    values: Floats,
    rows: Ints,
    first: int,
    gamma: Floats,
    again: Floats,
    neighbor_rows: Rows,
    neighbor_weights: Floats,
    own_weights: Floats,
) -> None:
    """Add to a user's scores what edges say.

    Args:
        values: (n,) of every item; changed.
        rows: (m,) rows of the events' items.
        first: Place of the oldest event that has γ.
        gamma: (m,).
        again: (m,) ρ.
        neighbor_rows: (n, width) as the item matrix has them, and so the rest.
        neighbor_weights: (n, width).
        own_weights: (n,).
    """
    for event in range(len(rows)):
        own = rows[event]
        values[own] += again[event] * own_weights[own]
        if event < first:
            continue
        for edge in range(neighbor_rows.shape[1]):
            row = neighbor_rows[own, edge]
            if row >= 0 and row != own:  # an item's edge to itself counts by ρ alone
                values[row] += gamma[event] * neighbor_weights[own, edge]


@kernel("f8[:, ::1](i8[::1], f4[:, ::1], f8[:, ::1])")
def mapped_items(chosen: Ints, embeddings: Floats, columns: Doubles) -> Doubles:
    """(dim, k) M v_i of k items, side by side."""
    dim = embeddings.shape[1]
    mapped = np.empty((dim, len(chosen)))
    for place in range(len(chosen)):
        row, image = chosen[place], np.zeros(dim)
        for other in range(dim):
            number = np.float64(embeddings[row, other])
            for axis in range(dim):
                image[axis] += columns[other, axis] * number
        mapped[:, place] = image
    return mapped


@kernel(
    "Tuple((f8[:, ::1], f8[:, ::1]))"
    "(i4[::1], i8, i8[::1], i8, f4[::1], f4[::1], i4[:, ::1], f4[:, ::1], f4[::1])"
)
def edge_terms(
    place_of: Rows,
    k: int,
    rows: Ints,
    first: int,
    gamma: Floats,
    again: Floats,
    neighbor_rows: Rows,
    neighbor_weights: Floats,
    own_weights: Floats,
) -> tuple[Doubles, Doubles]:
    """Two arrays (m, k): terms of edges to k items, and the weights of these edges.

    Args:
        place_of: (n,) each item's place among the k, from 1.
        k: How many.
        rows: (m,) as for `add_edges`, and so the rest.
        first: Place of the oldest event that has γ.
        gamma: (m,).
        again: (m,) ρ.
        neighbor_rows: (n, width).
        neighbor_weights: (n, width).
        own_weights: (n,).
    """
    graph, weight = np.zeros((len(rows), k)), np.zeros((len(rows), k))
    for event in range(len(rows)):
        own = rows[event]
        if event >= first:
            for edge in range(neighbor_rows.shape[1]):
                row = neighbor_rows[own, edge]
                if row >= 0 and row != own and place_of[row]:
                    place = place_of[row] - 1
                    weight[event, place] = neighbor_weights[own, edge]
                    graph[event, place] = np.float64(gamma[event]) * weight[event, place]
        if place_of[own]:
            place = place_of[own] - 1
            weight[event, place] = own_weights[own]
            graph[event, place] = np.float64(again[event]) * weight[event, place]
    return graph, weight


@kernel(
    "Tuple((f8[:, ::1], f8[:, ::1], f8[:, ::1], f8[::1], i8[::1]))"
    "(i8[::1], i4[::1], f4[:, ::1], f4[::1], f8[:, ::1], i8[::1], i8, f4[::1], f4[::1], f4[::1],"
    " i4[:, ::1], f4[:, ::1], f4[::1])"
)
def terms(
    chosen: Ints,
    place_of: Rows,
    embeddings: Floats,
    bias: Floats,
    columns: Doubles,
    rows: Ints,
    first: int,
    alpha: Floats,
    gamma: Floats,
    again: Floats,
    neighbor_rows: Rows,
    neighbor_weights: Floats,
    own_weights: Floats,
) -> tuple[Doubles, Doubles, Doubles, Doubles, Ints]:
    """The terms of the scores of k items.

    Args:
        chosen: (k,) rows of the items, each once.
        place_of: (n,) zeros, and zeros again afterwards.
        embeddings: (n, dim).
        bias: (n,).
        columns: (dim, dim), the columns of M one after another.
        rows: (m,) rows of the events' items.
        first: Place of the oldest event that has α and γ.
        alpha: (m,).
        gamma: (m,) as for `add_edges`, and so the rest.
        again: (m,) ρ.
        neighbor_rows: (n, width).
        neighbor_weights: (n, width).
        own_weights: (n,).

    Returns:
        The fields of `Terms`.
    """
    k, count = len(chosen), len(rows)
    mapped = mapped_items(chosen, embeddings, columns)
    for place in range(k):
        place_of[chosen[place]] = place + 1
    graph, weight = edge_terms(
        place_of, k, rows, first, gamma, again, neighbor_rows, neighbor_weights, own_weights
    )
    for row in chosen:
        place_of[row] = 0
    felt, scores, best = np.zeros((count, k)), np.zeros(k), np.zeros(k, np.int64)
    for event in range(first, count):
        for axis in range(len(mapped)):
            number = np.float64(embeddings[rows[event], axis])
            for place in range(k):
                felt[event, place] += number * mapped[axis, place]
        for place in range(k):
            felt[event, place] *= np.float64(alpha[event])
    for place in range(k):
        highest = -np.inf
        for event in range(count):
            said = felt[event, place] + graph[event, place]
            scores[place] += said
            if said > highest:
                highest, best[place] = said, event
        scores[place] += np.float64(bias[chosen[place]])
    return felt, graph, weight, scores, best
