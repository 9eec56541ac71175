"""Hyperparameters that tuning found, committed with the code: one file a data set and protocol."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

FOLDER = Path(__file__).parent / "hyperparameters"
Tuned = dict[str, dict[str, Any]]


def tuned_path(data: str, protocol: str, folder: Path = FOLDER) -> Path:
    """The file of a data set and protocol, whether it is there or not."""
    return folder / f"{data}.{protocol}.json"


def read_tuned(data: str, protocol: str, folder: Path = FOLDER) -> Tuned:
    """For each contender that was tuned its `hyperparameters` and what the fit `found`.

    Raises:
        ValueError: The file is there and does not have that form.
    """
    path = tuned_path(data, protocol, folder)
    if not path.is_file():
        return {}
    try:
        tuned = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        msg = f"{path}: is not JSON: {error}"
        raise ValueError(msg) from error
    if not isinstance(tuned, dict) or not all(
        isinstance(one, dict) and isinstance(one.get("hyperparameters"), dict)
        for one in tuned.values()
    ):
        msg = f"{path}: must hold an object with `hyperparameters` for each contender"
        raise ValueError(msg)
    return tuned
