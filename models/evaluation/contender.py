"""What takes part in an evaluation: anything that can be fitted to a graph and then ranks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from interest_graph.interaction_graph import InteractionGraph

    from .cases import Cases, Ranker

Hyperparameters = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Fitted:
    """A fitted contender.

    Args:
        ranker: Scores all items for cases.
        found: Hyperparameters that the fit itself found on the validation, such as `epochs`; given
            back to it, they make a refit on more events without a validation possible.
    """

    ranker: Ranker
    found: dict[str, Any] = field(default_factory=dict)


class Contender(Protocol):
    """A recommender with hyperparameters.

    Args:
        name: As it is called on the command line and in tables.
        seeded: Whether a fit depends on its seed.
        defaults: Hyperparameters by default; a search space may vary any of them.

    One may name in `searched` what it finds before it is fitted: known of tuning, it is not
    searched again where nothing is refitted.
    """

    name: str
    seeded: bool
    defaults: Hyperparameters

    def fit(
        self,
        graph: InteractionGraph,
        hyperparameters: Hyperparameters,
        seed: int,
        check: Cases | None,
    ) -> Fitted:
        """Fit to a graph.

        Args:
            graph: The events to learn from.
            hyperparameters: All of `defaults`, some of them changed, and what an earlier fit found.
            seed: Of everything random.
            check: The validation, for early stopping; None for a refit, which then relies on what
                an earlier fit found.
        """
        ...
