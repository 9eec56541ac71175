"""Who owns which partition of the log: leases in Redis, fences in Neo4j.

A lease says who should work on a partition, a fence who may. A worker that gets a lease raises the
partition's fence in the graph, and only then begins to read. Every transaction begins by seeing
that the fences are still those it raised, under a lock that it holds until it commits. So whoever
was frozen while somebody else took over writes nothing any more, whatever it believes and whatever
any clock says; a lease that is lost or doubled costs time, not order.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from . import redis_client as keys
from .errors import LeaseLostError, SettingsError, StreamUnavailableError, TransientError
from .graph import fences
from .redis_client import script, translated

if TYPE_CHECKING:
    from collections.abc import Iterable

    import neo4j
    import redis

    from .entry import Entry
    from .graph.store import GraphStore
    from .settings import Settings

RAISE_TIMEOUT_S = 1.0

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Changes:
    """What happened to the partitions of a worker.

    Args:
        taken: It owns them now; what is in them is to be read from the beginning.
        given_back: Others need them.
        lost: Others took them.
    """

    taken: list[int] = field(default_factory=list)
    given_back: list[int] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)


class Leases:
    """The partitions of one ingest worker.

    Args:
        client: The log's Redis.
        graph: Neo4j.
        settings: Number of partitions, and how long a lease lasts.
        owner: The worker's name, which no other ever has.
    """

    def __init__(
        self, client: redis.Redis, graph: GraphStore, settings: Settings, owner: str
    ) -> None:
        self._client, self._graph, self._settings = client, graph, settings
        self.owner = owner
        self._fences: dict[int, int] = {}
        self._failures: Counter[int] = Counter()
        self._keep = script(client, "keep_leases", on_log=True)

    @property
    def partitions(self) -> set[int]:
        """Those it owns, as far as it knows."""
        return set(self._fences)

    def keep(self) -> Changes:
        """Renew, take what is free, and give back what is more than a fair share.

        To be called often within `lease_s`. A partition whose fence cannot be raised yet, since a
        transaction of whoever had it goes on, is left for the next time.

        Raises:
            StreamUnavailableError: Redis does not answer; what is owned stays so for now.
            SettingsError: The log has another number of partitions.
        """
        owned, given_back = self._ask(int(self._settings.lease_s * 1000))
        held = self.partitions
        for partition in held - owned:
            del self._fences[partition]
        return Changes(
            taken=self._raise(owned - held),
            given_back=sorted(held & given_back),
            lost=sorted(held - owned - given_back),
        )

    def release(self) -> None:
        """Give everything back, so that nobody has to wait until the leases are over."""
        self._fences = {}
        self._ask(0)

    def forget(self, partitions: Iterable[int]) -> None:
        """Own partitions no longer, since a fence said so."""
        for partition in partitions:
            self._fences.pop(partition, None)

    def check(self, tx: neo4j.ManagedTransaction, entries: Iterable[Entry]) -> None:
        """See in a transaction that it may write entries; nobody else can until it has ended.

        Raises:
            LeaseLostError: Some of their partitions have another owner.
        """
        concerned = sorted({entry.partition for entry in entries})
        raised = {number: self._fences.get(number, 0) for number in concerned}
        if lost := set(concerned) - fences.hold_fences(tx, raised, self.owner):
            raise LeaseLostError(sorted(lost))

    def _ask(self, lease_ms: int) -> tuple[set[int], set[int]]:
        """Partitions that are the worker's now, and those it had to give back."""
        count = self._settings.log_partitions
        with translated(StreamUnavailableError, "the event log"):
            answer = self._keep(
                keys=[keys.LOG_PARTITIONS, keys.LEASES, keys.INGEST_WORKERS],
                args=[self.owner, count, lease_ms],
            )
        if answer == b"PARTITIONS":
            self._fences = {}
            msg = f"the log has not {count} partitions, as log_partitions says"
            raise SettingsError(msg)
        owned, given_back = answer
        return set(owned), set(given_back)

    def _raise(self, partitions: Iterable[int]) -> list[int]:
        """Raise the fences of partitions, one by one; those for which that was possible."""
        done = []
        for number in sorted(partitions, key=lambda one: (self._failures[one], one)):
            try:
                self._fences[number] = self._graph.write(
                    lambda tx, n=number: fences.raise_fence(tx, n, self.owner),  # type: ignore[misc]
                    timeout_s=RAISE_TIMEOUT_S,
                )
            except (TransientError, SettingsError) as error:  # those before it are to be read
                self._failures[number] += 1
                logger.warning("fence_not_raised", partition=number, error=str(error))
                break
            self._failures.pop(number, None)
            done.append(number)
        return done
