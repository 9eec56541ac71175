"""The recommendation_id: says by itself what an answer was computed from; reading writes nothing.

An answer is a pure function of the model, the item matrix at an epoch, the user's events up to a
history revision, and a minute. The id holds these, and a digest of the events that were used: when
they can be had no longer, an explanation says so instead of explaining something else.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import struct
from dataclasses import dataclass

from .errors import NotFoundError
from .names import random_bytes

_FIELDS = struct.Struct(">BIIQQ8s6sB")
_CATEGORY = 8
_FORMAT = 1
_MODEL_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True, slots=True)
class AnswerContext:
    """What an answer was computed from.

    Args:
        model_version: The model.
        epoch: Number of the newest delta in its item matrix.
        as_of: The minute, in seconds since 1970.
        history_revision: The newest change of the user's history.
        catalog_revision: The newest change of the catalogue.
        digest: Of the user and the events that were used.
        declared: Ids of the categories the user had declared.
    """

    model_version: str
    epoch: int
    as_of: int
    history_revision: int
    catalog_revision: int
    digest: bytes
    declared: tuple[str, ...] = ()

    def new_id(self) -> str:
        """An id for an answer from this context; no two are equal."""
        fields = _FIELDS.pack(
            _FORMAT,
            self.epoch,
            self.as_of,
            self.history_revision,
            self.catalog_revision,
            self.digest,
            random_bytes(6),
            len(self.declared),
        )
        declared = b"".join(bytes.fromhex(identifier) for identifier in self.declared)
        raw = fields + declared + self.model_version.encode()
        return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def read_id(recommendation_id: str) -> AnswerContext:
    """The context that an id names.

    Raises:
        NotFoundError: It is no recommendation_id of ours.

    >>> context = AnswerContext("m-1", 2, 60, 5, 7, bytes(8), ("00112233445566aa",))
    >>> read_id(context.new_id()) == context
    True
    """
    try:
        padding = "=" * (-len(recommendation_id) % 4)
        raw = base64.b64decode(recommendation_id + padding, altchars=b"-_", validate=True)
        number, epoch, as_of, history, catalog, digest, _, count = _FIELDS.unpack_from(raw)
        end = _FIELDS.size + count * _CATEGORY
        starts = range(_FIELDS.size, end, _CATEGORY)
        declared = tuple(raw[start : start + _CATEGORY].hex() for start in starts)
        model_version = raw[end:].decode("ascii")
    except (binascii.Error, struct.error, ValueError) as error:
        raise _unknown(recommendation_id) from error
    if number != _FORMAT or not _MODEL_VERSION.fullmatch(model_version):
        raise _unknown(recommendation_id)
    return AnswerContext(model_version, epoch, as_of, history, catalog, digest, declared)


def context_digest(user_id: str, events: bytes) -> bytes:
    """Eight bytes that tell whether the user and the packed events are still the same."""
    return hashlib.blake2b(user_id.encode() + b"\x1f" + events, digest_size=8).digest()


def _unknown(recommendation_id: str) -> NotFoundError:
    """The error for an id that names no answer."""
    return NotFoundError(f"there is no answer {recommendation_id[:100]}")
