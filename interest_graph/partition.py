"""Partitions of the log: what concerns one id lies in one of them, in its order."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def partition_of(identifier: str, partitions: int) -> int:
    """The partition of a user's or item's id.

    Python alone computes it and names the key to the scripts, so that there is nothing to agree on.

    >>> partition_of("household-42", 1)
    0
    """
    digest = hashlib.blake2b(identifier.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % partitions


def partition_of_entry(kind: str, payload: bytes, partitions: int) -> int:
    """The partition of an entry: of an event by its user, of anything else by its own id.

    What cannot be read has no order to keep and goes where the empty id goes.
    """
    return partition_of(order_of(kind, payload), partitions)


def pages_of(ids: Iterable[str], partitions: int, size: int) -> Iterator[list[str]]:
    """Each id once, in pages of at most `size` ids of one partition.

    Who has to read the log for every page reads that partition of it alone.
    """
    known: set[str] = set()
    pages: defaultdict[int, list[str]] = defaultdict(list)
    for identifier in ids:
        if identifier in known:
            continue
        known.add(identifier)
        page = pages[partition_of(identifier, partitions)]
        page.append(identifier)
        if len(page) == size:
            yield pages.pop(partition_of(identifier, partitions))
    yield from pages.values()


def order_of(kind: str, payload: bytes) -> str:
    """The id whose order an entry belongs to; "" where that cannot be read."""
    if kind in {"delete_item", "delete_user"}:
        return payload.decode(errors="replace")
    try:
        return str(orjson.loads(payload)["item_id" if kind == "item" else "user_id"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return ""


def user_of(kind: str, payload: bytes) -> str:
    """The user whose event or document an entry is; "" for others, and where it cannot be read."""
    return order_of(kind, payload) if kind in {"event", "user"} else ""
