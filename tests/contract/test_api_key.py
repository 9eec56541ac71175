"""The key store, on real Redis and on a hash in memory: one suite for both."""
# ruff: noqa: D102 the methods of the fakes are redis-py's

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast

import pytest
import redis

from interest_graph.api_key import KEYS, MAX_KEYS, SCOPES, ApiKeyStore
from interest_graph.errors import InvalidInputError, NotFoundError, StreamUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator


class HashClient(Protocol):
    """What the store needs of Redis."""

    def hset(self, name: str, key: str, value: str) -> int: ...
    def hget(self, name: str, key: str) -> bytes | None: ...
    def hvals(self, name: str) -> list[bytes]: ...
    def hdel(self, name: str, key: str) -> int: ...
    def hlen(self, name: str) -> int: ...


class MemoryHash:
    """One hash in memory."""

    def __init__(self) -> None:
        self.fields: dict[str, bytes] = {}

    def hset(self, _name: str, key: str, value: str) -> int:
        new = key not in self.fields
        self.fields[key] = value.encode()
        return int(new)

    def hget(self, _name: str, key: str) -> bytes | None:
        return self.fields.get(key)

    def hvals(self, _name: str) -> list[bytes]:
        return list(self.fields.values())

    def hdel(self, _name: str, key: str) -> int:
        return int(self.fields.pop(key, None) is not None)

    def hlen(self, _name: str) -> int:
        return len(self.fields)


class Switch:
    """Stands before a client and can be turned off: every call fails as when Redis is away."""

    def __init__(self, client: HashClient) -> None:
        self.client = client
        self.off = False
        self.calls = 0

    def __getattr__(self, name: str) -> object:
        self.calls += 1
        if self.off:
            raise redis.ConnectionError("off")
        return getattr(self.client, name)


class Clock:
    """A clock that a test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(params=["memory", "redis"])
def client(request: pytest.FixtureRequest) -> Iterator[Switch]:
    if request.param == "memory":
        yield Switch(MemoryHash())
        return
    request.getfixturevalue("empty_redis")
    url = request.getfixturevalue("redis_server").url
    with redis.Redis.from_url(url) as real:
        yield Switch(cast("HashClient", real))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(client: Switch, clock: Clock) -> ApiKeyStore:
    return ApiKeyStore(cast("redis.Redis", client), clock=clock)


def test_a_key_opens_with_its_scopes(store: ApiKeyStore) -> None:
    """A token verifies to its key; the key allows its scopes alone, admin allows all."""
    key = store.verify(store.create(["read"], "shop"))
    assert key is not None
    assert key.name == "shop"
    assert [scope for scope in SCOPES if key.allows(scope)] == ["read"]
    admin = store.verify(store.create(["admin"]))
    assert admin is not None
    assert all(admin.allows(scope) for scope in SCOPES)


def test_tokens_are_long_and_never_the_same(store: ApiKeyStore) -> None:
    """Every token holds 32 random bytes of its own."""
    tokens = {store.create(["read"]) for _ in range(20)}
    assert len(tokens) == 20
    assert {len(token.split("_", 2)[2]) for token in tokens} == {43}


def test_the_token_is_nowhere_stored(store: ApiKeyStore, client: Switch) -> None:
    """What is stored does not hold the secret part."""
    token = store.create(["read"])
    secret = token.split("_", 2)[2]
    assert secret.encode() not in b"".join(client.client.hvals(KEYS))


@pytest.mark.parametrize("change", ["secret", "id", "cut", "empty", "shape"])
def test_a_wrong_token_opens_nothing(store: ApiKeyStore, change: str) -> None:
    """A token with another secret or id, a shortened, an empty and a foreign one are refused."""
    token = store.create(["read"])
    other = store.create(["read"])
    prefix, secret = token.rsplit("_", 1) if "_" in token[-43:] else (token[:-44], token[-43:])
    wrong = {
        "secret": token[:-1] + ("A" if token[-1] != "A" else "B"),
        "id": other[:20] + token[20:],
        "cut": token[:-1],
        "empty": "",
        "shape": f"{prefix}{secret}é",
    }[change]
    assert store.verify(wrong) is None


def test_a_revoked_key_stops_working(store: ApiKeyStore, client: Switch, clock: Clock) -> None:
    """Here at once, in another process when it has forgotten the record."""
    token = store.create(["read"])
    elsewhere = ApiKeyStore(cast("redis.Redis", client), clock=clock)
    assert elsewhere.verify(token) is not None
    key_id = store.list()[0].key_id
    store.revoke(key_id)
    assert store.verify(token) is None
    clock.now += 5.0
    assert elsewhere.verify(token) is None
    with pytest.raises(NotFoundError):
        store.revoke(key_id)


def test_keys_are_listed_oldest_first(store: ApiKeyStore) -> None:
    """A list holds name and scopes of every key."""
    store.create(["read", "events:write"], "one")
    store.create(["admin"], "two")
    listed = {key.name: set(key.scopes) for key in store.list()}
    assert listed == {"one": {"read", "events:write"}, "two": {"admin"}}


@pytest.mark.parametrize(
    ("scopes", "name"), [([], ""), (["write"], ""), (["read"], "x" * 101), (["read"], "a\nb")]
)
def test_a_key_at_fault_is_not_made(store: ApiKeyStore, scopes: list[str], name: str) -> None:
    """No scope, an unknown scope, a name too long or not printable: refused with the reason."""
    with pytest.raises(InvalidInputError):
        store.create(scopes, name)
    assert store.list() == ()


def test_the_number_of_keys_is_bounded(store: ApiKeyStore, client: Switch) -> None:
    """A thousand keys, and no more."""
    record = b'{"key_id":"x","name":"","scopes":["read"],"created_at":"","digest":""}'.decode()
    for number in range(MAX_KEYS):
        client.client.hset(KEYS, str(number), record)
    with pytest.raises(InvalidInputError):
        store.create(["read"])


def test_a_verified_key_is_remembered_for_seconds(
    store: ApiKeyStore, client: Switch, clock: Clock
) -> None:
    """Redis is asked once in five seconds for a key, and not for each request."""
    token = store.create(["read"])
    store.verify(token)
    calls = client.calls
    store.verify(token)
    assert client.calls == calls
    clock.now += 5.0
    store.verify(token)
    assert client.calls == calls + 1


def test_known_keys_work_while_redis_is_away(
    store: ApiKeyStore, client: Switch, clock: Clock
) -> None:
    """A key verified before works for an hour without Redis; an unknown one is not decided."""
    token, unknown = store.create(["read"]), store.create(["read"])
    store.verify(token)
    client.off = True
    clock.now += 3599.0
    assert store.verify(token) is not None
    with pytest.raises(StreamUnavailableError):
        store.verify(unknown)
    clock.now += 2.0
    with pytest.raises(StreamUnavailableError):
        store.verify(token)
