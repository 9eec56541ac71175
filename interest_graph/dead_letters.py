"""Dead letters: entries of the log that could not be brought into the graph, kept with a reason."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import orjson

from . import redis_client as keys
from .entry import place_of
from .errors import NotFoundError, StreamUnavailableError
from .event_stream import refused
from .partition import partition_of_entry, user_of
from .redis_client import script, stream_rows, translated

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    import redis

    from .settings import Settings

LETTER_ID = re.compile(r"\d{1,19}-\d{1,19}")
"""Milliseconds since 1970 and a number: the stream's id of an entry."""
PAGE = 500


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An entry that could not be brought into the graph.

    Args:
        letter_id: Names it here; older letters have smaller ids.
        kind: As of the entry: event, item, user, delete_item or delete_user.
        payload: The event or document; for a deletion the id.
        reason: Why it lies here.
        revision: Catalogue revision of items and users; 0 for events.
    """

    letter_id: str
    kind: str
    payload: Any
    reason: str
    revision: int

    @property
    def buried_at(self) -> datetime:
        """When it was given up."""
        return datetime.fromtimestamp(_buried_ms(self.letter_id) / 1000, UTC)


class DeadLetters:
    """The dead letters: to be looked at, sent to the log again, or dropped."""

    def __init__(self, client: redis.Redis, settings: Settings) -> None:
        self._client = client
        self._settings = settings
        self._replay = script(client, "replay_dead_letters", on_log=True)
        self._drop = script(client, "drop_dead_letters", on_log=True)

    def page(self, limit: int, after: str | None = None) -> list[DeadLetter]:
        """At most `limit` letters, oldest first, after the one of that id.

        Raises:
            StreamUnavailableError: Redis does not answer.
        """
        start = f"({after}" if after else "-"
        with translated(StreamUnavailableError, "the event log"):
            rows = self._client.xrange(keys.DEAD_LETTERS, min=start, count=limit)
        return [_letter(row) for row in cast("list[Any]", rows)]

    def all(self) -> Iterator[DeadLetter]:
        """Every letter there is now, oldest first; those that come meanwhile are left out."""
        last = self._newest()
        after: str | None = None
        while found := self.page(PAGE, after):
            for letter in found:
                if last is None or place_of(letter.letter_id) > place_of(last):
                    return
                yield letter
            after = found[-1].letter_id

    def get(self, letter_id: str) -> DeadLetter:
        """One letter.

        Raises:
            NotFoundError: There is none of that id.
        """
        if LETTER_ID.fullmatch(letter_id):
            with translated(StreamUnavailableError, "the event log"):
                rows = self._client.xrange(keys.DEAD_LETTERS, min=letter_id, max=letter_id)
            for row in cast("list[Any]", rows):
                return _letter(row)
        raise _not_found(letter_id)

    def replay(self, letter_ids: Sequence[str]) -> int:
        """Send letters to the log again, all or none; they leave this place with that.

        What is still wrong with one brings it back here, under a new id.

        Args:
            letter_ids: Ids of letters; those that are gone already are passed over.

        Returns:
            How many were sent.

        Raises:
            StreamFullError: The log has no room for them; nothing was moved.
            StreamUnavailableError: Redis does not answer.
        """
        ids = [letter_id for letter_id in letter_ids if LETTER_ID.fullmatch(letter_id)]
        partitions = self._partitions(ids)
        if not partitions:
            return 0
        with translated(StreamUnavailableError, "the event log"):
            moved = self._replay(
                keys=[
                    *(keys.DEAD_LETTERS, keys.new_answer_key()),
                    *map(keys.partition_key, partitions.values()),
                ],
                args=[
                    self._settings.max_log_entries,
                    self._settings.log_partitions,
                    keys.answer_kept_s(self._settings),
                    *partitions,
                ],
            )
        refused(moved, self._settings)
        return int(moved)

    def _partitions(self, letter_ids: Sequence[str]) -> dict[str, int]:
        """Where each of the letters belongs; those that are gone are left out."""
        with translated(StreamUnavailableError, "the event log"):
            pipeline = self._client.pipeline(transaction=False)
            for letter_id in letter_ids:
                pipeline.xrange(keys.DEAD_LETTERS, min=letter_id, max=letter_id)
            answers = pipeline.execute()
        return {
            letter_id.decode(): partition_of_entry(
                fields[b"kind"].decode(), fields[b"payload"], self._settings.log_partitions
            )
            for rows in answers
            for letter_id, fields in rows
        }

    def drop(self, letter_ids: Sequence[str]) -> int:
        """Delete letters for good; returns how many there were."""
        ids = [letter_id for letter_id in letter_ids if LETTER_ID.fullmatch(letter_id)]
        if not ids:
            return 0
        with translated(StreamUnavailableError, "the event log"):
            dropped = self._drop(
                keys=[keys.DEAD_LETTERS, keys.new_answer_key()],
                args=[keys.answer_kept_s(self._settings), *ids],
            )
        return int(dropped)

    def drop_those_of(self, user_ids: Collection[str]) -> int:
        """Delete what erased users did; returns how many letters there were.

        Of whoever was created again meanwhile only what is older goes, of whoever has no tombstone
        nothing. What is buried later of an erased user is not kept (`lua/bury.lua`).

        Raises:
            StreamUnavailableError: Redis does not answer; some may be left.
        """
        until_ms = erased_until_ms(self._client, user_ids)
        found = []
        for letter_id, fields in stream_rows(self._client, keys.DEAD_LETTERS, PAGE):
            payload = fields.get(b"payload", b"")
            if not any(user_id.encode() in payload for user_id in until_ms):
                continue  # most are of others, and need not be read
            user_id = user_of(fields.get(b"kind", b"").decode(errors="replace"), payload)
            if _buried_ms(letter_id.decode()) < until_ms.get(user_id, 0):
                found.append(letter_id.decode())
        pages = (found[start : start + PAGE] for start in range(0, len(found), PAGE))
        return sum(self.drop(page) for page in pages)

    def _newest(self) -> str | None:
        """Id of the newest letter."""
        with translated(StreamUnavailableError, "the event log"):
            rows = cast("list[Any]", self._client.xrevrange(keys.DEAD_LETTERS, count=1))
        return rows[0][0].decode() if rows else None


def erased_until_ms(client: redis.Redis, user_ids: Collection[str]) -> dict[str, float]:
    """Until when what users did is erased, in milliseconds since 1970; infinity for who is gone.

    Those who were never erased, or of whom Redis knows nothing, are left out.

    Raises:
        StreamUnavailableError: Redis does not answer.
    """
    ids = [*user_ids]
    with translated(StreamUnavailableError, "the serving state"):
        pipeline = client.pipeline(transaction=False)
        for user_id in ids:
            pipeline.hmget(keys.user_key(user_id), ["t", "c"])
        answers = pipeline.execute()
    return {
        user_id: math.inf if tombstone is not None else float(again)
        for user_id, (tombstone, again) in zip(ids, answers, strict=True)
        if tombstone is not None or again is not None
    }


def _buried_ms(letter_id: str) -> int:
    """Milliseconds since 1970."""
    return int(letter_id.partition("-")[0])


def _not_found(letter_id: str) -> NotFoundError:
    """The error for an id that names nothing."""
    return NotFoundError(f"there is no dead letter {letter_id}")


def _letter(row: Any) -> DeadLetter:
    """Read one row of the stream."""
    letter_id, fields = row
    kind = fields[b"kind"].decode()
    return DeadLetter(
        letter_id.decode(),
        kind,
        _payload(kind, fields[b"payload"]),
        fields[b"reason"].decode(),
        int(fields.get(b"revision", 0)),
    )


def _payload(kind: str, raw: bytes) -> Any:
    """What JSON says; the id of a deletion, and what is no JSON, as text."""
    text = raw.decode(errors="replace")
    if kind.startswith("delete_"):
        return text
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return text
