"""`python -m api …`: granian, whose processes are forked when the code they answer with is there.

What is imported and compiled before is in memory once, whatever number of processes there are.
"""

# ruff: noqa: F401 what is imported is what the processes share
from granian.cli import entrypoint

from interest_graph import explain, recommend
from interest_graph.garbage import spare_what_stays

from . import gateway

if __name__ == "__main__":
    spare_what_stays()
    entrypoint()  # type: ignore[no-untyped-call]
