"""Who owns which partition of the log, for who wants to know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import redis_client as keys
from .errors import StreamUnavailableError
from .redis_client import translated

if TYPE_CHECKING:
    import redis


@dataclass(frozen=True, slots=True)
class Lease:
    """Who owns a partition.

    Args:
        owner: Name of the ingest worker.
        left_s: Seconds it is valid for; 0 when it is over, and nobody has taken it since.
    """

    owner: str
    left_s: float


def read_leases(client: redis.Redis) -> dict[int, Lease]:
    """The lease of each partition that anybody ever took and did not give back.

    Raises:
        StreamUnavailableError: Redis does not answer.
    """
    with translated(StreamUnavailableError, "the event log"):
        pipeline = client.pipeline(transaction=False)
        pipeline.time()
        pipeline.hgetall(keys.LEASES)
        (seconds, microseconds), held = pipeline.execute()
    now = seconds + microseconds / 1e6
    leases = {}
    for number in sorted(held, key=int):
        until, _, owner = held[number].decode().partition(" ")
        leases[int(number)] = Lease(owner, max(0.0, int(until) / 1000 - now))
    return leases
