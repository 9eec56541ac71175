"""Text embeddings, computed when somebody asks and kept beside other downloads."""

from __future__ import annotations

import hashlib
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from models.evaluation.context import Context
from models.text_encoder import choose_device
from models.training_config import TrainingConfig

from ..local_stack.paths import cache_dir

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

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
    return cache(lambda: encode_texts(graph.item_texts, text_model, device))


def encode_texts(texts: Sequence[str], text_model: str, device: str = "cpu") -> Floats:
    """Embeddings of texts, (n, d) float32, zeros for ""; the same list is encoded only once.

    Args:
        texts: The texts.
        text_model: As for `TextEncoder`.
        device: Where they are computed.
    """
    content = "\x1f".join((text_model, *texts))
    digest = hashlib.blake2b(content.encode(), digest_size=16).hexdigest()
    path = cache_dir() / "text-embeddings" / f"{digest}.npy"
    if path.is_file():
        found: Floats = np.load(path)
        return found
    computed = _encode(texts, text_model, device)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial.npy")
    np.save(partial, computed)
    partial.replace(path)
    return computed


def _encode(texts: Sequence[str], text_model: str, device: str) -> Floats:
    """The embeddings, each distinct text read once."""
    from models.text_encoder import TextEncoder, cached_embeddings

    known: dict[str, Floats] = {}
    return cached_embeddings(TextEncoder(text_model, device), list(texts), known)


def make_context(
    graph: InteractionGraph,
    threads: int,
    tuned: Mapping[str, Mapping[str, Any]],
    device: str = "cpu",
) -> Context:
    """What contenders need beside a graph, with texts by the default text encoder."""
    text_model = TrainingConfig().text_model
    where = str(choose_device(device))
    encode = partial(encode_texts, text_model=text_model, device=where)
    return Context(text_embeddings(graph, text_model, where), encode, threads, where, tuned)
