"""MovieLens-100k: all ratings as events, from the files that the package `recbole` brings.

The package is fetched once, without what it depends on, and kept beside other downloads.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import polars as pl

from ..local_stack.paths import cache_dir
from .build import ItemFacts
from .errors import refuse
from .events import tabular_data_set

if TYPE_CHECKING:
    from models.evaluation.data_set import DataSet

NAME = "movielens-100k"
PACKAGE = "recbole==1.2.1"
INSIDE = Path("recbole") / "dataset_example" / "ml-100k"
EVENTS, ITEMS = "ml-100k.inter", "ml-100k.item"
PROTOCOLS = ("temporal", "cold_items", "cold_users", "prequential")
FETCH_S = 300


def read_movielens(folder: Path) -> DataSet:
    """The data set in a folder that holds `ml-100k.inter` and `ml-100k.item`.

    Titles are the text, genres the categories. Whatever the rating, it is an event.

    Raises:
        InvalidInputError: A file is missing or lacks columns.
    """
    items = _atomic(folder / ITEMS)
    facts = {
        row["item_id"]: ItemFacts(
            row["item_id"],
            row["movie_title"] or "",
            tuple((genre,) for genre in (row["class"] or "").split()),
        )
        for row in items.iter_rows(named=True)
    }
    rows = _atomic(folder / EVENTS).select(
        user="user_id",
        item="item_id",
        time=pl.col("timestamp").cast(pl.Float64),
        event_type=pl.lit("rate"),
    )
    return tabular_data_set(
        NAME, rows, facts, {"rate": 1.0}, repeats=False, protocols=("leave_one_out", *PROTOCOLS)
    )


def fetch_movielens() -> Path:
    """The folder with the files, fetched when it is not there.

    Raises:
        InvalidInputError: The package could not be fetched.
    """
    kept = cache_dir() / PACKAGE.replace("==", "-")
    if (kept / INSIDE / EVENTS).is_file():
        return kept / INSIDE
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent, prefix="fetch-") as scratch:
        _install(Path(scratch))
        (kept / INSIDE).parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(Path(scratch) / INSIDE, kept / INSIDE, dirs_exist_ok=True)
    return kept / INSIDE


def _install(target: Path) -> None:
    """Unpack the package into a folder, with uv or else with pip."""
    python = sys.executable
    uv = shutil.which("uv") or str(Path(python).parent.parent / "tools" / "bin" / "uv")
    install = ["install", "--quiet", "--no-deps", "--target", str(target), PACKAGE]
    commands = [[uv, "pip", *install[:1], "--python", python, *install[1:]]]
    commands += [[python, "-m", "pip", *install]]
    said = []
    for command in commands:
        try:
            subprocess.run(  # noqa: S603 arguments are ours
                command, check=True, capture_output=True, text=True, timeout=FETCH_S
            )
        except (OSError, subprocess.SubprocessError) as error:
            said.append(getattr(error, "stderr", "") or str(error))
        else:
            return
    _cannot_fetch(said[0])


def _cannot_fetch(reason: str) -> NoReturn:
    last = reason.strip().splitlines()[-1] if reason.strip() else "no reason given"
    refuse(
        f"{NAME}: the package {PACKAGE} could not be fetched ({last}); unpack its wheel elsewhere "
        f"and name the folder {INSIDE} by --data"
    )


def _atomic(path: Path) -> pl.DataFrame:
    """RecBole's atomic file: tabs, and headings of `name:type`; everything as text."""
    if not path.is_file():
        refuse(f"{path} is missing")
    frame = pl.read_csv(path, separator="\t", infer_schema=False, quote_char=None)
    return frame.rename(lambda heading: heading.partition(":")[0])
