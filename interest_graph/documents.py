"""Documents of items and users: written to the log and to the serving state in one step.

A write is answered when the log has it; `get` sees it at once, the graph a moment later.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Literal, cast

import orjson

from . import redis_client as keys
from .errors import ConflictError, NotFoundError, StreamUnavailableError
from .event_stream import refused
from .partition import partition_of
from .redis_client import script, translated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import redis

    from .settings import Settings

Document = dict[str, Any]
Kind = Literal["item", "user"]
PATCH_TRIES = 8
READ_AT_ONCE = 200
"""Documents asked for at once: at their largest they are 56 MiB."""
PAGE_BYTES = 8 * 1024 * 1024
"""No further documents are added to a page that has so much."""


class _Status(IntEnum):
    """What the script says of a document."""

    WRITTEN = 0
    CHANGED = 1
    ABSENT = 2


@dataclass(frozen=True, slots=True)
class Page:
    """A page of documents in order of id.

    Args:
        documents: The documents.
        next_after: Id after which the next page starts; None on the last page.
    """

    documents: list[Document]
    next_after: str | None


class Documents:
    """The documents of one kind."""

    def __init__(self, client: redis.Redis, settings: Settings, kind: Kind) -> None:
        self._client = client
        self._settings = settings
        self._kind: Kind = kind
        self._write = script(client, "write_documents", on_log=True)
        item = kind == "item"
        self._revision_key = keys.CATALOG_REVISION if item else keys.USERS_REVISION
        self._changes_key = keys.ITEM_REVISIONS if item else keys.USER_REVISIONS
        self._ids_key = keys.ITEM_IDS if item else keys.USER_IDS

    def put(self, documents: Sequence[Document]) -> int:
        """Insert or replace documents, all or none; returns the catalogue revision.

        Of several for one id the last counts: they would share a revision, and the graph would
        keep whichever came first.

        Raises:
            StreamFullError: The log is at its bound; nothing was written.
            StreamUnavailableError: Redis does not answer; putting again is safe.
        """
        last = {document[f"{self._kind}_id"]: document for document in documents}
        rows = [(identifier, orjson.dumps(document), "") for identifier, document in last.items()]
        return self._run(rows)[0]

    def get(self, identifier: str) -> Document:
        """One document. A user known by events alone has nothing but the id.

        Raises:
            NotFoundError: There is none.
        """
        return self._get(identifier)[0]

    def patch(self, identifier: str, change: Callable[[Document], Document]) -> Document:
        """Change a document; when somebody else changes it meanwhile, on top of that.

        Raises:
            NotFoundError: There is none.
            ConflictError: It kept changing.
        """
        for _ in range(PATCH_TRIES):
            document, revision = self._get(identifier)
            changed = change(document)
            _, statuses = self._run([(identifier, orjson.dumps(changed), revision)])
            if statuses[0] is _Status.WRITTEN:
                return changed
        msg = f"{self._kind} {identifier} kept changing"
        raise ConflictError(msg)

    def delete(self, identifier: str) -> int:
        """Delete a document, and with a user everything kept of them; returns the revision.

        Raises:
            NotFoundError: There is none.
        """
        revision, statuses = self._run([(identifier, b"", "")])
        if statuses[0] is _Status.ABSENT:
            raise self._not_found(identifier)
        return revision

    def page(self, limit: int, after: str | None = None) -> Page:
        """Documents in order of id, after the given one; fewer than `limit` when they are large."""
        start = f"({after}" if after else "-"
        with translated(StreamUnavailableError, "the catalogue"):
            found = cast(
                "list[bytes]",
                self._client.zrangebylex(self._ids_key, start, "+", start=0, num=limit + 1),
            )
        ids = [identifier.decode() for identifier in found[:limit]]
        raw: list[bytes | None] = []
        while len(raw) < len(ids) and sum(len(one or b"") for one in raw) < PAGE_BYTES:
            with translated(StreamUnavailableError, "the catalogue"):
                raw += self._raw(ids[len(raw) : len(raw) + READ_AT_ONCE])
        documents = [orjson.loads(document) for document in raw if document]
        return Page(documents, ids[len(raw) - 1] if len(found) > len(raw) else None)

    def changed_since(self, revision: int) -> tuple[int, Iterator[dict[str, Document | None]]]:
        """The revision reached, and documents written after a revision in pages (None: deleted).

        A document that is written again meanwhile may come as it is by then.
        """
        with translated(StreamUnavailableError, "the catalogue"):
            changed = cast(
                "list[tuple[bytes, float]]",
                self._client.zrangebyscore(
                    self._changes_key, f"({revision}", "+inf", withscores=True
                ),
            )
        reached = int(max((score for _, score in changed), default=revision))
        return reached, self._read([identifier.decode() for identifier, _ in changed])

    def _read(self, ids: Sequence[str]) -> Iterator[dict[str, Document | None]]:
        """Documents in pages: all of a large catalogue at once would take much memory."""
        for start in range(0, len(ids), READ_AT_ONCE):
            page = ids[start : start + READ_AT_ONCE]
            with translated(StreamUnavailableError, "the catalogue"):
                raw = self._raw(page)
            yield {
                identifier: orjson.loads(document) if document else None
                for identifier, document in zip(page, raw, strict=True)
            }

    def revision(self, identifier: str) -> int:
        """The catalogue revision at which a document last changed; 0 when it never did."""
        with translated(StreamUnavailableError, "the catalogue"):
            score = self._client.zscore(self._changes_key, identifier)
        return int(score or 0)

    def _raw(self, ids: Sequence[str]) -> list[bytes | None]:
        """Stored bytes of documents."""
        if not ids:
            return []
        if self._kind == "item":
            return cast("list[bytes | None]", self._client.hmget(keys.ITEMS, list(ids)))
        pipeline = self._client.pipeline(transaction=False)
        for identifier in ids:
            pipeline.hget(keys.user_key(identifier), "d")
        return cast("list[bytes | None]", pipeline.execute())

    def _get(self, identifier: str) -> tuple[Document, str]:
        """A document and the revision it has."""
        with translated(StreamUnavailableError, "the catalogue"):
            pipeline = self._client.pipeline(transaction=True)
            pipeline.zscore(self._changes_key, identifier)
            if self._kind == "item":
                pipeline.hmget(keys.ITEMS, [identifier])
            else:
                pipeline.hmget(keys.user_key(identifier), ["d", "h"])
            score, found = pipeline.execute()
        revision = str(int(score or 0))
        if found[0]:
            return orjson.loads(found[0]), revision
        if found[-1]:
            return {f"{self._kind}_id": identifier}, revision
        raise self._not_found(identifier)

    def _not_found(self, identifier: str) -> NotFoundError:
        """The error for an id that names nothing."""
        return NotFoundError(f"there is no {self._kind} {identifier}")

    def _run(self, rows: Sequence[tuple[str, bytes, str]]) -> tuple[int, list[_Status]]:
        """Run the script on (id, document or empty, expected revision or empty)."""
        settings = self._settings
        names = [self._revision_key, self._changes_key, self._ids_key, keys.ITEMS]
        names.append(keys.new_answer_key())
        arguments: list[Any] = [
            settings.max_log_entries,
            settings.log_partitions,
            keys.answer_kept_s(settings),
            self._kind,
        ]
        for identifier, document, expected in rows:
            names.append(keys.partition_key(partition_of(identifier, settings.log_partitions)))
            if self._kind == "user":
                names += [keys.user_key(identifier), keys.seen_key(identifier)]
            arguments += [identifier, document, expected]
        with translated(StreamUnavailableError, "the catalogue"):
            answer = self._write(keys=names, args=arguments)
        refused(answer, settings)
        revision, statuses = answer
        return int(revision), [_Status(status) for status in statuses]
