"""Python's garbage collector in processes that run for long and must answer soon.

Reference counts free nearly everything here. What they cannot free is in cycles, and those are
found while they are young. To look through all that a process holds, modules, schemas and
remembered users, took an idle ingest worker 33 ms and API processes on full cores 140 to 362, in
which they answer nobody, and by default that happens whenever a quarter more of it has survived.
"""

from __future__ import annotations

import gc

YOUNG, MIDDLE, OLD = 10_000, 10, 100
"""New objects before the young are looked at; times that this goes before those who survived it are
looked at, and times that this goes before all are."""


def spare_what_stays() -> None:
    """Never look again at what is there by now, and at everything else seldom."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, OLD)
