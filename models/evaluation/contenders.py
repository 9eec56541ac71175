"""The registry: every contender by name."""

from __future__ import annotations

from functools import partial
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
from models.baselines.usual import is_usual
from models.baselines.weighted_sum import UsualSum, WeightedSum, best_two

from .ablation import PARTS
from .context import Context
from .interest_graph import NAME, InterestGraph
from .remembered import Remembered
from .shop_defaults import ShopDefaults

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .contender import Contender

__all__ = ["ABLATIONS", "REGISTRY", "Context", "contenders"]

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


_SUMS: dict[str, type[WeightedSum]] = {kind.name: kind for kind in (UsualSum, WeightedSum)}

REGISTRY = (*_ALONE, *_SUMS, NAME)
"""The names of all, cheap ones first."""

ABLATIONS: dict[str, Callable[[Context], Contender]] = {
    f"{NAME}_without_{part}": partial(InterestGraph, without=part) for part in PARTS
}
"""The model without a part each; they run when they are named."""

_WHEN_NAMED = ABLATIONS | {f"{NAME}_shop_defaults": ShopDefaults}


def contenders(names: Sequence[str] | None, context: Context) -> list[Contender]:
    """Contenders by name, for None all that need not be named and are not another's equal.

    Ablations and the defaults of a shop must be named; of two sums of the same two one runs. Parts
    of the sums are fitted once where they take part themselves.

    Args:
        names: As in `REGISTRY` and `ABLATIONS`, and `interest_graph_shop_defaults`.
        context: What they need beside the graph.

    Raises:
        ValueError: There is no contender of that name.
    """
    together = {
        UsualSum.name: best_two(context.tuned, tuple(name for name in _ALONE if is_usual(name))),
        WeightedSum.name: best_two(context.tuned, tuple(_ALONE)),
    }
    alike = together[UsualSum.name] == together[WeightedSum.name]
    every = tuple(name for name in REGISTRY if not (alike and name == UsualSum.name))
    wanted = every if names is None else names
    known = (*REGISTRY, *_WHEN_NAMED)
    unknown = [name for name in wanted if name not in known]
    if unknown:
        msg = f"no contender is called {', '.join(unknown)}; there are {', '.join(known)}"
        raise ValueError(msg)
    parts = {name: Remembered(_ALONE[name](context)) for two in together.values() for name in two}

    def made(name: str) -> Contender:
        if name in parts:
            return parts[name]
        if name in _SUMS:
            return _SUMS[name](context, [parts[part] for part in together[name]])
        kind = _ALONE.get(name) or _WHEN_NAMED.get(name) or InterestGraph
        return kind(context)

    return [made(name) for name in wanted]
