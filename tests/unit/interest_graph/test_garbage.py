"""What long-lived processes tell Python's garbage collector."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import gc
from interest_graph.garbage import spare_what_stays

class Knot:
    gone = 0

    def __init__(self):
        self.me = self

    def __del__(self):
        Knot.gone += 1

spare_what_stays()
full = gc.get_stats()[2]["collections"]
kept = []
for number in range(200_000):
    Knot()
    kept.append([number])  # survives, as remembered users do
print(gc.get_freeze_count() > 1000, gc.get_stats()[2]["collections"] - full, Knot.gone > 150_000)
"""


def test_what_survives_is_not_looked_through_and_cycles_are_found_young() -> None:
    """While 200,000 objects come to stay nothing is looked through whole, and no cycle is left."""
    done = subprocess.run(  # noqa: S603 our own arguments
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["True", "0", "True"]
