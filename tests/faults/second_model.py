"""A second model to swap with: the first one under another version."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import orjson

from models.checkpoint import checksums

if TYPE_CHECKING:
    from pathlib import Path

SUFFIX = "b"


def copy_model(directory: Path) -> Path:
    """Publish a copy of a model under another version, and return its directory."""
    version = directory.name + SUFFIX
    target = directory.with_name(version)
    if target.is_dir():
        return target
    work = directory.with_name(f".copying-{version}")
    shutil.copytree(directory, work)
    config = orjson.loads((work / "config.json").read_bytes())
    (work / "config.json").write_bytes(orjson.dumps(config | {"model_version": version}))
    (work / "checksums.json").write_bytes(orjson.dumps(checksums(work)))
    return work.rename(target)
