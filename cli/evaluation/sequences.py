"""A folder with `sequences.txt`: each line a user and then items, oldest first.

There is only an order. The time of an event is its position in the user's sequence, in days.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from interest_graph.interaction_graph import DAY_S
from models.evaluation.data_set import DataSet

from .build import EventColumns, ItemFacts, build_graph, has_repeats
from .errors import refuse
from .items_file import read_items

if TYPE_CHECKING:
    from pathlib import Path

SEQUENCES = "sequences.txt"
ITEMS = "items.jsonl"


def read_sequences(folder: Path) -> DataSet:
    """The data set in a folder; `items.jsonl` may be missing.

    Raises:
        InvalidInputError: A line is no sequence.
    """
    users, sequences = read_lines(folder / SEQUENCES)
    known = read_items(folder / ITEMS) if (folder / ITEMS).is_file() else {}
    names = {name for sequence in sequences for name in sequence}
    missing = sorted(names - known.keys(), key=lambda name: (len(name), name))
    items = [*known.values(), *(ItemFacts(name) for name in missing)]
    row = {item.item_id: place for place, item in enumerate(items)}
    lengths = [len(sequence) for sequence in sequences]
    positions = [np.arange(length) for length in lengths]
    events = EventColumns(
        np.repeat(np.arange(len(users)), lengths),
        np.array([row[name] for sequence in sequences for name in sequence], np.int64),
        np.concatenate([*positions, np.zeros(0)]) * DAY_S,
    )
    graph = build_graph(items, users, events, {"interaction": 1.0})
    protocols = ("leave_one_out", "cold_items", "cold_users")
    return DataSet(folder.name, graph, protocols, repeats=has_repeats(graph))


def read_lines(path: Path) -> tuple[list[str], list[list[str]]]:
    """Users and their items from lines of names with blanks between them.

    Raises:
        InvalidInputError: The file is missing, or a user stands in two lines.
    """
    if not path.is_file():
        refuse(f"{path} is missing")
    words = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
    words = [line for line in words if line]
    users = [line[0] for line in words]
    if len(set(users)) < len(users):
        refuse(f"{path}: a user stands in more than one line")
    return users, [line[1:] for line in words]
