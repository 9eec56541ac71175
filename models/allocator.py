"""How the C library keeps memory that was freed, while models are trained and judged."""

from __future__ import annotations

import ctypes
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# Parameters of glibc's mallopt(3), what they are while memory is kept, and what they are otherwise.
TRIM_THRESHOLD, TOP_PAD, MMAP_MAX = -1, -2, -4
KEPT = {MMAP_MAX: 0, TRIM_THRESHOLD: -1, TOP_PAD: 256 * 2**20}
OTHERWISE = {MMAP_MAX: 65_536, TRIM_THRESHOLD: 128 * 1024, TOP_PAD: 128 * 1024}


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Keep memory that is freed meanwhile, and give it back to the system at the end.

    glibc gives big arrays back when they are freed, and the next ones of the same size are new
    pages: their page faults cost a step of training more than its arithmetic. Without glibc nothing
    is changed.
    """
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallopt"):
        yield
        return
    try:
        for parameter, value in KEPT.items():
            library.mallopt(parameter, value)
        yield
    finally:
        for parameter, value in OTHERWISE.items():
            library.mallopt(parameter, value)
        library.malloc_trim(0)
