"""The serving state in Redis: what a request reads in one round trip, and what workers publish."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
import numpy.typing as npt
import orjson

from . import redis_client as keys
from .errors import (
    DeltaGoneError,
    InterestGraphError,
    RollOutUnderWayError,
    ServingStateUnavailableError,
)
from .field_types import category_id
from .history import HistoryEvent, unpack
from .item_matrix import ItemDelta
from .redis_client import call, script, translated

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import redis

    from .settings import Settings


UNCHANGED = 3  # values that the script returns when it leaves out what is known

DELTAS_AT_ONCE = 16
"""Deltas that a process which is behind holds at a time."""
OLD_DELTAS_S = 7 * 86_400
"""How long the deltas of a model are kept after another one replaced it."""
ROLL_OUT_S = 30
"""How long the right to roll out is held without a word from whoever does."""
TAKEN = -1


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is published: one model and the number of its newest delta.

    Args:
        model_version: The model.
        epoch: That number.
        origin: Another one when Redis was lost since: deltas, and changes of the catalogue, may
            have been numbered anew.
    """

    model_version: str
    epoch: int
    origin: str = ""


class Rider(Protocol):
    """A field of a hash that is read along with something else, in the same round trip."""

    @property
    def field(self) -> tuple[str, str]:
        """Name of the hash and of the field."""

    def hear(self, answer: bytes | None) -> None:
        """Take its value; what this raises ends the read."""


@dataclass(frozen=True, slots=True)
class UserState:
    """What is kept of a user.

    Args:
        packed: The user's newest events, oldest first, see `history`.
        declared: Ids of the categories that the user declared; the rest of the user's document
            may be long, and no list needs it.
        seen: Members of the user's seen set, see `redis_client.seen_member`.
        stamp: Another one after every change of the above; empty where it may change unseen.
    """

    packed: bytes
    declared: tuple[str, ...]
    seen: npt.NDArray[np.int64]
    stamp: bytes = b""

    @property
    def history(self) -> tuple[HistoryEvent, ...]:
        """The user's newest events, oldest first."""
        return unpack(self.packed)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whose state a request needs.

    Args:
        user_id: The user.
        known: What was read of the user before: it is not sent again, and is in the answer itself,
            when it is still true.
        rider: What else is read.
    """

    user_id: str
    known: UserState | None = None
    rider: Rider | None = None


@dataclass(frozen=True, slots=True)
class RequestState:
    """Everything of a user and the catalogue that a recommendation depends on.

    Args:
        manifest: What is published; None before the first model.
        catalog_revision: The newest change of the catalogue.
        history_revision: Revision of the newest request that changed the history.
        user: What is kept of the user.
    """

    manifest: Manifest | None
    catalog_revision: int
    history_revision: int
    user: UserState


class ServingState:
    """Reads and publishes the serving state; all of it can be rebuilt from Neo4j."""

    def __init__(self, client: redis.Redis, settings: Settings) -> None:
        self._client = client
        self._settings = settings
        self._read = script(client, "read_requests")
        self._publish = script(client, "publish_delta")
        self._hold = script(client, "hold_roll_out")
        self._roll_out = script(client, "roll_out")

    def read(self, user_id: str, known: UserState | None = None) -> RequestState:
        """What a request needs, from one moment.

        Args:
            user_id: The user.
            known: As in `Wanted`.

        Raises:
            ServingStateUnavailableError: Redis does not answer.
        """
        (state,) = self.read_each([Wanted(user_id, known)])
        if isinstance(state, InterestGraphError):
            raise state
        return state

    def read_each(self, wanted: Sequence[Wanted]) -> list[RequestState | InterestGraphError]:
        """What each of several requests needs, in one round trip, all from one moment.

        Returns:
            In the same order; for a request whose rider refuses what it hears, that error.

        Raises:
            ServingStateUnavailableError: Redis does not answer.
        """
        names, args = [keys.MANIFEST, keys.CATALOG_REVISION], list[str | bytes]()
        for one in wanted:
            name, field = one.rider.field if one.rider else (keys.MANIFEST, "")
            names += keys.user_key(one.user_id), keys.seen_key(one.user_id), name
            args += one.known.stamp if one.known else b"", field
        with translated(ServingStateUnavailableError, "the serving state"):
            version, epoch, origin, revision, answers = call(self._read, names, args)
        manifest, revision = _manifest([version, epoch, origin]), int(revision or 0)
        return [
            _state(one, manifest, revision, answer)
            for one, answer in zip(wanted, answers, strict=True)
        ]

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def head(self) -> tuple[Manifest | None, int]:
        """What is published, and the catalogue's revision."""
        with translated(ServingStateUnavailableError, "the serving state"):
            pipeline = self._client.pipeline(transaction=True)
            pipeline.hmget(keys.MANIFEST, ["model_version", "epoch", "origin"])
            pipeline.get(keys.CATALOG_REVISION)
            manifest, revision = pipeline.execute()
        return _manifest(manifest), int(revision or 0)

    def deltas(self, model_version: str, after: int, until: int) -> Iterator[ItemDelta]:
        """The deltas of a model numbered after + 1 … until, in order, read a few at a time.

        Raises:
            DeltaGoneError: One is kept no longer; those before it have been given.
            ServingStateUnavailableError: Redis does not answer; likewise.
        """
        for start in range(after + 1, until + 1, DELTAS_AT_ONCE):
            numbers = [*range(start, min(start + DELTAS_AT_ONCE, until + 1))]
            with translated(ServingStateUnavailableError, "the serving state"):
                packed = cast(
                    "list[bytes | None]",
                    self._client.hmget(keys.deltas_key(model_version), list(map(str, numbers))),
                )
            for number, payload in zip(numbers, packed, strict=True):
                if payload is None:
                    msg = f"delta {number} of model {model_version} is gone"
                    raise DeltaGoneError(msg)
                yield replace(ItemDelta.unpack(payload), epoch=number)

    def drop_deltas(self, model_version: str, until: int) -> None:
        """Forget the deltas of a model up to a number: they are folded into a directory."""
        with translated(ServingStateUnavailableError, "the serving state"):
            names = cast("list[bytes]", self._client.hkeys(keys.deltas_key(model_version)))
            old = [name for name in names if int(name) <= until]
            if old:
                self._client.hdel(keys.deltas_key(model_version), *old)

    def publish(self, delta: ItemDelta) -> int:
        """Publish refreshed items; returns the delta's number, 0 if the model was replaced."""
        with translated(ServingStateUnavailableError, "the serving state"):
            epoch = self._publish(
                keys=[keys.MANIFEST, keys.deltas_key(delta.model_version)],
                args=[delta.model_version, delta.pack()],
            )
        return int(epoch)

    def restore_manifest(self, model_version: str, epoch: int) -> bool:
        """Name a model as the published one if none is; returns whether none was."""
        with translated(ServingStateUnavailableError, "the serving state"):
            pipeline = self._client.pipeline(transaction=True)
            pipeline.hsetnx(keys.MANIFEST, "epoch", epoch)
            pipeline.hsetnx(keys.MANIFEST, "origin", secrets.token_hex(8))
            pipeline.hsetnx(keys.MANIFEST, "model_version", model_version)
            return bool(pipeline.execute()[-1])

    def hold_roll_out(self, holder: str, seconds: float = ROLL_OUT_S) -> None:
        """Hold the right to roll out, or go on holding it.

        Args:
            holder: A name that no other roll-out has.
            seconds: For how long from now; 0 gives it back.

        Raises:
            RollOutUnderWayError: Somebody else holds it.
            ServingStateUnavailableError: Redis does not answer.
        """
        with translated(ServingStateUnavailableError, "the serving state"):
            held = self._hold(keys=[keys.ROLL_OUT], args=[holder, int(seconds * 1000)])
        if not held:
            raise RollOutUnderWayError

    def rolling_out(self) -> bool:
        """Whether somebody holds the right to roll out."""
        with translated(ServingStateUnavailableError, "the serving state"):
            return bool(self._client.exists(keys.ROLL_OUT))

    def roll_out(self, model_version: str, holder: str = "") -> int:
        """Make a model the published one: one write; returns its epoch.

        Raises:
            RollOutUnderWayError: The right to is not `holder`'s; "" when nobody is to hold it.
        """
        with translated(ServingStateUnavailableError, "the serving state"):
            epoch = self._roll_out(
                keys=[keys.MANIFEST, keys.deltas_key(model_version), keys.ROLL_OUT],
                args=[model_version, OLD_DELTAS_S, secrets.token_hex(8), holder],
            )
        if epoch == TAKEN:
            raise RollOutUnderWayError
        return int(epoch)


def _state(
    wanted: Wanted, manifest: Manifest | None, catalog_revision: int, answer: list[Any]
) -> RequestState | InterestGraphError:
    """What the script says of one request, or what the rider has against it."""
    revision, heard, stamp = answer[:UNCHANGED]
    try:
        if wanted.rider:
            wanted.rider.hear(heard)
    except InterestGraphError as error:
        return error
    if len(answer) == UNCHANGED and wanted.known:
        user = wanted.known
    else:
        history, document, seen = answer[UNCHANGED:]
        user = UserState(
            packed=history or b"",
            declared=_declared(document),
            seen=np.array([int(member) for member in seen], dtype=np.int64),
            stamp=stamp or b"",
        )
    return RequestState(manifest, catalog_revision, int(revision or 0), user)


def _declared(document: bytes | None) -> tuple[str, ...]:
    """Ids of the categories in a user's document."""
    paths = (orjson.loads(document).get("categories") if document else None) or []
    return tuple(category_id(path) for path in paths)


def _manifest(fields: list[bytes | None]) -> Manifest | None:
    """Read the manifest's fields."""
    version, epoch, origin = fields
    return (
        Manifest(version.decode(), int(epoch or 0), (origin or b"").decode()) if version else None
    )
