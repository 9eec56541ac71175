"""How the joint model is fitted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .recommender import RecommenderConfig


@dataclass(frozen=True, slots=True)
class FitConfig:
    """How the joint model is fitted.

    Args:
        model: Its shape.
        epochs: Most passes over the events; the rates fall to nothing along half a cosine.
        epoch_steps: Most steps of a pass; of more batches each draws some anew. None for all.
        warm_up_steps: Steps in which the rates rise to what they are; a tenth of all at most.
        patience: Epochs without improvement after which it stops.
        batch_events: Most events of a step.
        negatives: Items drawn for a step.
        full_softmax_items: With at most this many items every step ranks all of them.
        learning_rate: Of the networks.
        table_rate: Of tables and scales, as a multiple of `learning_rate`.
        weight_decay: Of all but tables and scales.
        identity_rate: Of identities, likewise; most items are rare, and fast they are learned by
            heart.
        identity_decay: Weight decay of identities.
        refinement_rate: Of the refinement of each edge, likewise, for the same reason.
        refinement_decay: Weight decay of the refinement of each edge.
        same_moment: Share of windows in which events of the same moment see each other.
        look_ahead: Share of targets drawn from all that follows instead of being the next event.
        any_order: Whether users' events have no order: every epoch reads them in a new one.
        text_batch: Texts of a step that gradients reach, when the text encoder is tuned.
        text_rate: Learning rate of the text encoder.
        seed: Of everything random.
    """

    model: RecommenderConfig
    epochs: int = 3
    epoch_steps: int | None = None
    warm_up_steps: int = 50
    patience: int = 2
    batch_events: int = 1600
    negatives: int = 1024
    full_softmax_items: int = 2000
    learning_rate: float = 1e-3
    table_rate: float = 10.0
    weight_decay: float = 1e-4
    identity_rate: float = 0.1
    identity_decay: float = 1e-2
    refinement_rate: float = 0.03
    refinement_decay: float = 1e-2
    same_moment: float = 0.25
    look_ahead: float = 1.0
    any_order: bool = False
    text_batch: int = 64
    text_rate: float = 2e-5
    seed: int = 0
