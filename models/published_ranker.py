"""Ranks with a published model, through the very code that serves it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from interest_graph.history import HistoryEvent
from interest_graph.interest import interest
from interest_graph.interest_encoder import InterestEncoder
from interest_graph.item_matrix import ItemMatrix
from interest_graph.scores import scores

if TYPE_CHECKING:
    from pathlib import Path

    from .evaluation.cases import Cases


class PublishedRanker:
    """Scores of a published model for evaluation cases; items it does not know score lowest.

    Args:
        directory: The published directory.

    Raises:
        CheckpointError: The directory is damaged.
    """

    def __init__(self, directory: Path) -> None:
        self._encoder = InterestEncoder.load(directory)
        self._matrix = ItemMatrix.load(directory)

    def __call__(self, cases: Cases) -> npt.NDArray[np.float32]:
        """(cases, items) float32, as `Ranker` wants it."""
        item_ids = cases.history.item_ids
        known = [row for row, item_id in enumerate(item_ids) if item_id in self._matrix.row_of]
        rows = [self._matrix.row_of[item_ids[row]] for row in known]
        result = np.full((len(cases), len(item_ids)), -np.inf, dtype=np.float32)
        for place, user in enumerate(cases.users.tolist()):
            felt = interest(
                self._encoder, self._matrix, self._history(cases, user), int(cases.as_of[place])
            )
            result[place, known] = scores(self._matrix, felt)[rows]
        return result

    def _history(self, cases: Cases, user: int) -> list[HistoryEvent]:
        """The newest events of a user in the cases; places stand in for event ids."""
        graph = cases.history
        start, stop = np.searchsorted(graph.event_user, [user, user + 1])
        first = max(start, stop - self._encoder.again_events)
        return [
            HistoryEvent(
                int(graph.event_time[place] * 1000),
                f"{place:012d}",
                graph.item_ids[graph.event_item[place]],
                int(graph.event_type[place]),
            )
            for place in range(first, stop)
        ]
