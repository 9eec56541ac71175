"""What contenders need beside the graph that they are fitted to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .cases import Floats


@dataclass(frozen=True, slots=True)
class Context:
    """What contenders need beside the graph.

    Args:
        text_embeddings: Makes the (items, d) float32 embeddings of the items' texts, by item row;
            None where there are no texts.
        encode_texts: Embeds any texts, (n, d) float32, by the same encoder; "" has zeros. None
            where there are no texts.
        threads: Threads that a fit may use.
        device: Where networks are fitted: `cpu`, `cuda`, or `auto` for CUDA where there is one.
        tuned: The outcome of tuning on this data set and protocol by contender, as written by
            `models.evaluation.tuning`; what combines contenders takes them as tuned.
    """

    text_embeddings: Callable[[], Floats] | None = None
    encode_texts: Callable[[Sequence[str]], Floats] | None = None
    threads: int = 1
    device: str = "cpu"
    tuned: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
