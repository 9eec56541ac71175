"""GF-CF on Gowalla: a closed form whose published figures an evaluation must come to.

Usage: python -m benchmarks.gf_cf [--data-root FOLDER]

Nothing is trained or drawn, so that whatever differs would be the data, the split or the metrics.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse.linalg import svds

from cli.evaluation.find import find_data_set
from models.baselines.history import interactions
from models.evaluation.metrics import evaluate
from models.evaluation.protocols import make_split

if TYPE_CHECKING:
    from models.evaluation.cases import Cases, Ranker

Floats = npt.NDArray[np.float32]
DIRECTIONS, IDEAL = 256, 0.3
PUBLISHED = {"recall_at_20": 0.1849, "ndcg_at_20": 0.1518}


def gf_cf(taken: sparse.csr_array, directions: int = DIRECTIONS, ideal: float = IDEAL) -> Ranker:
    """Graph filter based collaborative filtering (Shen et al. 2021, arXiv:2108.07567).

        s(u, ·) = r_u (N^T N + ideal · D_i^-½ V V^T D_i^½),  N = D_u^-½ R D_i^-½

    with r_u the user's row of R and V the leading right singular vectors of N.

    Args:
        taken: R, (users, items), 1 where a user took an item.
        directions: Columns of V.
        ideal: Weight of the second term.
    """
    of_users, of_items = (np.maximum(taken.sum(axis=axis), 1.0) for axis in (1, 0))
    scaled = sparse.diags_array(of_users**-0.5) @ taken @ sparse.diags_array(of_items**-0.5)
    normalized = sparse.csr_array(scaled).astype(np.float32)
    leading = svds(normalized, k=directions, random_state=0)[2].T.astype(np.float32)
    root, back = np.sqrt(of_items).astype(np.float32), normalized.T.tocsr()

    def ranker(cases: Cases) -> Floats:
        rows = taken[cases.users].toarray().astype(np.float32)
        linear = (back @ (normalized @ rows.T)).T
        return np.asarray(linear + ideal * ((rows / root) @ leading) @ leading.T * root, np.float32)

    return ranker


def main() -> int:
    """Entry point; 1 when a figure is another than what is published."""
    parser = argparse.ArgumentParser(description=__doc__)
    root = os.environ.get("INTEREST_GRAPH_DATA")
    parser.add_argument("--data-root", type=Path, default=root and Path(root))
    options = parser.parse_args()
    split = make_split(find_data_set("gowalla", options.data_root), "given")
    metrics = evaluate(gf_cf(interactions(split.known)), split.test).metrics
    found = {name: round(metrics[name], 4) for name in PUBLISHED}
    print(f"GF-CF on Gowalla, {len(split.test):,} users, {DIRECTIONS} directions, {IDEAL} ideal")
    for name, published in PUBLISHED.items():
        print(f"{name}: {found[name]:.4f}; published {published:.4f}")
    return int(found != PUBLISHED)


if __name__ == "__main__":
    sys.exit(main())
