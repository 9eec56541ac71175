"""Finds a data set by name or folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .errors import refuse

if TYPE_CHECKING:
    from collections.abc import Callable

    from models.evaluation.data_set import DataSet

IN_PACKAGES = ("movielens-100k", "complete-journey", "complete-journey-all")
IN_FOLDERS = ("beauty", "gowalla", "online_retail", "retailrocket")


def find_data_set(name_or_folder: str, root: Path | None = None) -> DataSet:
    """Read the data set of that name, or the one in that folder.

    Args:
        name_or_folder: One of the names, or a folder; its files say what it is.
        root: The folder that the folders of named data sets lie in.

    Raises:
        InvalidInputError: There is no such data set, or something in it is missing.
    """
    name = name_or_folder.replace("-", "_")
    if name_or_folder == "movielens-100k":
        from .movielens import fetch_movielens, read_movielens

        return read_movielens(fetch_movielens())
    if name_or_folder in {"complete-journey", "complete-journey-all"}:
        from .journey import ALL, read_journey

        return read_journey(everything=name_or_folder == ALL)
    if name in IN_FOLDERS and not Path(name_or_folder).is_dir():
        if root is None:
            refuse(
                f"{name_or_folder} lies in a folder: name the one above it by --data-root or "
                "INTEREST_GRAPH_DATA, or the folder itself by --data"
            )
        return _read_folder(root / name)
    return _read_folder(Path(name_or_folder))


def _read_folder(folder: Path) -> DataSet:
    """The data set in a folder, by the files that are there."""
    if not folder.is_dir():
        names = ", ".join((*IN_PACKAGES, *IN_FOLDERS))
        refuse(f"{folder} is neither a folder nor one of {names}")
    files = {path.name for path in folder.iterdir()}
    fitting = [reader for needed, reader in _readers() if needed <= files]
    if not fitting:
        refuse(f"{folder} holds no data set: it needs sequences.txt, events.parquet or events.csv")
    return fitting[0](folder)


def _readers() -> list[tuple[set[str], Callable[[Path], DataSet]]]:
    """Who reads a folder with which files; the special ones first."""
    from .events import read_events
    from .gowalla import read_gowalla
    from .movielens import read_movielens
    from .online_retail import read_online_retail
    from .sequences import read_sequences

    return [
        ({"sequences.txt"}, read_sequences),
        ({"train.txt", "test.txt"}, read_gowalla),
        ({"ml-100k.inter", "ml-100k.item"}, read_movielens),
        ({"events.parquet", "items.csv"}, read_online_retail),
        ({"events.parquet"}, read_events),
        ({"events.csv"}, _read_events_csv),
    ]


def _read_events_csv(folder: Path) -> DataSet:
    """RetailRocket by its name, anyone's events otherwise."""
    from .events import read_events
    from .retailrocket import read_retailrocket

    return read_retailrocket(folder) if folder.name == "retailrocket" else read_events(folder)
