"""The key store, on real Redis and on a hash in memory: one suite for both."""
# ruff: noqa: D102 the methods of the fakes are redis-py's

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, cast

import pytest
import redis

from interest_graph.api_key import KEYS, MAX_KEYS, SCOPES, ApiKeyStore
from interest_graph.errors import (
    InvalidInputError,
    NotFoundError,
    RevokedKeyError,
    StreamUnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class HashClient(Protocol):
    """What the store needs of Redis."""

    def hset(self, name: str, key: str, value: str) -> int: ...
    def hget(self, name: str, key: str) -> bytes | None: ...
    def hvals(self, name: str) -> list[bytes]: ...
    def hdel(self, name: str, key: str) -> int: ...
    def hexists(self, name: str, key: str) -> bool: ...
    def hlen(self, name: str) -> int: ...
    def set(self, name: str, value: str) -> bool: ...
    def transaction(self, change: Callable[[Any], None], watched: str) -> None: ...


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

    def hexists(self, _name: str, key: str) -> bool:
        return key in self.fields

    def hlen(self, _name: str) -> int:
        return len(self.fields)

    def set(self, _name: str, _value: str) -> bool:
        return True

    def transaction(self, change: Callable[[MemoryHash], None], _watched: str) -> None:
        change(self)

    def multi(self) -> None:
        """What follows is done together, as everything here."""


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


def test_a_revoked_key_stops_working_everywhere_at_once(store: ApiKeyStore, client: Switch) -> None:
    """Here and in another process that has just read its record, without any time passing."""
    token = store.create(["read"])
    elsewhere = ApiKeyStore(cast("redis.Redis", client))
    assert elsewhere.verify(token) is not None
    key_id = store.list()[0].key_id
    store.revoke(key_id)
    assert store.verify(token) is None
    assert elsewhere.verify(token) is None
    with pytest.raises(NotFoundError):
        store.revoke(key_id)


def test_a_recalled_key_is_confirmed_along_with_another_read(
    store: ApiKeyStore, client: Switch
) -> None:
    """A recalled key costs no call of its own; the check finds out that it was revoked."""
    token = store.create(["read"])
    elsewhere = ApiKeyStore(cast("redis.Redis", client))
    assert elsewhere.verify(token) is not None
    for revoked in (False, True):
        if revoked:
            store.revoke(store.list()[0].key_id)
        calls, check = client.calls, elsewhere.check(token)
        assert elsewhere.recall(token) is not None
        assert client.calls == calls
        record = cast("HashClient", client).hget(*check.field)
        if revoked:
            with pytest.raises(RevokedKeyError):
                check.hear(record)
            assert elsewhere.recall(token) is None
        else:
            check.hear(record)


def test_a_rotated_key_has_a_new_secret_and_stays_the_key_it_was(
    store: ApiKeyStore, clock: Clock
) -> None:
    """Both tokens work until the overlap ends; id, scopes and limit are those of before."""
    old = store.create(["read"], "shop", 100)
    before = store.list()[0]
    new = store.rotate(before.key_id, overlap_s=60)
    clock.now += 59.0
    for token in (old, new):
        key = store.verify(token)
        assert key is not None
        assert (key.key_id, key.name, key.scopes) == (before.key_id, "shop", before.scopes)
        assert key.rate_limit_per_minute == 100
    clock.now += 1.0
    assert store.verify(old) is None
    assert store.recall(old) is None
    assert store.verify(new) is not None


def test_a_key_rotated_twice_forgets_the_first_secret(store: ApiKeyStore) -> None:
    """Without an overlap the old token stops at once; with one, at most one old token works."""
    first = store.create(["read"])
    key_id = store.list()[0].key_id
    second = store.rotate(key_id)
    assert (store.verify(first), store.verify(second) is not None) == (None, True)
    third = store.rotate(key_id, overlap_s=60)
    fourth = store.rotate(key_id, overlap_s=60)
    opened = [store.verify(token) is not None for token in (first, second, third, fourth)]
    assert opened == [False, False, True, True]


def test_what_is_revoked_cannot_be_rotated(store: ApiKeyStore) -> None:
    """An unknown or revoked key is not found, and no rotation brings one back."""
    store.create(["read"])
    key_id = store.list()[0].key_id
    store.revoke(key_id)
    with pytest.raises(NotFoundError):
        store.rotate(key_id)
    with pytest.raises(InvalidInputError):
        store.rotate(key_id, overlap_s=-1)
    assert store.list() == ()


def test_keys_are_listed_oldest_first(store: ApiKeyStore) -> None:
    """A list holds name and scopes of every key."""
    store.create(["read", "events:write"], "one")
    store.create(["admin"], "two")
    listed = {key.name: set(key.scopes) for key in store.list()}
    assert listed == {"one": {"read", "events:write"}, "two": {"admin"}}


@pytest.mark.parametrize(
    ("scopes", "name", "limit"),
    [
        ([], "", None),
        (["write"], "", None),
        (["read"], "x" * 101, None),
        (["read"], "a\nb", None),
        (["read"], "", 0),
    ],
)
def test_a_key_at_fault_is_not_made(
    store: ApiKeyStore, scopes: list[str], name: str, limit: int | None
) -> None:
    """No or an unknown scope, a name too long or not printable, a limit of none: refused."""
    with pytest.raises(InvalidInputError):
        store.create(scopes, name, limit)
    assert store.list() == ()


def test_the_number_of_keys_is_bounded(store: ApiKeyStore, client: Switch) -> None:
    """A thousand keys, and no more."""
    record = b'{"key_id":"x","name":"","scopes":["read"],"created_at":"","digest":""}'.decode()
    for number in range(MAX_KEYS):
        client.client.hset(KEYS, str(number), record)
    with pytest.raises(InvalidInputError):
        store.create(["read"])


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
