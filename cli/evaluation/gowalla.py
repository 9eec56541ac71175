"""Gowalla, the LightGCN split: `train.txt` and `test.txt`, each line a user and then items.

There is no order, no time and no text: all events are of one moment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from models.evaluation.data_set import DataSet

from .build import EventColumns, ItemFacts, build_graph
from .sequences import read_lines

if TYPE_CHECKING:
    from pathlib import Path

TRAIN, TEST = "train.txt", "test.txt"


def read_gowalla(folder: Path) -> DataSet:
    """The data set in a folder.

    Raises:
        InvalidInputError: A file is missing or a line is wrong.
    """
    parts = [read_lines(folder / name) for name in (TRAIN, TEST)]
    user_names = dict.fromkeys(name for users, _ in parts for name in users)
    item_names = {name for _, lines in parts for line in lines for name in line}
    ordered = sorted(item_names, key=lambda name: (len(name), name))
    user_row = {name: row for row, name in enumerate(user_names)}
    item_row = {name: row for row, name in enumerate(ordered)}
    user, item, in_test = [], [], []
    for number, (users, lines) in enumerate(parts):
        for name, line in zip(users, lines, strict=True):
            user += [user_row[name]] * len(line)
            item += [item_row[one] for one in line]
            in_test += [bool(number)] * len(line)
    rows = np.array(user, np.int64)
    events = EventColumns(rows, np.array(item, np.int64), np.zeros(len(rows)))
    graph = build_graph(
        [ItemFacts(name) for name in ordered], list(user_names), events, {"interaction": 1.0}
    )
    moved = np.array(in_test, dtype=np.bool_)[np.argsort(rows, kind="stable")]
    return DataSet(folder.name, graph, ("given",), in_test=moved)
