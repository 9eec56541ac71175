"""Which items follow which: directed co-occurrence that decays with distance and age."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from interest_graph.interaction_graph import DAY_S, InteractionGraph

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class EvidenceConfig:
    """How pairs of events become evidence.

    Args:
        window: Events back that a pair may span.
        distance_decay: A pair's weight is this to the power of its distance minus one.
        half_life_days: Age at which a pair counts half.
        source_power: Exponent of the source's events in the normalisation.
        target_power: Exponent of the target's events.
        smoothing: Added to the events of an item before it is divided by them.
    """

    window: int = 20
    distance_decay: float = 0.9
    half_life_days: float = 365.0
    source_power: float = 0.5
    target_power: float = 0.5
    smoothing: float = 5.0


def evidence(
    graph: InteractionGraph, config: EvidenceConfig, users: npt.NDArray[np.bool_] | None = None
) -> sparse.csr_array:
    """Normalised evidence of every pair (source row, target row), an (n, n) sparse matrix.

        e_ji = Σ decay^(distance - 1) · 2^(-age / half-life) / (n_j + s)^a (n_i + s)^b

    over the pairs of events of one user in which j comes before i; events at the same moment count
    in both directions. The diagonal says how often an item is wanted again.

    Args:
        graph: The events.
        config: Windows, decays and norms.
        users: Marks the users whose events count; all when left out.
    """
    keep = np.ones(graph.num_events, bool) if users is None else users[graph.event_user]
    user, item = graph.event_user[keep], graph.event_item[keep]
    time = graph.event_time[keep]
    weight = np.asarray(graph.event_weights)[graph.event_type[keep]]
    now = float(graph.event_time.max()) if graph.num_events else 0.0
    weight = np.sqrt(weight) * np.exp2(-(now - time) / DAY_S / config.half_life_days / 2)
    size = (graph.num_items, graph.num_items)
    total = sparse.coo_array(size, dtype=np.float32).tocsr()
    for distance in range(1, min(config.window, len(user) - 1) + 1):
        first, second = slice(None, -distance), slice(distance, None)
        same = user[first] == user[second]
        source, target = item[first][same], item[second][same]
        amount = (weight[first] * weight[second])[same] * config.distance_decay ** (distance - 1)
        tied = (time[first] == time[second])[same] & (source != target)
        rows = np.concatenate([source, target[tied]])
        columns = np.concatenate([target, source[tied]])
        amounts = np.concatenate([amount, amount[tied]]).astype(np.float32)
        total = (total + sparse.coo_array((amounts, (rows, columns)), shape=size)).tocsr()
    events = np.bincount(item, weights=weight, minlength=size[0]).astype(np.float64)
    return _normalised(total, events, config)


def _normalised(
    total: sparse.csr_array[np.float32, Any],
    events: npt.NDArray[np.float64],
    config: EvidenceConfig,
) -> sparse.csr_array:
    """Divide by what both items have of events."""
    source = (events + config.smoothing) ** -config.source_power
    target = (events + config.smoothing) ** -config.target_power
    pairs = total.tocoo()
    values = pairs.data * source[pairs.row] * target[pairs.col]
    normalised = sparse.csr_array(
        (values.astype(np.float32), (pairs.row, pairs.col)), shape=total.shape
    )
    normalised.sum_duplicates()
    return normalised


def strongest(matrix: sparse.csr_array, count: int) -> tuple[Ints, Ints, Floats]:
    """The `count` strongest entries of each row.

    Returns:
        Sources, targets and values; by source, then value descending, then target row.
    """
    entries = matrix.tocoo()
    order = np.lexsort((entries.col, -entries.data, entries.row))
    rows, columns = entries.row[order], entries.col[order]
    place = np.arange(len(rows)) - np.searchsorted(rows, rows, side="left")
    keep = place < count
    values = entries.data[order][keep].astype(np.float32)
    return rows[keep].astype(np.int64), columns[keep].astype(np.int64), values


def at(matrix: sparse.csr_array, rows: Ints, columns: Ints) -> Floats:
    """The matrix's entries at given places, 0 where there is none.

    >>> at(sparse.csr_array(np.eye(2)), np.array([0, 0]), np.array([0, 1])).tolist()
    [1.0, 0.0]
    """
    entries = matrix.tocoo()
    width = matrix.shape[1]
    keys = entries.row.astype(np.int64) * width + entries.col
    order = np.argsort(keys)
    wanted = rows * width + columns
    if not len(keys):
        return np.zeros(len(wanted), np.float32)
    place = np.minimum(np.searchsorted(keys, wanted, sorter=order), len(keys) - 1)
    hit = order[place]
    return np.where(keys[hit] == wanted, entries.data[hit], 0).astype(np.float32)
