"""Item–item neighbourhood by plain co-occurrence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from models.evaluation.contender import Fitted, Hyperparameters
from models.sparse_rows import pruned

from .history import binary_vectors, interactions
from .neighborhood import NeighborhoodRanker

if TYPE_CHECKING:
    from collections.abc import Mapping

    from interest_graph.interaction_graph import InteractionGraph
    from models.evaluation.cases import Cases
    from models.evaluation.context import Context

BLOCK_ITEMS = 2048


class ItemKNN:
    """Cosine of co-occurrence with shrinkage (Sarwar et al. 2001; Deshpande & Karypis 2004).

        s_ji = c_ji / (n_j^a · n_i^(1 - a) + shrinkage)

    with c_ji the users who took both and n_i those who took i. Neither order nor time counts; a = ½
    is the cosine. The `neighbors` most similar items of each item are kept.
    """

    name = "item_knn"
    seeded = False
    defaults: Mapping[str, Any] = {"neighbors": 200, "shrinkage": 10.0, "source_power": 0.5}

    def __init__(self, context: Context) -> None:
        del context

    def fit(
        self,
        graph: InteractionGraph,
        hyperparameters: Hyperparameters,
        seed: int,
        check: Cases | None,
    ) -> Fitted:
        """Count pairs."""
        del seed, check
        similar = similarities(
            interactions(graph),
            int(hyperparameters["neighbors"]),
            float(hyperparameters["shrinkage"]),
            float(hyperparameters["source_power"]),
        )
        return Fitted(NeighborhoodRanker(similar, binary_vectors))


def similarities(
    taken: sparse.csr_array, neighbors: int, shrinkage: float, source_power: float = 0.5
) -> sparse.csr_array:
    """The strongest similarities of each item, (items, items) sparse, without its own.

    Args:
        taken: (users, items) of ones.
        neighbors: Entries kept of each row.
        shrinkage: Added to the denominator.
        source_power: Exponent a of the source's count.
    """
    items = taken.shape[1]
    by_item = taken.T.tocsr()
    count = np.asarray(taken.sum(axis=0), np.float64)
    source, target = count**source_power, count ** (1 - source_power)
    blocks = []
    for start in range(0, items, BLOCK_ITEMS):
        pairs = (by_item[start : start + BLOCK_ITEMS] @ taken).tocoo()
        row = pairs.row + start
        value = pairs.data / (source[row] * target[pairs.col] + shrinkage)
        other = row != pairs.col
        entries = (value[other].astype(np.float32), (pairs.row[other], pairs.col[other]))
        blocks.append(pruned(sparse.csr_array(entries, shape=pairs.shape), neighbors))
    return sparse.csr_array(sparse.vstack(blocks, format="csr"))
