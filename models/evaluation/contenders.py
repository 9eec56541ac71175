"""The registry: every contender by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.baselines.als import ALS
from models.baselines.bpr import BPR
from models.baselines.ease import EASE
from models.baselines.ease_recency import EASERecency
from models.baselines.item_knn import ItemKNN
from models.baselines.light_gcn import LightGCN
from models.baselines.personal_popularity import PersonalPopularity
from models.baselines.popularity import Popularity
from models.baselines.recent_popularity import RecentPopularity
from models.baselines.sasrec import SASRec
from models.baselines.sequence_knn import SequenceKNN
from models.baselines.text_knn import TextKNN
from models.baselines.weighted_sum import WeightedSum

from .context import Context
from .interest_graph import InterestGraph

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .contender import Contender

__all__ = ["REGISTRY", "Context", "contenders"]

_ALONE: dict[str, Callable[[Context], Contender]] = {
    kind.name: kind
    for kind in (
        Popularity,
        RecentPopularity,
        PersonalPopularity,
        TextKNN,
        ItemKNN,
        SequenceKNN,
        EASE,
        EASERecency,
        ALS,
        BPR,
        LightGCN,
        SASRec,
    )
}


def _weighted_sum(context: Context) -> Contender:
    return WeightedSum(context, lambda name: _ALONE[name](context), tuple(_ALONE))


REGISTRY: dict[str, Callable[[Context], Contender]] = {
    **_ALONE,
    WeightedSum.name: _weighted_sum,
    InterestGraph.name: InterestGraph,
}
"""What makes each contender from a context, by name, cheap ones first."""


def contenders(names: Sequence[str] | None, context: Context) -> list[Contender]:
    """Contenders by name; all of them for None.

    Args:
        names: As in `REGISTRY`.
        context: What they need beside the graph.

    Raises:
        ValueError: There is no contender of that name.
    """
    wanted = list(REGISTRY) if names is None else list(names)
    unknown = [name for name in wanted if name not in REGISTRY]
    if unknown:
        msg = f"no contender is called {', '.join(unknown)}; there are {', '.join(REGISTRY)}"
        raise ValueError(msg)
    return [REGISTRY[name](context) for name in wanted]
