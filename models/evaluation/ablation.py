"""Ablations: the model without one of its parts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from models.fit_data import Texts

if TYPE_CHECKING:
    from collections.abc import Callable

    from interest_graph.interaction_graph import InteractionGraph
    from models.training_config import TrainingConfig

ENDLESS_DAYS = 1e6
PARTS = ("text", "words", "graph_encoder", "attention", "item_graph", "identity", "time")


def leave_out(
    part: str | None, graph: InteractionGraph, texts: Texts, config: TrainingConfig
) -> tuple[InteractionGraph, Texts, TrainingConfig]:
    """What a fit reads, without a part; unchanged without None.

    Args:
        part: `text`: texts of items, categories and brands are empty; `words`: words have no
            vectors of their own; `graph_encoder`: an embedding
            is own text and own identity alone, without category, brand and neighbours;
            `attention`: an interest is the mean of the events, none weighs more;
            `item_graph`: no item edges, neither for the second term of the score nor as neighbours;
            `identity`: no learned identities; `time`: the order of events alone.
        graph: The events.
        texts: Text embeddings.
        config: Hyperparameters.

    Raises:
        ValueError: There is no such part.
    """
    if part is None:
        return graph, texts, config
    if part == "text":
        empty = (np.zeros_like(one) for one in (texts.items, texts.categories, texts.brands))
        return graph, Texts(*empty), replace(config, words=False)
    if part == "graph_encoder":
        nothing = np.full(graph.num_items, -1)
        graph = replace(graph, item_categories=[()] * graph.num_items, item_brand=nothing)
    if part not in _WITHOUT:
        msg = f"no part is called {part}; there are {', '.join(PARTS)}"
        raise ValueError(msg)
    return graph, texts, _WITHOUT[part](config)


def _timeless(config: TrainingConfig) -> TrainingConfig:
    """The order of events alone."""
    evidence = replace(config.evidence, half_life_days=ENDLESS_DAYS)
    config = replace(config, evidence=evidence, popularity_half_life_days=ENDLESS_DAYS)
    return _shaped(config, "interest_encoder", timed=False)


def _shaped(config: TrainingConfig, encoder: str, **changes: Any) -> TrainingConfig:
    """The configuration with another shape of one encoder."""
    shape = config.fit.model
    encoders = {encoder: replace(getattr(shape, encoder), **changes)}
    return replace(config, fit=replace(config.fit, model=replace(shape, **encoders)))


_WITHOUT: dict[str, Callable[[TrainingConfig], TrainingConfig]] = {
    "graph_encoder": lambda config: _shaped(config, "graph_encoder", neighbor_share=0.0),
    "attention": lambda config: _shaped(config, "interest_encoder", attentive=False),
    "item_graph": lambda config: replace(config, similar_items=0, text_edges=0),
    "words": lambda config: replace(config, words=False),
    "identity": lambda config: replace(config, identities=False),
    "time": _timeless,
}
