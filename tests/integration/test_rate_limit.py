"""The limit of a key on real Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.rate_limit import RateLimiter

if TYPE_CHECKING:
    from tests.conftest import RedisServer


def test_processes_share_a_limit(redis_server: RedisServer, empty_redis: None) -> None:
    """Two processes together let through what the key may do, and no more."""
    del empty_redis
    limiters = [RateLimiter(redis_server.url, 10) for _ in range(2)]
    allowed = [limiters[turn % 2].take("key").allowed for turn in range(14)]
    assert allowed == [True] * 10 + [False] * 4
    assert limiters[0].take("other").allowed


def test_blocks_lose_at_most_what_processes_hold(
    redis_server: RedisServer, empty_redis: None
) -> None:
    """With blocks of two a key gets its whole limit from one process."""
    del empty_redis
    limiter = RateLimiter(redis_server.url, 2000)
    allowed = [limiter.take("key").allowed for _ in range(2002)]
    assert sum(allowed) == 2000
    assert not allowed[-1]


def test_a_key_may_have_a_limit_of_its_own(redis_server: RedisServer, empty_redis: None) -> None:
    """Its own limit holds over all processes, whatever the settings give to others."""
    del empty_redis
    limiters = [RateLimiter(redis_server.url, 10) for _ in range(2)]
    small = [limiters[turn % 2].take("small", 3) for turn in range(5)]
    assert [rate.allowed for rate in small] == [True] * 3 + [False] * 2
    assert small[0].headers["RateLimit-Policy"] == '"key";q=3;w=60'
    large = [limiters[turn % 2].take("large", 20).allowed for turn in range(22)]
    assert sum(large) == 20
