"""What a case's user did, as sparse vectors over items: what most baselines rank from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import sparse

from interest_graph.interaction_graph import DAY_S, InteractionGraph

if TYPE_CHECKING:
    from models.evaluation.cases import Cases

Ints = npt.NDArray[np.int64]


def newest_events(cases: Cases, max_events: int | None = None) -> tuple[Ints, Ints, Ints]:
    """The newest events of each case's user.

    Args:
        cases: The cases.
        max_events: How many at most; None for all.

    Returns:
        Three (N,) int64 arrays: the case, the position in `cases.history`, and the rank of the
        event in its user's history, 0 for the newest.
    """
    owners = cases.history.event_user
    stops = np.searchsorted(owners, cases.users, side="right")
    counts = stops - np.searchsorted(owners, cases.users, side="left")
    if max_events is not None:
        counts = np.minimum(counts, max_events)
    case = np.repeat(np.arange(len(cases)), counts)
    rank = np.arange(len(case)) - np.repeat(np.cumsum(counts) - counts, counts)
    return case, stops[case] - 1 - rank, rank


def user_vectors(
    cases: Cases,
    max_events: int | None = None,
    decay: float = 1.0,
    half_life_days: float = np.inf,
    *,
    by_type: bool = True,
) -> sparse.csr_array:
    """What each case's user took, newer events first, a (cases, items) float32 matrix.

        x_ui = Σ w · decay^rank · 2^(-age / half-life)   over the user's events with item i

    Args:
        cases: The cases.
        max_events: Newest events that count; None for all.
        decay: Weight of an event against the next newer one.
        half_life_days: Age, at the case's moment, at which an event counts half.
        by_type: Whether an event counts the weight w of its type; otherwise 1.
    """
    history = cases.history
    case, position, rank = newest_events(cases, max_events)
    amount = decay ** rank.astype(np.float64)
    age_days = np.maximum(cases.as_of[case] - history.event_time[position], 0.0) / DAY_S
    amount *= np.exp2(-age_days / half_life_days)
    if by_type:
        amount *= np.asarray(history.event_weights)[history.event_type[position]]
    places = (case, history.event_item[position])
    shape = (len(cases), history.num_items)
    return sparse.csr_array((amount.astype(np.float32), places), shape=shape)


def binary_vectors(cases: Cases) -> sparse.csr_array:
    """Which items each case's user took, a (cases, items) float32 matrix of ones."""
    return _ones(user_vectors(cases, by_type=False))


def interactions(graph: InteractionGraph) -> sparse.csr_array:
    """Which users took which items, a (users, items) float32 matrix of ones."""
    values = np.ones(graph.num_events, np.float32)
    shape = (len(graph.user_ids), graph.num_items)
    return _ones(sparse.csr_array((values, (graph.event_user, graph.event_item)), shape=shape))


def _ones(matrix: sparse.csr_array) -> sparse.csr_array:
    """The matrix with every stored value set to one."""
    matrix.sum_duplicates()
    matrix.data[:] = 1.0
    return matrix
