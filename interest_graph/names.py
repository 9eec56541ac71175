"""Names that no two things share, made without asking the kernel. They are no secrets."""

from __future__ import annotations

import os
from random import Random

_numbers = Random()
os.register_at_fork(after_in_child=_numbers.seed)  # or two processes would give the same names


def random_bytes(count: int) -> bytes:
    """Random bytes, of which whoever has seen many may guess the next: not for keys.

    Args:
        count: How many.

    >>> len(random_bytes(6))
    6
    """
    return _numbers.randbytes(count)
