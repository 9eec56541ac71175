"""Whom the demo is about: the household and the purchase by which one event changes most.

It is computed as the service itself would: histories as they are now, the model in service, the
list before and after. The demo then sends that event for real.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from interest_graph.history import HistoryEvent
from interest_graph.interest import interest
from interest_graph.scores import scores
from interest_graph.top_k import top_k

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from interest_graph.published_model import PublishedModel
    from interest_graph.services import Services


@dataclass(frozen=True, slots=True)
class Candidate:
    """A household, and favourites of other households of kinds that it never bought.

    Args:
        user_id: The household.
        surprises: The items.
    """

    user_id: str
    surprises: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """Who does what with which item.

    Args:
        user_id: The household.
        item_id: What it has never bought before.
        event_type: What it does with it now.
    """

    user_id: str
    item_id: str
    event_type: str


def choose(services: Services, candidates: Sequence[Candidate], event_type: str, k: int) -> Choice:
    """The candidate and item by which one event brings most new items into a list of `k`.

    Args:
        services: The histories, the model and the catalogue.
        candidates: Among whom; the first one wins where nothing differs.
        event_type: What the household does.
        k: Length of the list.

    Raises:
        ModelNotReadyError: No model has been published yet.
    """
    recommender, settings = services.recommender, services.settings
    code = settings.event_type_names.index(event_type)
    seen_codes = [settings.event_type_names.index(name) for name in settings.seen_event_types]
    best, most = Choice(candidates[0].user_id, candidates[0].surprises[0], event_type), -1
    for candidate in candidates:
        state = services.serving.read(candidate.user_id)
        with recommender.lock:
            model = recommender.synchronise(state.manifest, state.catalog_revision)
            allowed = recommender.view.eligible(time.time())
            allowed[recommender.view.seen(state.user.seen, seen_codes)] = False
            history = state.user.history
            before = _list(model, history, allowed, k)
            known = {event.item_id for event in history}
            for item_id in candidate.surprises:
                if item_id in known or item_id not in model.matrix.row_of:
                    continue
                event = HistoryEvent(int(time.time() * 1000), "next", item_id, code)
                others = allowed.copy()
                others[model.matrix.row_of[item_id]] = False
                after = _list(model, (*history, event), others, k)
                fresh = len(after - before)
                if fresh > most:
                    best, most = Choice(candidate.user_id, item_id, event_type), fresh
    return best


def _list(
    model: PublishedModel,
    history: Sequence[HistoryEvent],
    allowed: npt.NDArray[np.bool_],
    k: int,
) -> set[int]:
    """Rows of the `k` best items for a history."""
    felt = interest(model.encoder, model.matrix, history, int(time.time()))
    return set(top_k(np.where(allowed, scores(model.matrix, felt), -np.inf), k).tolist())
