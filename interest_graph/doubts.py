"""Who is in doubt: users and items of whom Redis may hold something else than the graph.

An entry that leaves the log may leave such a difference behind, as when its event became a dead
letter. The script that removes it notes in the same step who is in doubt, so that this is known
whoever dies. A note has a mark of its own: one that was written meanwhile stays.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, cast

from . import redis_client as keys
from .errors import StreamUnavailableError
from .redis_client import script, translated

if TYPE_CHECKING:
    from collections.abc import Iterable

    import redis

    from .rebuild import ServingRebuild

PAGE = 500


def doubts_of(user_ids: Iterable[str] = (), item_ids: Iterable[str] = ()) -> list[str]:
    """The names under which users and items are noted.

    >>> doubts_of(["u-2", "u-1"], ["i-1"])
    ['user u-1', 'user u-2', 'item i-1']
    """
    return [
        *(f"user {one}" for one in sorted(user_ids)),
        *(f"item {one}" for one in sorted(item_ids)),
    ]


class Doubts:
    """The notes in the log's Redis.

    Args:
        client: The log's Redis.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._settle = script(client, "settle_doubts")

    def count(self) -> int:
        """Users and items in doubt.

        Raises:
            StreamUnavailableError: Redis does not answer.
        """
        with translated(StreamUnavailableError, "the event log"):
            return self._client.hlen(keys.DOUBTS)

    def put_right(self, rebuild: ServingRebuild) -> int:
        """Rebuild what Redis keeps of some of them; what changes on meanwhile stays in doubt.

        Args:
            rebuild: What does it.

        Returns:
            How many are in doubt no longer.

        Raises:
            TransientError: Neo4j or Redis is away.
        """
        found = self._some()
        ids = {
            kind: [name.partition(" ")[2] for name in found if name.startswith(f"{kind} ")]
            for kind in ("user", "item")
        }
        left = set(doubts_of(rebuild.users(ids["user"]).given_up))
        rebuild.items(ids["item"])
        marks = [part for name in found if name not in left for part in (name, found[name])]
        with translated(StreamUnavailableError, "the event log"):
            return int(self._settle(keys=[keys.DOUBTS], args=marks)) if marks else 0

    def _some(self) -> dict[str, bytes]:
        """Some of them, by chance so that none waits for ever, with their marks."""
        with translated(StreamUnavailableError, "the event log"):
            answer = cast("Any", self._client.hrandfield(keys.DOUBTS, PAGE, withvalues=True))
        # Pairs by one protocol, one list by the other.
        flat = [*chain(*answer)] if answer and isinstance(answer[0], list) else answer
        return {name.decode(): mark for name, mark in zip(flat[::2], flat[1::2], strict=True)}
