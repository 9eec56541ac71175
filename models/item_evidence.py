"""Which items follow which: directed co-occurrence that decays with distance and age."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from interest_graph.interaction_graph import DAY_S, InteractionGraph

from .sparse_rows import (
    Matrix,
    best_of_each,
    best_others,
    blocks_of_rows,
    chosen,
    row_of_entries,
    stacked,
)
from .threads import in_threads

if TYPE_CHECKING:
    from collections.abc import Sequence

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
TYPICAL = 0.4
MOST_LENT = 100
MOST_BORROWED = 100
LIKENESS = 4.0
"""What an item lends of itself, in strongest edges: its own buyers want its likes too."""
MOST_PREDICTED = 60
"""Items that are predicted of a user."""


@dataclass(frozen=True, slots=True)
class EvidenceConfig:
    """How pairs of events become evidence.

    Args:
        window: Events back that a pair may span.
        distance_decay: A pair's weight is this to the power of its distance minus one.
        reverse: Weight of a pair for the direction against time.
        half_life_days: Age at which a pair counts half.
        source_power: Exponent of the source's events in the normalisation.
        target_power: Exponent of the target's events.
        smoothing: Added to the events of an item before it is divided by them.
        user_power: Exponent of a user's events; who takes everything says less with each pair.
        predicted: Events that the pairs say are missing and that count among an item's in what
            pairs are divided by, as a share of all events.
        borrowed: Weight of what items that read alike have of evidence.
    """

    window: int = 20
    distance_decay: float = 0.9
    reverse: float = 0.5
    half_life_days: float = 365.0
    source_power: float = 0.5
    target_power: float = 0.5
    smoothing: float = 5.0
    user_power: float = 0.0
    predicted: float = 0.0
    borrowed: float = 0.0


def evidence(
    graph: InteractionGraph, config: EvidenceConfig, lent: Matrix | None = None
) -> sparse.csr_array:
    """Normalised evidence of every pair (source row, target row), an (n, n) sparse matrix.

        e_ji = c Σ decay^(distance - 1) · 2^(-age / half-life) / m_u^p (n_j + s)^a (n_i + s)^b

    over the pairs of events of one user u, who has m_u events, in which j comes before i, and,
    times `reverse`, of those in which it comes after; n are an item's events, predicted ones
    included. Events at the same moment count in full in both directions. The diagonal says how
    often an item is wanted again. Where nothing came first, all events being of one moment, every
    pair of a user counts alike, however far apart. The constant c makes the strongest edge of an
    item to another `TYPICAL` on average, whatever the exponents.

    To that an item adds what others lend it:

        e_ji + b Σ_k S_ik (e_jk + l [j = k])

    the evidence of what is said of it, so that a new item is followed to as its likes are, and from
    these likes themselves, l being `LIKENESS` times the strongest edge of an item on average.

    Args:
        graph: The events.
        config: Windows, decays, norms, and b.
        lent: (items, items) S, as of `models.likeness.lenders`; None for none.
    """
    alone = np.zeros(len(graph.user_ids), np.int64)
    return evidence_by_fold(graph, config, alone, lent)[0]


def evidence_by_fold(
    graph: InteractionGraph,
    config: EvidenceConfig,
    fold_of_user: Ints,
    lent: Matrix | None = None,
) -> list[sparse.csr_array]:
    """The evidence of all events, and then for each fold that of the users outside it.

    Args:
        graph: The events.
        config: Windows, decays and norms.
        fold_of_user: (users,) int64.
        lent: As for `evidence`.
    """
    direct = direct_evidence(graph, config, fold_of_user)
    if lent is None or not config.borrowed:
        return scaled(direct)
    backwards = sparse.csr_array(lent.T)

    def whole(one: sparse.csr_array) -> sparse.csr_array:
        return with_borrowed(one, borrowed_evidence(one, backwards), config.borrowed)

    return scaled(in_threads(whole, direct))


def direct_evidence(
    graph: InteractionGraph, config: EvidenceConfig, fold_of_user: Ints
) -> list[sparse.csr_array]:
    """The same before anything is borrowed, and without c."""
    user, item, time = graph.event_user, graph.event_item, graph.event_time
    weight = np.asarray(graph.event_weights, dtype=np.float64)[graph.event_type]
    now = float(time.max()) if len(time) else 0.0
    weight = np.sqrt(weight) * np.exp2(-(now - time) / DAY_S / config.half_life_days / 2)
    in_pairs = weight * np.bincount(user)[user] ** (-config.user_power / 2)
    items, folds = graph.num_items, int(fold_of_user.max(initial=0)) + 1
    if graph.has_order:
        counted = _ordered_pairs(graph, in_pairs, config, fold_of_user, folds)
    else:
        counted = _all_pairs(graph, in_pairs, fold_of_user, folds)
    events = []
    for fold in range(folds):
        inside = fold_of_user[user] == fold
        events.append(np.bincount(item[inside], weights=weight[inside], minlength=items))
    whole, count = sum(counted[1:], start=counted[0]), np.sum(events, axis=0)

    def normalised(pairs: Matrix, events: Doubles, counts: npt.NDArray[np.bool_]) -> Matrix:
        """Of some users, whose events `counts` says."""
        direct = _normalised(pairs, events, config)
        if not config.predicted or not counts.any():
            return direct
        wanted = round(config.predicted * int(counts.sum()))
        missing = predicted_events(graph.where(counts), direct, wanted)
        return _normalised(pairs, events + missing.sum(0) * weight[counts].mean(), config)

    found = [normalised(whole, count, np.ones(len(user), np.bool_))]
    if folds > 1:
        found += [
            normalised(whole - part, count - some, fold_of_user[user] != fold)
            for fold, (part, some) in enumerate(zip(counted, events, strict=True))
        ]
    return found


def predicted_events(
    graph: InteractionGraph, direct: sparse.csr_array, count: int
) -> sparse.csr_array:
    """The events of all users that evidence says are missing, the strongest `count` of them.

        s_ui = Σ e_ji  over the items j of user u, for items i that u has no event of

    Items that pairs list too often have many of them for their events, and are divided by more
    (LinkProp-Multi, Fu et al. 2022, https://arxiv.org/abs/2203.15789; degrees alone, one round).
    Until the strongest are known, `MOST_PREDICTED` of every user are held in memory.

    Args:
        graph: The events.
        direct: Evidence, (items, items); of each item its `MOST_LENT` strongest are looked at.
        count: How many are wanted; `MOST_PREDICTED` of a user at most.

    Returns:
        (users, items) of ones.
    """
    ones = np.ones(len(graph.event_user), np.float32)
    places = (graph.event_user, graph.event_item)
    taken = sparse.csr_array((ones, places), shape=(len(graph.user_ids), graph.num_items))
    taken.data[:] = 1
    edges = best_others(direct, MOST_LENT)

    def missing(users: sparse.csr_array) -> sparse.csr_array:
        scores = sparse.csr_array(users @ edges - users * np.finfo(np.float32).max)
        return best_of_each(chosen(scores, scores.data > 0), MOST_PREDICTED)

    found = stacked(in_threads(missing, [block for _, block in blocks_of_rows(taken)]))
    kept = np.zeros(found.nnz, np.bool_)
    kept[np.argsort(-found.data, kind="stable")[:count]] = True
    found.data[:] = 1
    return chosen(found, kept)


def borrowed_evidence(direct: sparse.csr_array, backwards: Matrix) -> sparse.csr_array:
    """What items lend each other, for b = 1; the `MOST_BORROWED` strongest of each item.

    Args:
        direct: Evidence, (items, items).
        backwards: (items, items) the transposed shares S.
    """
    own = best_others(direct, MOST_LENT)
    itself = sparse.eye_array(len(own.indptr) - 1, dtype=np.float32, format="csr")
    lent = sparse.csr_array(own + itself * np.float32(LIKENESS * _typical(own)))
    return best_others(lent, MOST_BORROWED, backwards)


def with_borrowed(
    direct: sparse.csr_array, borrowed: sparse.csr_array, amount: float
) -> sparse.csr_array:
    """Evidence with what is borrowed, times b."""
    return sparse.csr_array(direct + borrowed * np.float32(amount))


def scaled(matrices: Sequence[sparse.csr_array]) -> list[sparse.csr_array]:
    """The matrices times c, which the first of them decides."""
    scale = np.float32(_scale(matrices[0]))
    return [sparse.csr_array(one * scale) for one in matrices]


def _ordered_pairs(
    graph: InteractionGraph, weight: Doubles, config: EvidenceConfig, fold_of_user: Ints, folds: int
) -> list[sparse.csr_array[Any, Any]]:
    """The decayed pairs of the users of each fold, (items, items) each."""
    user, item, time = graph.event_user, graph.event_item, graph.event_time
    items = graph.num_items
    # One matrix below the other, one a fold; a distance at a time, for all pairs would fill memory.
    stacked: sparse.csr_array[Any, Any] = sparse.csr_array((folds * items, items), dtype=np.float32)
    for distance in _distances(user, config):
        (owner, source, target), amount = _pairs(user, item, time, weight, distance, config.reverse)
        values = (amount * config.distance_decay ** (distance - 1)).astype(np.float32)
        rows = (fold_of_user[owner] * items + source).astype(np.int32)
        places = (rows, target.astype(np.int32))  # half of what SciPy would go through
        stacked = stacked + sparse.csr_array((values, places), shape=stacked.shape)
    return [stacked[fold * items : (fold + 1) * items] for fold in range(folds)]


def _all_pairs(
    graph: InteractionGraph, weight: Doubles, fold_of_user: Ints, folds: int
) -> list[sparse.csr_array[Any, Any]]:
    """All pairs of different items of the users of each fold, where there is no order."""
    taken = sparse.csr_array(
        (weight.astype(np.float32), (graph.event_user, graph.event_item)),
        shape=(len(graph.user_ids), graph.num_items),
    )
    counted = []
    for fold in range(folds):
        rows = taken[np.flatnonzero(fold_of_user == fold)]
        pairs = sparse.coo_array(rows.T @ rows)
        other = pairs.row != pairs.col
        places = (pairs.row[other], pairs.col[other])
        counted.append(sparse.csr_array((pairs.data[other], places), shape=pairs.shape))
    return counted


def _scale(matrix: sparse.csr_array) -> float:
    """What makes the strongest edge of an item to another `TYPICAL` on average."""
    typical = _typical(matrix)
    return TYPICAL / typical if typical else 1.0


def _typical(matrix: sparse.csr_array) -> float:
    """The strongest edge of an item to another, on average over those that have any; 0 for none."""
    rows = row_of_entries(matrix)
    values = np.where(matrix.indices == rows, 0, matrix.data)
    filled = np.flatnonzero(np.diff(matrix.indptr))
    strongest_edge = np.maximum.reduceat(values, matrix.indptr[filled]) if len(filled) else values
    found = strongest_edge[strongest_edge > 0]
    return float(found.mean(dtype=np.float64)) if len(found) else 0.0


def _distances(user: Ints, config: EvidenceConfig) -> range:
    """The distances that pairs may have."""
    return range(1, min(config.window, len(user) - 1) + 1)


def _pairs(
    user: Ints,
    item: Ints,
    time: npt.NDArray[np.float64],
    weight: npt.NDArray[np.float64],
    distance: int,
    reverse: float,
) -> tuple[Ints, npt.NDArray[np.float64]]:
    """Pairs of one user's events that far apart: (user, source, target), and amounts."""
    first, second = slice(None, -distance), slice(distance, None)
    same = user[first] == user[second]
    source, target, owner = item[first][same], item[second][same], user[first][same]
    amount = (weight[first] * weight[second])[same]
    back = np.where((time[first] == time[second])[same], 1.0, reverse) * amount
    other = (source != target) & (back > 0)
    pairs = np.concatenate(
        [
            np.stack([owner, source, target]),
            np.stack([owner[other], target[other], source[other]]),
        ],
        1,
    )
    return pairs, np.concatenate([amount, back[other]])


def _normalised(
    total: sparse.csr_array[np.float32, Any],
    events: npt.NDArray[np.float64],
    config: EvidenceConfig,
) -> sparse.csr_array:
    """Divide by what both items have of events."""
    source = (events + config.smoothing) ** -config.source_power
    target = (events + config.smoothing) ** -config.target_power
    values = total.data * source[row_of_entries(total)] * target[total.indices]
    return sparse.csr_array(
        (values.astype(np.float32), total.indices, total.indptr), shape=total.shape
    )
