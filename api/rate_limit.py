"""How many requests a key may make: a sliding minute in Redis, taken in blocks by each process.

A process takes a block of permits at a time, a thousandth of the limit, and hands them out by
itself, so that Redis is asked rarely and a limit is still one over all processes. While Redis does
not answer, each process counts for itself: a limit must never take recommendations down.
"""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter

if TYPE_CHECKING:
    from collections.abc import Callable

_log = structlog.get_logger(__name__)

WINDOW_S = 60
BLOCKS = 1000
MAX_KEYS = 4096


@dataclass(frozen=True, slots=True)
class Rate:
    """What a key has left.

    Args:
        allowed: Whether this request may go on.
        limit: Requests in a minute.
        remaining: Requests left, as far as this process knows.
        reset_s: Seconds until there are more.
    """

    allowed: bool
    limit: int
    remaining: int
    reset_s: int

    @property
    def headers(self) -> dict[str, str]:
        """The `RateLimit` header fields of the IETF draft."""
        return {
            "RateLimit-Policy": f'"key";q={self.limit};w={WINDOW_S}',
            "RateLimit": f'"key";r={self.remaining};t={self.reset_s}',
        }


@dataclass(slots=True)
class _Block:
    """Permits taken and not handed out yet."""

    left: int
    remaining: int
    expires: float
    reset: float


class RateLimiter:
    """Limits per key, over all processes.

    Args:
        url: Redis that holds the counts.
        per_minute: Requests a key without a limit of its own may make in a minute.
        timeout_s: Seconds before a call to Redis is given up.
        rest_s: Seconds that Redis is left alone after it failed.
        clock: Seconds since 1970.
    """

    def __init__(
        self,
        url: str,
        per_minute: int,
        *,
        timeout_s: float = 0.25,
        rest_s: float = 5.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._per_minute = per_minute
        self._rest_s = rest_s
        self._clock = clock
        storage = RedisStorage(
            url,
            key_prefix="ig:limit",
            wrap_exceptions=False,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
        )
        self._shared = SlidingWindowCounterRateLimiter(storage)
        self._errors = storage.base_exceptions
        self._alone = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._alone_until = 0.0
        self._blocks: dict[str, _Block] = {}
        self._lock = threading.Lock()

    def take(self, key_id: str, per_minute: int | None = None) -> Rate:
        """Take one permit of a key. Never raises for a store that does not answer.

        Args:
            key_id: The key.
            per_minute: Its own limit, if it has one.
        """
        now = self._clock()
        limit = per_minute or self._per_minute
        with self._lock:
            block = self._blocks.get(key_id)
            if block and block.left > 0 and now < block.expires:
                block.left -= 1
                return _rate(block, limit, now, allowed=True)
        block = self._next_block(key_id, limit, now)
        allowed = block.left > 0
        block.left -= allowed
        with self._lock:
            if len(self._blocks) >= MAX_KEYS:
                self._blocks.clear()
            other = self._blocks.get(key_id)
            if other and now < other.expires:  # another thread took one meanwhile
                block.left += other.left
            self._blocks[key_id] = block
        return _rate(block, limit, now, allowed=allowed)

    def _next_block(self, key_id: str, limit: int, now: float) -> _Block:
        """Take a block from Redis, or from this process's own count while Redis is away."""
        if now >= self._alone_until:
            try:
                return _acquire(self._shared, key_id, limit, now)
            except self._errors as error:
                self._alone_until = now + self._rest_s
                _log.warning("rate_limit_store_unavailable", error=type(error).__name__)
        return _acquire(self._alone, key_id, limit, now)


def _acquire(
    limiter: SlidingWindowCounterRateLimiter, key_id: str, limit: int, now: float
) -> _Block:
    """A block; near the limit a single permit, beyond it none."""
    item = RateLimitItemPerMinute(limit)
    taken = 0
    for size in dict.fromkeys((max(1, limit // BLOCKS), 1)):
        if limiter.hit(item, key_id, cost=size):
            taken = size
            break
    stats = limiter.get_window_stats(item, key_id)
    return _Block(taken, int(stats.remaining), now + WINDOW_S / 10, float(stats.reset_time))


def _rate(block: _Block, limit: int, now: float, *, allowed: bool) -> Rate:
    """What a key has left after this permit."""
    reset_s = min(WINDOW_S, max(1, math.ceil(block.reset - now)))
    return Rate(allowed, limit, block.remaining + block.left, reset_s)
