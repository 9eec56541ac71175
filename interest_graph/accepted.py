"""What became of the events of a request."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from .errors import Fault


class Status(IntEnum):
    """What the accept script says of an event."""

    ACCEPTED = 0
    DUPLICATE = 1
    CONFLICT = 2
    DELETED_USER = 3
    BEFORE_CREATED_AGAIN = 4


REASONS = {
    Status.CONFLICT: Fault("event_id", "was sent before with another body", "/event_id"),
    Status.DELETED_USER: Fault("user_id", "this user was deleted", "/user_id"),
    Status.BEFORE_CREATED_AGAIN: Fault(
        "occurred_at", "this user was deleted and created again later", "/occurred_at"
    ),
}


@dataclass(frozen=True, slots=True)
class Accepted:
    """The outcome of one request.

    Args:
        event_ids: Id of every event of the request, in order, accepted or not.
        statuses: What became of each.
        history_revision: Every later list of these users carries at least this revision.
        flags: Why each was flagged; "" for those that were not, or were not accepted.
    """

    event_ids: tuple[str, ...]
    statuses: tuple[Status, ...]
    history_revision: int
    flags: tuple[str, ...] = ()

    @property
    def accepted(self) -> int:
        """Events accepted for the first time."""
        return self.statuses.count(Status.ACCEPTED)

    @property
    def duplicates(self) -> int:
        """Events that had been accepted before with the same body."""
        return self.statuses.count(Status.DUPLICATE)

    @property
    def rejected(self) -> list[tuple[int, Fault]]:
        """Index and fault of every event that was not accepted."""
        return [(i, REASONS[status]) for i, status in enumerate(self.statuses) if status in REASONS]

    @property
    def flagged(self) -> list[tuple[int, str]]:
        """Index and reason of every event that was accepted and flagged."""
        return [(i, reason) for i, reason in enumerate(self.flags) if reason]
