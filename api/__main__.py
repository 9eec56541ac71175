"""`python -m api …`: granian, whose processes are forked when the code they answer with is there.

What is imported and compiled before is in memory once, whatever number of processes there are.
"""

# ruff: noqa: F401 the first import may be the last thing done; others are what is shared
from .huge_pages import start_with_huge_pages

if __name__ == "__main__":
    start_with_huge_pages()

from granian.cli import entrypoint

from interest_graph import explain, recommend
from interest_graph.garbage import spare_what_stays

from . import gateway

if __name__ == "__main__":
    spare_what_stays()
    entrypoint()  # type: ignore[no-untyped-call]
