"""What Redis keeps of a user: read and replaced as a whole."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from . import redis_client as keys
from .errors import StreamUnavailableError
from .history import HistoryEvent, pack, unpack
from .redis_client import script, translated

if TYPE_CHECKING:
    from collections.abc import Sequence

    import redis


@dataclass(frozen=True, slots=True)
class KeptUser:
    """What is kept of a user.

    Args:
        history: Oldest first.
        document: JSON; b"" for none.
        tombstone: Whether the user was erased.
        revision: Of the document or the tombstone; 0 for neither.
        seen: Members of the seen set.
        since_ms: When who was deleted was created again; 0 for all others.
        known: Whether there is anything to delete: of whoever has flagged events alone nothing
            else is kept.
        history_revision: "" of whoever never sent an event.
    """

    history: tuple[HistoryEvent, ...]
    document: bytes
    tombstone: bool
    revision: int
    seen: frozenset[int]
    since_ms: int = 0
    known: bool = False
    history_revision: str = field(default="", compare=False)


class KeptUsers:
    """The users of a Redis."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._replace = script(client, "rebuild_user")

    def read(self, user_ids: Sequence[str]) -> dict[str, KeptUser]:
        """What is kept of users, by id."""
        with translated(StreamUnavailableError, "the serving state"):
            pipeline = self._client.pipeline(transaction=False)
            for user_id in user_ids:
                pipeline.hmget(keys.user_key(user_id), ["h", "r", "d", "t", "c"])
                pipeline.zscore(keys.USER_REVISIONS, user_id)
                pipeline.smembers(keys.seen_key(user_id))
            answers = pipeline.execute()
        kept = {}
        for place, user_id in enumerate(user_ids):
            (history, revision, document, tombstone, since), score, seen = answers[3 * place :][:3]
            kept[user_id] = KeptUser(
                unpack(history or b""),
                document or b"",
                tombstone=tombstone is not None,
                revision=int(score or 0),
                seen=frozenset(int(member) for member in seen),
                since_ms=int(since or 0),
                known=bool(revision or document),
                history_revision=(revision or b"").decode(),
            )
        return kept

    def write(self, user_id: str, held: KeptUser, wish: KeptUser) -> bool:
        """Write what is to be kept of a user, unless it has changed."""
        revision = held.history_revision if wish.known else ""
        by_events = wish.known and (wish.history or not wish.document)
        if by_events and not revision:
            with translated(StreamUnavailableError, "the serving state"):
                revision = str(int(self._client.get(keys.HISTORY_REVISION) or 0))
        with translated(StreamUnavailableError, "the serving state"):
            written = self._replace(
                keys=[
                    keys.user_key(user_id),
                    keys.seen_key(user_id),
                    keys.USER_REVISIONS,
                    keys.USER_IDS,
                ],
                args=[
                    user_id,
                    held.history_revision,
                    str(held.revision) if held.revision else "",
                    pack(wish.history),
                    len(wish.history),
                    revision,
                    wish.document,
                    str(wish.revision) if wish.revision else "",
                    "t" if wish.tombstone else "",
                    wish.since_ms,
                    *sorted(wish.seen),
                ],
            )
        return bool(written)
