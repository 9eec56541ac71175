"""Item matrices in huge pages: a list reads all of them, and looks up 512 times fewer pages."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

VARIABLE = "GLIBC_TUNABLES"
TUNABLE = "glibc.malloc.hugetlb"
ASKED = "HUGE_PAGES_ASKED_FOR"
"""Set while the program starts once more: a system may take the tunables away from it."""


def start_with_huge_pages() -> None:
    """Start this program once more, with a C library that asks Linux for huge pages.

    The library reads its tunables before anything of the program runs, so that they have to be
    there when it starts. Nothing happens where they say something about huge pages already (0
    leaves them out), and elsewhere than on Linux; without them everything is only slower.
    """
    tunables = os.environ.get(VARIABLE, "")
    if os.environ.pop(ASKED, "") or TUNABLE in tunables or sys.platform != "linux":
        return
    os.environ[VARIABLE] = ":".join(filter(None, (tunables, f"{TUNABLE}=1")))
    os.environ[ASKED] = "1"
    with suppress(OSError):
        os.execv(sys.executable, sys.orig_argv)  # noqa: S606 the same program again
    del os.environ[ASKED]
