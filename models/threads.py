"""Work on several arrays at once: NumPy and SciPy let other threads run while they compute."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Given = TypeVar("Given")
Made = TypeVar("Made")


def in_threads(make: Callable[[Given], Made], given: Iterable[Given]) -> list[Made]:
    """What is made of each, in their order; as many at a time as torch has threads."""
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        return list(pool.map(make, given))
