"""Item matrices in huge pages: a list reads all of them, and looks up 512 times fewer pages."""

from __future__ import annotations

import os
import sys

VARIABLE = "GLIBC_TUNABLES"
TUNABLE = "glibc.malloc.hugetlb"


def start_with_huge_pages() -> None:
    """Start this program once more, with a C library that asks Linux for huge pages.

    The library reads its tunables before anything of the program runs, so that they have to be
    there when it starts. Nothing happens where they say something about huge pages already (0
    leaves them out), and elsewhere than on Linux; without them everything is only slower.
    """
    tunables = os.environ.get(VARIABLE, "")
    if TUNABLE in tunables or sys.platform != "linux":
        return
    os.environ[VARIABLE] = ":".join(filter(None, (tunables, f"{TUNABLE}=1")))
    os.execv(sys.executable, sys.orig_argv)  # noqa: S606 the same program again
