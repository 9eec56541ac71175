"""How kernels are compiled: loops over arrays that are too small for NumPy.

NumPy takes a microsecond for a step, however few numbers it is about, and several when the process
was just woken; a list needed some three hundred steps. A kernel is a loop in Python that Numba
compiles once and keeps on disk ([ADR 0025](../docs/adr/0025-kernels.md)). Kernels are in
`interest_kernels.py`, `score_kernels.py`, `quantised_kernels.py` and `top_k.py`.

What is on disk is good until the kernel's own file changes. So a kernel uses no constant of another
file and calls no kernel of one, and after a change of this file what is on disk has to go
(`make clean`). Where it cannot be read or written every process compiles for itself. Nothing checks
the bounds of a kernel's arrays: whoever lets arrays in from a file or the network checks them there
(`ItemMatrix`, `InterestEncoder`, `columns`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ParamSpec, TypeVar, cast

import numba
import structlog

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")

_log = structlog.get_logger(__name__)

ANY_ORDER = frozenset({"reassoc", "contract", "nsz"})
"""Leaves to the compiler in which order numbers are added: several at once, rounded otherwise."""


def kernel(
    signature: str, *, any_order: bool = False
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Compile a function when it is defined, for arguments of these types alone.

    Args:
        signature: As Numba writes types; other arguments are a TypeError.
        any_order: Whether sums may be added in any order.
    """
    fastmath = set(ANY_ORDER) if any_order else False

    def compiled(function: Callable[P, R]) -> Callable[P, R]:
        try:
            found = numba.njit(signature, cache=True, fastmath=fastmath)(function)
        except Exception as error:  # noqa: BLE001 a full disk, a damaged file, no folder at all
            found = numba.njit(signature, fastmath=fastmath)(function)
            _log.warning("kernel_not_kept", kernel=function.__qualname__, error=repr(error))
        return cast("Callable[P, R]", found)

    return compiled
