"""The suite that every contender passes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from models.evaluation.cases import Cases, make_cases

if TYPE_CHECKING:
    from collections.abc import Callable

    from interest_graph.interaction_graph import InteractionGraph
    from models.evaluation.contender import Contender, Hyperparameters


def check_contender(
    make: Callable[[], Contender],
    graph: InteractionGraph,
    changes: Hyperparameters,
    *,
    personal: bool = True,
) -> None:
    """Check what every reader of a contender relies on.

    Scores have the shape (cases, items), are finite float32 and repeat for equal seeds; a user
    without any event gets scores; scores move when the history does; what a fit with a validation
    found makes a refit without one possible.

    Args:
        make: Makes the contender.
        graph: Events.
        changes: Hyperparameters that make its fit fast.
        personal: Whether a user's own events change the user's scores.
    """
    contender = make()
    hyperparameters = dict(contender.defaults) | dict(changes)
    cut = float(np.quantile(graph.event_time, 0.7))
    past, future = graph.split(cut)
    check = make_cases(past, future, cut, 100, 0)
    fitted = contender.fit(past, hyperparameters, 0, check)
    scores = fitted.ranker(check)
    assert scores.shape == (len(check), graph.num_items)
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()
    again = make().fit(past, hyperparameters, 0, check)
    np.testing.assert_array_equal(again.ranker(check), scores)
    assert again.found == fitted.found
    _check_histories(fitted.ranker, check, graph, personal=personal)
    refitted = make().fit(graph, hyperparameters | fitted.found, 1, None)
    moved = replace(check, history=graph, as_of=np.full(len(check), graph.event_time.max() + 1))
    assert np.isfinite(refitted.ranker(moved)).all()


def _check_histories(
    ranker: Callable[[Cases], np.ndarray], check: Cases, graph: InteractionGraph, *, personal: bool
) -> None:
    """Empty histories get scores, and longer ones others than before."""
    scores = ranker(check)
    user = int(check.users[0])
    without = replace(check, history=check.history.where(check.history.event_user != user))
    empty = ranker(without.take(np.array([0])))
    assert empty.shape == (1, graph.num_items)
    assert np.isfinite(empty).all()
    moved = replace(check, history=graph, as_of=np.full(len(check), graph.event_time.max() + 1))
    assert (ranker(moved) != scores).any()
    if personal:
        assert (empty[0] != scores[0]).any()
