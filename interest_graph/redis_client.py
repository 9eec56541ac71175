"""Connections to Redis, its scripts and key names, and what it must be set to."""

from __future__ import annotations

import hashlib
import secrets
from contextlib import contextmanager
from importlib.resources import files
from typing import TYPE_CHECKING, Any, cast

import redis
import structlog
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from .errors import SettingsError, StreamUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from redis.commands.core import Script

    from .errors import TransientError
    from .settings import Settings

LOG_PARTITIONS = "ig:log:partitions"
LEASES = "ig:log:leases"
INGEST_WORKERS = "ig:log:workers"
UNPARTITIONED_LOG = "ig:log"
DEAD_LETTERS = "ig:dead"
DOUBTS = "ig:doubts"
HISTORY_REVISION = "ig:history_revision"
CATALOG_REVISION = "ig:catalog_revision"
USERS_REVISION = "ig:users_revision"
ITEMS = "ig:items"
ITEM_REVISIONS = "ig:item_revisions"
ITEM_IDS = "ig:item_ids"
USER_REVISIONS = "ig:user_revisions"
USER_IDS = "ig:user_ids"
MANIFEST = "ig:manifest"
ROLL_OUT = "ig:roll_out"
RETRIES = 3
REFUSALS = ("MISCONF", "NOREPLICAS", "BUSY")
"""How Redis refuses to write: its disk or its replicas are at fault, or a script runs on."""

logger = structlog.get_logger(__name__)


def partition_key(partition: int) -> str:
    """Stream of a partition of the log; `lua/log.lua` names them likewise."""
    return f"ig:log:{partition}"


def event_key(event_id: str) -> str:
    """Key that remembers an event within the duplicate window."""
    return f"ig:event:{event_id}"


def answer_key(token: str) -> str:
    """Key that remembers what a call of a script was answered, for a retry of that very call."""
    return f"ig:answer:{token}"


def new_answer_key() -> str:
    """Such a key for a call that nothing else has."""
    return answer_key(secrets.token_hex(8))


def answer_kept_s(settings: Settings) -> int:
    """Seconds within which a call may still be retried, and some more: see `connect`."""
    return 10 + int(2 * (RETRIES + 1) * settings.redis_timeout_s)


def user_key(user_id: str) -> str:
    """Hash of a user: h history, n its length, r history revision, d document, t tombstone.

    Also c when they were created again, b events of the day and of the burst window, and v, which
    every write of h, d or the seen items changes: what was read under one v is true under it.
    """
    return f"ig:user:{user_id}"


def seen_key(user_id: str) -> str:
    """Set of what a user has seen: see `seen_member`."""
    return f"ig:seen:{user_id}"


def deltas_key(model_version: str) -> str:
    """Hash of the numbered deltas published after a model."""
    return f"ig:deltas:{model_version}"


def item_hash(item_id: str) -> int:
    """A signed 60-bit hash of an item's id: eight bytes in a Redis integer set."""
    return (
        int.from_bytes(
            hashlib.blake2b(item_id.encode(), digest_size=8).digest(), "big", signed=True
        )
        >> 4
    )


def seen_member(item_id: str, event_type: int) -> int:
    """Member of a user's seen set: item hash and, in the low four bits, the event type."""
    return (item_hash(item_id) << 4) | event_type


def connect(url: str, settings: Settings) -> redis.Redis:
    """A client that gives up in time and retries a dropped connection three times.

    Each of the four tries may wait twice, for a connection and for an answer. A script whose answer
    was lost runs again: it must find out by itself, as by `new_answer_key`.
    """
    return redis.Redis.from_url(
        url,
        socket_timeout=settings.redis_timeout_s,
        socket_connect_timeout=settings.redis_timeout_s,
        retry=Retry(ExponentialBackoff(cap=0.2, base=0.02), RETRIES),
        health_check_interval=30,
    )


def script(client: redis.Redis, name: str, *, on_log: bool = False) -> Script:
    """The Lua script of that name, run by its hash.

    Args:
        client: The connection.
        name: Its file under `lua`.
        on_log: Whether it uses the functions of `lua/log.lua`.
    """
    folder = files("interest_graph").joinpath("lua")
    text = folder.joinpath(f"{name}.lua").read_text(encoding="utf-8")
    if on_log:
        first, _, rest = text.partition("\n")  # flags stand in the first line, or nowhere
        functions = folder.joinpath("log.lua").read_text(encoding="utf-8")
        head, tail = (f"{first}\n", rest) if first.startswith("#!") else ("", text)
        text = f"{head}{functions}\n{tail}"
    return client.register_script(text)


def call(program: Script, names: Sequence[str], args: Sequence[Any]) -> Any:
    """Run a script that may run twice, with the least ceremony.

    The client's own way from a script to the socket costs as much as the answer; it is taken when
    the connection was dropped, with its retries, and with a server that does not know the script.
    A server that does not answer in time is not asked again: others wait behind whoever waits here.

    Args:
        program: The script.
        names: Its keys.
        args: Its arguments.
    """
    pool = cast("redis.Redis", program.registered_client).connection_pool
    try:
        connection = pool.get_connection()
        try:
            connection.send_command("EVALSHA", program.sha, len(names), *names, *args)  # type: ignore[no-untyped-call] # theirs
            return connection.read_response()
        except BaseException as error:
            if not isinstance(error, redis.ResponseError):
                # An answer may be on its way.
                connection.disconnect()  # type: ignore[no-untyped-call] # theirs
            raise
        finally:
            pool.release(connection)
    except (redis.ConnectionError, redis.exceptions.NoScriptError):
        return program(keys=names, args=args)


def stream_rows(
    client: redis.Redis, name: str, page: int = 1000
) -> Iterator[tuple[bytes, dict[bytes, bytes]]]:
    """Id and fields of every entry of a stream, oldest first.

    Args:
        client: The connection.
        name: The stream.
        page: Entries read at once.

    Raises:
        StreamUnavailableError: Redis does not answer.
    """
    start = "-"
    while True:
        with translated(StreamUnavailableError, "the event log"):
            rows = cast("list[Any]", client.xrange(name, min=start, count=page))
        yield from rows
        if len(rows) < page:
            return
        start = f"({rows[-1][0].decode()}"


@contextmanager
def translated(error_class: type[TransientError], what: str) -> Iterator[None]:
    """Turn whatever Redis raises for being away into one of our own errors."""
    try:
        yield
    except (
        redis.ConnectionError,
        redis.TimeoutError,
        redis.ReadOnlyError,
        redis.BusyLoadingError,
    ) as error:
        msg = f"{what} does not answer"
        raise error_class(msg) from error
    except redis.OutOfMemoryError as error:
        msg = f"{what} is out of memory"
        raise error_class(msg) from error
    except redis.ResponseError as error:
        if str(error).partition(" ")[0] not in REFUSALS:
            raise
        msg = f"{what} takes no writes"
        raise error_class(msg) from error


def check_durability(client: redis.Redis, settings: Settings) -> None:
    """See that the log keeps what it accepts (design: `appendfsync always`, `noeviction`).

    Raises:
        SettingsError: The server could lose accepted events; the message says what to set.
        StreamUnavailableError: It does not answer.
    """
    wanted = {
        "appendonly": "yes",
        "appendfsync": settings.durability,
        "maxmemory-policy": "noeviction",
        "no-appendfsync-on-rewrite": "no",
    }
    with translated(StreamUnavailableError, "the event log"):
        found = {name: cast("dict[str, Any]", client.config_get(name)).get(name) for name in wanted}
    wrong = [f"{name} {value}" for name, value in wanted.items() if found[name] != value]
    if wrong:
        msg = f"the Redis at log_url may lose accepted events: set {', '.join(wrong)}"
        raise SettingsError(msg)


def warn_of_durability(settings: Settings) -> None:
    """Say at start that less than `always` was asked for."""
    if settings.durability != "always":
        logger.warning("log_not_fsynced", durability=settings.durability)
