"""API keys: made of 32 random bytes, kept as a hash, checked in constant time.

A token reads `ig_<key_id>_<secret>`. The `key_id` finds the record; only the SHA-256 of the whole
token is stored, so that a copy of Redis opens nothing. Verified records are remembered for a few
seconds, and for longer while Redis is away: a recommendation must not need the log.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import orjson
import redis

from .errors import Fault, InvalidInputError, NotFoundError, StreamUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

Scope: TypeAlias = Literal["events:write", "catalog:write", "read", "admin"]

SCOPES: tuple[Scope, ...] = get_args(Scope)
KEYS = "ig:keys"
MAX_KEYS = 1000
MAX_NAME = 100
REMEMBERED = 4096
_TOKEN = re.compile(r"ig_([0-9a-f]{16})_[A-Za-z0-9_-]{43}")
_NO_DIGEST = "0" * 64


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is known of a key; the key itself is not.

    Args:
        key_id: The public part, by which a key is listed and revoked.
        name: What its owner calls it.
        scopes: What it may do; `admin` may do everything.
        created_at: RFC 3339.
        digest: SHA-256 of the token, hexadecimal.
    """

    key_id: str
    name: str
    scopes: frozenset[str]
    created_at: str
    digest: str

    def allows(self, scope: str) -> bool:
        """Whether the key may do what needs `scope`."""
        return scope in self.scopes or "admin" in self.scopes

    def to_json(self) -> bytes:
        """The record that is stored."""
        return orjson.dumps(
            {
                "key_id": self.key_id,
                "name": self.name,
                "scopes": sorted(self.scopes),
                "created_at": self.created_at,
                "digest": self.digest,
            }
        )

    @classmethod
    def from_json(cls, record: bytes | str) -> ApiKey:
        """Read a stored record."""
        fields: Mapping[str, Any] = orjson.loads(record)
        return cls(**{**fields, "scopes": frozenset(fields["scopes"])})


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _checked(scopes: Iterable[str], name: str) -> frozenset[str]:
    """The scopes, when they and the name can be stored."""
    wanted = frozenset(scopes)
    faults = []
    if not wanted or wanted - set(SCOPES):
        faults.append(Fault("scopes", f"must be one or more of: {', '.join(SCOPES)}", "/scopes"))
    if not name.isprintable() or len(name) > MAX_NAME:
        reason = f"must have at most {MAX_NAME} printable characters"
        faults.append(Fault("name", reason, "/name"))
    if faults:
        raise InvalidInputError(faults)
    return wanted


class ApiKeyStore:
    """The keys, in one hash of the log's Redis.

    Args:
        log: Client of the log's Redis.
        remember_s: Seconds a verified record is used without asking Redis; a revoked key stops
            working everywhere within that time.
        grace_s: Seconds a record is still used while Redis does not answer.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        log: redis.Redis,
        *,
        remember_s: float = 5.0,
        grace_s: float = 3600.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._remember_s = remember_s
        self._grace_s = grace_s
        self._clock = clock
        self._lock = threading.Lock()
        self._remembered: dict[str, tuple[float, ApiKey]] = {}

    def create(self, scopes: Iterable[str], name: str = "") -> str:
        """Make a key and return its token, which cannot be read again.

        Raises:
            InvalidInputError: No such scope, a name too long, too many keys.
            StreamUnavailableError: Redis does not answer.
        """
        wanted = _checked(scopes, name)
        key_id = secrets.token_hex(8)
        token = f"ig_{key_id}_{secrets.token_urlsafe(32)}"
        created_at = datetime.now(UTC).isoformat(timespec="seconds")
        key = ApiKey(key_id, name, wanted, created_at, _digest(token))
        try:
            if int(self._log.hlen(KEYS)) >= MAX_KEYS:
                raise InvalidInputError([Fault("keys", f"there are {MAX_KEYS} already")])
            self._log.hset(KEYS, key_id, key.to_json().decode())
        except redis.RedisError as error:
            raise StreamUnavailableError(str(error)) from error
        return token

    def list(self) -> tuple[ApiKey, ...]:
        """Every key, oldest first.

        Raises:
            StreamUnavailableError: Redis does not answer.
        """
        try:
            records = self._log.hvals(KEYS)
        except redis.RedisError as error:
            raise StreamUnavailableError(str(error)) from error
        keys = (ApiKey.from_json(record) for record in records)
        return tuple(sorted(keys, key=lambda key: (key.created_at, key.key_id)))

    def revoke(self, key_id: str) -> None:
        """Take a key back.

        Raises:
            NotFoundError: There is no such key.
            StreamUnavailableError: Redis does not answer.
        """
        try:
            removed = self._log.hdel(KEYS, key_id)
        except redis.RedisError as error:
            raise StreamUnavailableError(str(error)) from error
        with self._lock:
            self._remembered.pop(key_id, None)
        if not removed:
            msg = f"there is no key {key_id}"
            raise NotFoundError(msg)

    def verify(self, token: str) -> ApiKey | None:
        """The key that a token belongs to, or None.

        Raises:
            StreamUnavailableError: Redis does not answer and the key is not remembered.
        """
        match = _TOKEN.fullmatch(token)
        key = self._find(match[1]) if match else None
        expected = key.digest if key else _NO_DIGEST
        return key if hmac.compare_digest(_digest(token), expected) else None

    def _find(self, key_id: str) -> ApiKey | None:
        """The record of a key: remembered, or read."""
        now = self._clock()
        with self._lock:
            found = self._remembered.get(key_id)
        if found and now - found[0] < self._remember_s:
            return found[1]
        try:
            record = self._log.hget(KEYS, key_id)
        except redis.RedisError as error:
            if found and now - found[0] < self._grace_s:
                return found[1]
            raise StreamUnavailableError(str(error)) from error
        key = None if record is None else ApiKey.from_json(record)
        self._remember(key_id, key, now)
        return key

    def _remember(self, key_id: str, key: ApiKey | None, now: float) -> None:
        """Keep what was read; only keys that exist, so that guesses take no memory."""
        with self._lock:
            if key is None:
                self._remembered.pop(key_id, None)
                return
            if len(self._remembered) >= REMEMBERED:
                self._remembered.clear()
            self._remembered[key_id] = (now, key)
