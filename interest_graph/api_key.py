"""API keys: made of 32 random bytes, kept as a hash, checked in constant time.

A token reads `ig_<key_id>_<secret>`. The `key_id` finds the record; only the SHA-256 of the whole
token is stored, so that a copy of Redis opens nothing. A record is read for every request, so that
a revoked key stops working at once on every process: by itself, or along with what the request
reads anyway (`KeyCheck`). While Redis is away what was read before counts: a recommendation must
not need the log.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import threading
import time
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, cast, get_args

import orjson
import redis

from .errors import (
    Fault,
    InvalidInputError,
    NotFoundError,
    RevokedKeyError,
    StreamUnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from redis.client import Pipeline

Scope: TypeAlias = Literal["events:write", "catalog:write", "read", "admin"]

SCOPES: tuple[Scope, ...] = get_args(Scope)
KEYS = "ig:keys"
REVOKED = "ig:keys:revoked"
"""Whether a key was ever revoked: then none comes back from a backup, even if no key is left."""
KEY_PREFIX = "ig_"
"""What every token begins with."""
MAX_KEYS = 1000
MAX_NAME = 100
MAX_OVERLAP_S = 30 * 86_400
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
        rate_limit_per_minute: Requests it may make in a minute; None: as the settings say.
        previous_digest: Of the token before the last rotation.
        previous_until: Seconds since 1970 until which that one works too.
    """

    key_id: str
    name: str
    scopes: frozenset[str]
    created_at: str
    digest: str
    rate_limit_per_minute: int | None = None
    previous_digest: str = _NO_DIGEST
    previous_until: int = 0

    def opens(self, token: str, now: float) -> bool:
        """Whether a token is this key's, compared in constant time.

        Args:
            token: What was sent.
            now: Seconds since 1970.
        """
        sent = _digest(token)
        current = hmac.compare_digest(sent, self.digest)
        previous = hmac.compare_digest(sent, self.previous_digest)
        return current or (previous and now < self.previous_until)

    def allows(self, scope: str) -> bool:
        """Whether the key may do what needs `scope`."""
        return scope in self.scopes or "admin" in self.scopes

    def to_json(self) -> bytes:
        """The record that is stored."""
        return orjson.dumps({**asdict(self), "scopes": sorted(self.scopes)})

    @classmethod
    def from_json(cls, record: bytes | str) -> ApiKey:
        """Read a stored record."""
        fields: Mapping[str, Any] = orjson.loads(record)
        return cls(**{**fields, "scopes": frozenset(fields["scopes"])})


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _new_token(key_id: str) -> str:
    return f"ig_{key_id}_{secrets.token_urlsafe(32)}"


def key_id_of(token: str) -> str | None:
    """The public part of a token, or None when it is none."""
    match = _TOKEN.fullmatch(token)
    return match[1] if match else None


def _checked(scopes: Iterable[str], name: str, rate_limit: int | None) -> frozenset[str]:
    """The scopes, when they, the name and the limit can be stored."""
    wanted = frozenset(scopes)
    faults = []
    if not wanted or wanted - set(SCOPES):
        faults.append(Fault("scopes", f"must be one or more of: {', '.join(SCOPES)}", "/scopes"))
    if not name.isprintable() or len(name) > MAX_NAME:
        reason = f"must have at most {MAX_NAME} printable characters"
        faults.append(Fault("name", reason, "/name"))
    if rate_limit is not None and rate_limit < 1:
        faults.append(Fault("rate_limit_per_minute", "must be at least 1"))
    if faults:
        raise InvalidInputError(faults)
    return wanted


class _Remembered(NamedTuple):
    """A record as it was read, and when in seconds since 1970."""

    read_at: float
    record: bytes
    key: ApiKey


class ApiKeyStore:
    """The keys, in one hash of the log's Redis.

    Args:
        log: Client of the log's Redis.
        grace_s: Seconds a record that was read counts while Redis does not answer.
        clock: Seconds since 1970.
    """

    def __init__(
        self,
        log: redis.Redis,
        *,
        grace_s: float = 3600.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._log = log
        self._grace_s = grace_s
        self._clock = clock
        self._lock = threading.Lock()
        self._remembered: dict[str, _Remembered] = {}

    def create(
        self, scopes: Iterable[str], name: str = "", rate_limit_per_minute: int | None = None
    ) -> str:
        """Make a key and return its token, which cannot be read again.

        Raises:
            InvalidInputError: No such scope, a name too long, a limit below one, too many keys.
            StreamUnavailableError: Redis does not answer.
        """
        wanted = _checked(scopes, name, rate_limit_per_minute)
        key_id = secrets.token_hex(8)
        token = _new_token(key_id)
        created_at = datetime.now(UTC).isoformat(timespec="seconds")
        key = ApiKey(key_id, name, wanted, created_at, _digest(token), rate_limit_per_minute)
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

    def rotate(self, key_id: str, overlap_s: int = 0) -> str:
        """Give a key another secret and return its new token; scopes and limits stay.

        Args:
            key_id: The key.
            overlap_s: Seconds for which the token of before works too. One from an earlier
                rotation stops working.

        Raises:
            InvalidInputError: The overlap is negative or longer than thirty days.
            NotFoundError: There is no such key.
            StreamUnavailableError: Redis does not answer.
        """
        if not 0 <= overlap_s <= MAX_OVERLAP_S:
            reason = f"must be between 0 and {MAX_OVERLAP_S} seconds"
            raise InvalidInputError([Fault("overlap", reason)])
        token = _new_token(key_id)
        until = int(self._clock()) + overlap_s

        def change(pipeline: Pipeline) -> None:
            record = cast("bytes | None", pipeline.hget(KEYS, key_id))
            if record is None:
                msg = f"there is no key {key_id}"
                raise NotFoundError(msg)
            key = ApiKey.from_json(record)
            changed = replace(
                key, digest=_digest(token), previous_digest=key.digest, previous_until=until
            )
            pipeline.multi()
            pipeline.hset(KEYS, key_id, changed.to_json().decode())

        try:
            # Tried again when a key changed meanwhile: a revoked one must not come back.
            self._log.transaction(change, KEYS)
        except redis.RedisError as error:
            raise StreamUnavailableError(str(error)) from error
        return token

    def revoke(self, key_id: str) -> None:
        """Take a key back: whatever starts from now on is refused, on every process.

        Raises:
            NotFoundError: There is no such key.
            StreamUnavailableError: Redis does not answer.
        """
        try:
            known = self._log.hexists(KEYS, key_id)
            if known:
                self._log.set(REVOKED, "1")  # first: a restore must not come in between
                self._log.hdel(KEYS, key_id)
        except redis.RedisError as error:
            raise StreamUnavailableError(str(error)) from error
        self.remember(key_id, None)
        if not known:
            msg = f"there is no key {key_id}"
            raise NotFoundError(msg)

    def verify(self, token: str) -> ApiKey | None:
        """The key that a token opens now, or None.

        Raises:
            StreamUnavailableError: Redis does not answer and the key is not remembered.
        """
        key_id = key_id_of(token)
        return self._opened(self._read(key_id) if key_id else None, token)

    def recall(self, token: str) -> ApiKey | None:
        """The key that a token opened when it was last read; read if it opened none.

        Nothing may be answered by it before a `KeyCheck` confirmed it.

        Raises:
            StreamUnavailableError: Redis does not answer and the key is not remembered.
        """
        found = self._known(key_id_of(token) or "")
        return self._opened(found, token) or self.verify(token)

    def _opened(self, key: ApiKey | None, token: str) -> ApiKey | None:
        """The key, if the token opens it; takes as long when there is none."""
        return key if (key or _NOBODY).opens(token, self._clock()) else None

    def _read(self, key_id: str) -> ApiKey | None:
        """The record of a key; while Redis is away the one that was read before."""
        try:
            record = cast("bytes | None", self._log.hget(KEYS, key_id))
        except redis.RedisError as error:
            if found := self._known(key_id):
                return found
            raise StreamUnavailableError(str(error)) from error
        return self.remember(key_id, record)

    def _known(self, key_id: str) -> ApiKey | None:
        """What is remembered of a key, unless it is too old."""
        with self._lock:
            found = self._remembered.get(key_id)
        return found.key if found and self._clock() - found.read_at < self._grace_s else None

    def remember(self, key_id: str, record: bytes | None) -> ApiKey | None:
        """Keep what was read; only keys that exist, so that guesses take no memory."""
        with self._lock:
            if record is None:
                self._remembered.pop(key_id, None)
                return None
            found = self._remembered.get(key_id)
            same = found is not None and found.record == record
            key = found.key if found and same else ApiKey.from_json(record)
            if found is None and len(self._remembered) >= REMEMBERED:
                self._remembered.clear()
            self._remembered[key_id] = _Remembered(self._clock(), record, key)
        return key

    def record(self, key_id: str) -> bytes:
        """The record of a key as it was read last; empty when none is remembered."""
        with self._lock:
            found = self._remembered.get(key_id)
        return found.record if found else b""

    def now(self) -> float:
        """Seconds since 1970."""
        return self._clock()

    def check(self, token: str) -> KeyCheck:
        """A check of a recalled token that another read of Redis takes along."""
        return KeyCheck(self, token)


@dataclass(frozen=True, slots=True)
class KeyCheck:
    """Confirms a recalled token by a record that is read in somebody else's round trip."""

    store: ApiKeyStore
    token: str

    @property
    def field(self) -> tuple[str, str]:
        """The record's place: name of the hash and of the field."""
        return KEYS, key_id_of(self.token) or ""

    @property
    def record(self) -> bytes:
        """The record as it was read last; empty when none is remembered."""
        return self.store.record(key_id_of(self.token) or "")

    def hear(self, record: bytes | None) -> None:
        """Take the answer.

        Raises:
            RevokedKeyError: The token does not open anything any more.
        """
        key = self.store.remember(key_id_of(self.token) or "", record)
        if key is None or not key.opens(self.token, self.store.now()):
            msg = "the key was revoked"
            raise RevokedKeyError(msg)


_NOBODY = ApiKey("", "", frozenset(), "", _NO_DIGEST)
