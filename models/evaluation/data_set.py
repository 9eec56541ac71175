"""A data set: the facts, and what is special about them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from interest_graph.interaction_graph import InteractionGraph


@dataclass(frozen=True, slots=True)
class DataSet:
    """Facts to evaluate on.

    Args:
        name: As it is called on the command line and in file names.
        graph: Items, users and events.
        protocols: The protocols that suit it, the usual one first.
        repeats: Whether taking an item again counts; otherwise what was seen is never ranked.
        target_types: The event types that can be wanted; see `wanted_events`.
        in_test: (events,) bool, the events of a test that comes with the data.
    """

    name: str
    graph: InteractionGraph
    protocols: tuple[str, ...]
    repeats: bool = False
    target_types: tuple[str, ...] | None = None
    in_test: npt.NDArray[np.bool_] | None = None

    @property
    def counts(self) -> dict[str, int]:
        """How much there is."""
        graph = self.graph
        return {
            "users": len(graph.user_ids),
            "items": graph.num_items,
            "categories": len(graph.category_ids),
            "events": graph.num_events,
        }

    @property
    def digest(self) -> str:
        """Names the content: equal facts, equal digest."""
        graph, digest = self.graph, hashlib.blake2b(digest_size=8)
        for names in (graph.item_ids, graph.item_texts, graph.category_texts, graph.user_ids):
            digest.update("\x1f".join(names).encode())
        digest.update(repr((graph.item_categories, graph.event_types, self.target_types)).encode())
        arrays = (graph.event_user, graph.event_item, graph.event_type, graph.event_time)
        for array in arrays if self.in_test is None else (*arrays, self.in_test):
            digest.update(array.tobytes())
        return digest.hexdigest()
