"""Names that no two things share."""

from __future__ import annotations

import os

from interest_graph.names import random_bytes


def test_no_two_are_equal_in_forked_processes_either() -> None:
    """A child goes on with numbers of its own, not with those that its parent will have."""
    reading, writing = os.pipe()
    if not (child := os.fork()):
        os.write(writing, random_bytes(8))
        os._exit(0)
    os.waitpid(child, 0)
    found = {os.read(reading, 8), random_bytes(8), random_bytes(8)}
    os.close(reading)
    os.close(writing)
    assert len(found) == 3
