"""What decides how a model comes out, and how training says how far it is."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from .fit_config import FitConfig
from .item_evidence import EvidenceConfig
from .recommender import RecommenderConfig
from .text_encoder import PACKAGED

if TYPE_CHECKING:
    from pathlib import Path

EPOCH_STEPS = 100
"""So that the steps of a training take minutes, whatever a shop has of events."""


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """Everything that decides how a model comes out.

    Args:
        text_model: As for `TextEncoder`.
        tune_text: Train the text encoder as well.
        device: `cpu`, `cuda`, or `auto` for CUDA where there is one.
        dim: Dimension of the embeddings.
        max_events: Newest events an interest is computed from.
        again_events: Newest events after which a thing may be wanted again.
        similar_items: Edges that leave an item.
        text_edges: Of these, how many are kept for items that read alike.
        num_neighbors: Neighbours that a step of the graph encoder reads.
        popularity_half_life_days: Days after which an event counts half in the popularity.
        folds: Groups of users; an edge's evidence leaves out the group it is trained on, so that
            training cannot read its answers off the edges.
        validation_share: Share of the events, the latest but for the test, that stops training.
        test_share: Share of the events, the latest, that judges the model.
        max_evaluation_users: Users that an evaluation ranks for at most.
        max_evaluation_scores: Scores that it computes at most, a user times all items; fewer users
            of large catalogues.
        identities: Whether items, categories and brands have a learned identity beside their text.
        words: Whether words of texts have a learned vector beside the text encoder.
        evidence: How pairs of events become evidence; training tunes it on the validation.
        fit: The rest; its `model` and `seed` are set from here.
        seed: Of everything random.
        log_dir: Where TensorBoard's files go; None writes none.
    """

    text_model: str = PACKAGED
    tune_text: bool = False
    device: str = "cpu"
    dim: int = 64
    max_events: int = 50
    again_events: int = 250
    similar_items: int = 20
    text_edges: int = 4
    num_neighbors: int = 20
    popularity_half_life_days: float = 30.0
    folds: int = 4
    validation_share: float = 0.1
    test_share: float = 0.1
    max_evaluation_users: int = 5000
    max_evaluation_scores: int = 50_000_000
    identities: bool = True
    words: bool = True
    evidence: EvidenceConfig = field(default_factory=EvidenceConfig)
    fit: FitConfig = field(
        default_factory=lambda: FitConfig(RecommenderConfig(), epoch_steps=EPOCH_STEPS)
    )
    seed: int = 0
    log_dir: Path | None = None

    def for_cases(self, *, several: bool) -> TrainingConfig:
        """The configuration where several items are wanted of a case, or else the next one.

        What follows next is a good guide to that alone: then training goes on for longer, at higher
        rates and to the end of their cosine. Where several are wanted it soon learns what is not
        asked for.
        """
        if several:
            return self
        fit = replace(self.fit, epochs=8, patience=8, learning_rate=6e-3, identity_rate=3.0)
        return replace(self, fit=fit)

    def evaluation_users(self, items: int) -> int:
        """Users that an evaluation ranks so many items for, at most; one at least."""
        return max(1, min(self.max_evaluation_users, self.max_evaluation_scores // max(items, 1)))


@dataclass(frozen=True, slots=True)
class Progress:
    """How far training is.

    Args:
        stage: `texts`, `baselines`, `fit`, `evaluate`, `refit` or `publish`.
        done: Steps done of this stage.
        total: Steps of this stage.
        figures: What there is to say, like the loss.
    """

    stage: str
    done: int
    total: int
    figures: dict[str, float] = field(default_factory=dict)
