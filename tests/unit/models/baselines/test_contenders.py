"""Every contender of the registry passes the suite, and names are checked."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))

from contender_checks import check_contender
from synthetic import make_graph

from models.evaluation.contenders import REGISTRY, Context, contenders

SHOP = make_graph(users=24, events=16)
FAST: dict[str, dict[str, float]] = {
    "als": {"factors": 8, "iterations": 3},
    "bpr": {"factors": 8, "iterations": 3},
    "light_gcn": {"dim": 8, "decay_epochs": 3, "negatives": 16},
    "sasrec": {"dim": 8, "epochs": 3, "max_events": 6},
}
SAME_FOR_ALL = {"popularity", "recent_popularity"}
OURS = {"interest_graph"}


def context() -> Context:
    texts = np.random.default_rng(0).normal(size=(SHOP.num_items, 8)).astype(np.float32)
    return Context(text_embeddings=lambda: texts)


@pytest.mark.parametrize("name", [name for name in REGISTRY if name not in OURS])
def test_a_contender_does_what_evaluations_rely_on(name: str) -> None:
    """Every baseline passes the suite."""
    check_contender(
        lambda: contenders([name], context())[0],
        SHOP,
        FAST.get(name, {}),
        personal=name not in SAME_FOR_ALL,
    )


def test_a_contender_is_known_by_its_name() -> None:
    """The registry's names are the contenders' own, and others are refused."""
    assert [one.name for one in contenders(REGISTRY, context())] == list(REGISTRY)
    with pytest.raises(ValueError, match="no contender is called nothing"):
        contenders(["nothing"], context())
