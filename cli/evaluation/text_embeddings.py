"""Embeddings of the items' texts, computed when somebody asks and kept beside other downloads."""

from __future__ import annotations

import hashlib
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from ..local_stack.paths import cache_dir

if TYPE_CHECKING:
    from collections.abc import Callable

    from interest_graph.interaction_graph import InteractionGraph
    from models.evaluation.cases import Floats


def text_embeddings(
    graph: InteractionGraph, text_model: str, device: str = "cpu"
) -> Callable[[], Floats] | None:
    """What makes the (items, d) float32 embeddings of the texts; None where no item has one.

    Args:
        graph: The items.
        text_model: As for `TextEncoder`.
        device: Where they are computed.
    """
    if not any(graph.item_texts):
        return None

    @cache
    def embeddings() -> Floats:
        content = "\x1f".join((text_model, *graph.item_texts))
        digest = hashlib.blake2b(content.encode(), digest_size=16).hexdigest()
        path = cache_dir() / "text-embeddings" / f"{digest}.npy"
        if path.is_file():
            found: Floats = np.load(path)
            return found
        computed = _encode(graph, text_model, device)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial.npy")
        np.save(partial, computed)
        partial.replace(path)
        return computed

    return embeddings


def _encode(graph: InteractionGraph, text_model: str, device: str) -> Floats:
    """The embeddings, each distinct text read once."""
    from models.text_encoder import TextEncoder, cached_embeddings

    known: dict[str, Floats] = {}
    return cached_embeddings(TextEncoder(text_model, device), graph.item_texts, known)
