"""Memory that is kept while models are trained."""

import platform
import resource

import numpy as np
import psutil
import pytest

from models.allocator import freed_memory_kept

MIB = 2**20
SIZE = 64 * MIB
HUGE_PAGE = 2 * MIB


def faults_of_arrays(times: int) -> int:
    """Page faults of arrays that are made and freed one after the other."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        np.full(SIZE, 1, np.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="nothing is kept without glibc")
def test_big_arrays_are_not_new_pages_every_time_and_given_back_at_the_end() -> None:
    """Of ten arrays one after the other, only the first costs page faults; then it is gone."""
    held = psutil.Process().memory_info().rss
    with freed_memory_kept():
        faults_of_arrays(1)
        assert psutil.Process().memory_info().rss > held + SIZE // 2
        assert faults_of_arrays(9) < SIZE // HUGE_PAGE
    assert psutil.Process().memory_info().rss < held + SIZE // 2
