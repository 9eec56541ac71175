"""What a process remembers of users: what Redis said of them, and what was computed of it.

Nothing here is taken on trust. Every request asks Redis whether what is remembered is still true
(`ServingState.read`), `EncodedHistory.fits` whether the model still reads it so, and
`KnownUser.interest` whether items have moved: an answer is the same with an empty memory, only
slower.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .history import History
from .interest import encode, interest_at
from .recommendation_id import context_digest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    from .catalogue_view import CatalogueView
    from .interest import EncodedHistory, Interest
    from .interest_encoder import InterestEncoder
    from .item_matrix import ItemMatrix
    from .published_model import PublishedModel
    from .serving_state import UserState

USER_BYTES = 2_500
EVENT_BYTES = 56  # in arrays of eight-byte numbers and half of that
DECLARED_BYTES = 100


@dataclass(slots=True)
class KnownUser:
    """A user as last seen.

    Args:
        state: What Redis said.
        history: The same history as the model reads it.
        digest: Eight bytes that name the user and the events that count.
    """

    state: UserState
    history: EncodedHistory
    digest: bytes
    _seen: tuple[int, npt.NDArray[np.int64]] | None = field(default=None, init=False)
    _felt: tuple[int, int, Interest] | None = field(default=None, init=False)

    def interest(self, encoder: InterestEncoder, as_of: int) -> Interest:
        """The interest in a minute, computed once in it unless items of the history move.

        Args:
            encoder: The model's, always the same.
            as_of: The minute, in seconds since 1970.
        """
        matrix, rows = self.history.matrix, self.history.encoded.rows
        if self._felt is not None:
            minute, epoch, felt = self._felt
            if minute == as_of and (epoch == matrix.epoch or not matrix.changed_since(epoch, rows)):
                self._felt = as_of, matrix.epoch, felt
                return felt
        felt = interest_at(encoder, self.history, as_of)
        self._felt = as_of, matrix.epoch, felt
        return felt

    def seen_rows(self, view: CatalogueView, event_types: Sequence[int]) -> npt.NDArray[np.int64]:
        """Rows of what the user has seen by events of these types, of the matrix of `history`.

        Args:
            view: The catalogue, aligned with that matrix.
            event_types: Codes; always the same.
        """
        count = len(self.history.matrix.item_ids)
        if self._seen is None or self._seen[0] != count:
            self._seen = count, view.seen(self.state.seen, event_types)
        return self._seen[1]

    @property
    def size_bytes(self) -> int:
        """About what it takes in memory."""
        encoded = self.history.encoded
        return (
            USER_BYTES
            + EVENT_BYTES * len(encoded.rows)
            + len(self.state.packed)
            + DECLARED_BYTES * len(self.state.declared)
            + 2 * self.state.seen.nbytes
        )


class UserMemory:
    """The users asked about last.

    Args:
        bound_bytes: About how much memory they may take; who was asked about longest ago is
            forgotten first. All are when another item matrix comes: they would keep the one
            before in memory as well, which is far larger than they are.
    """

    def __init__(self, bound_bytes: int) -> None:
        self._bound_bytes = bound_bytes
        self._users: OrderedDict[str, KnownUser] = OrderedDict()
        self._bytes = 0
        self._matrix: ItemMatrix | None = None

    def get(self, user_id: str) -> KnownUser | None:
        """What is remembered of a user, true or not."""
        return self._users.get(user_id)

    def take_each(
        self, states: Mapping[str, UserState], model: PublishedModel
    ) -> dict[str, KnownUser]:
        """Users in their states, as a model reads them; kept for the next request.

        Args:
            states: What Redis says of each now.
            model: The model in service.
        """
        if model.matrix is not self._matrix:
            self._matrix, self._bytes = model.matrix, 0
            self._users.clear()
        found: dict[str, KnownUser] = {}
        for user_id, state in states.items():
            known = self._users.get(user_id)
            if known and known.state is state and known.history.fits(model.matrix):
                self._users.move_to_end(user_id)
                found[user_id] = known
            else:
                history = encode(model.encoder, model.matrix, History(state.packed))
                found[user_id] = self._keep(user_id, state, history)
        return found

    def _keep(self, user_id: str, state: UserState, history: EncodedHistory) -> KnownUser:
        """Remember a user instead of what was known, unless nothing could tell it is true."""
        fresh = KnownUser(state, history, context_digest(user_id, history.events.pack()))
        self._forget(user_id)
        if state.stamp:
            self._users[user_id] = fresh
            self._bytes += fresh.size_bytes
            while self._bytes > self._bound_bytes:
                self._forget(next(iter(self._users)))
        return fresh

    def _forget(self, user_id: str) -> None:
        """Forget a user, if they are remembered."""
        if known := self._users.pop(user_id, None):
            self._bytes -= known.size_bytes
