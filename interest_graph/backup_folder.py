"""The form of a backup: a folder of compressed lines, with a manifest of their digests."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import tempfile
import zlib
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from .errors import BackupError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

FORMAT = 1
MANIFEST = "backup.json"
PARTS = ("items", "users", "events", "log", "dead", "keys")
TELL_EVERY = 1000


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a backup.

    Args:
        lines: How many entries it has.
        digest: SHA-256 of its lines; equal graphs have equal digests.
    """

    lines: int
    digest: str


@dataclass(frozen=True, slots=True)
class Backup:
    """What a backup holds.

    Args:
        folder: Where it lies.
        created_at: When it was begun.
        parts: By name.
    """

    folder: Path
    created_at: str
    parts: dict[str, Part]


def write_folder(
    folder: Path,
    parts: Mapping[str, Iterable[dict[str, Any]]],
    described: Mapping[str, Any],
    progress: Callable[[str, int, int], None],
) -> Backup:
    """Write parts in their order; the folder appears under its name only when it is whole.

    Args:
        folder: Where it is to lie; must not be there yet.
        parts: The lines of each of `PARTS`.
        described: What else the manifest says.
        progress: Told the part and how many lines are written of it; the total is not known.

    Raises:
        BackupError: The folder is there already.
    """
    if folder.exists():
        msg = f"{folder} is there already: name another folder"
        raise BackupError(msg)
    folder.parent.mkdir(parents=True, exist_ok=True)
    created = datetime.now(UTC).isoformat(timespec="seconds")
    work = Path(tempfile.mkdtemp(prefix=".backup-", dir=folder.parent))
    try:
        written = {
            name: _write_part(path_of(work, name), lines, partial(_tell, progress, name))
            for name, lines in parts.items()
        }
        head = {"format": FORMAT, "created_at": created, **described}
        head["parts"] = {name: asdict(part) for name, part in written.items()}
        with (work / MANIFEST).open("wb") as file:
            file.write(orjson.dumps(head, option=orjson.OPT_INDENT_2))
            file.flush()
            os.fsync(file.fileno())
        work.rename(folder)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    return Backup(folder, created, written)


def _tell(progress: Callable[[str, int, int], None], name: str, done: int) -> None:
    """Say how many lines of a part are written."""
    progress(name, done, 0)


def path_of(folder: Path, part: str) -> Path:
    """The file of a part."""
    return folder / f"{part}.jsonl.gz"


def read_backup(folder: Path) -> Backup:
    """What a backup says of itself.

    Raises:
        BackupError: It is missing, damaged, or of another format.
    """
    try:
        described = orjson.loads((folder / MANIFEST).read_bytes())
        if described.get("format") != FORMAT:
            msg = f"{folder}: format {described.get('format')}, this program reads {FORMAT}"
            raise BackupError(msg)
        parts = {name: Part(**described["parts"][name]) for name in PARTS}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        msg = f"{folder}: cannot read the backup: {error}"
        raise BackupError(msg) from error
    return Backup(folder, described["created_at"], parts)


def verify_backup(folder: Path) -> Backup:
    """Read every file of a backup and compare it with its digest.

    Raises:
        BackupError: A file is missing or damaged.
    """
    backup = read_backup(folder)
    for name, expected in backup.parts.items():
        digest, count = hashlib.sha256(), 0
        for line in read_lines(folder, name):
            digest.update(line)
            count += 1
        if (count, digest.hexdigest()) != (expected.lines, expected.digest):
            msg = f"{folder}: {name} is damaged"
            raise BackupError(msg)
    return backup


def _write_part(
    path: Path, lines: Iterable[dict[str, Any]], progress: Callable[[int], None]
) -> Part:
    """Write lines to a file, and have it on disk."""
    digest, count = hashlib.sha256(), 0
    with path.open("wb") as raw:
        # Without a time in its head, so that equal backups are equal files.
        with gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as file:
            for count, fields in enumerate(lines, start=1):
                line = orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)
                digest.update(line)
                file.write(line + b"\n")
                if count % TELL_EVERY == 0:
                    progress(count)
        raw.flush()
        os.fsync(raw.fileno())
    progress(count)
    return Part(count, digest.hexdigest())


def read_lines(folder: Path, part: str) -> Iterator[bytes]:
    """The lines of a part.

    Raises:
        BackupError: It cannot be read.
    """
    path = path_of(folder, part)
    with _damage_named(path), gzip.open(path, "rb") as file:
        for line in file:
            yield line.rstrip(b"\n")


@contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, EOFError, zlib.error) as error:
        msg = f"{path}: cannot be read: {error}"
        raise BackupError(msg) from error
