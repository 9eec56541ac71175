"""What a soak and the memory benchmark conclude from what they saw."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from benchmarks.memory import store_bytes_of_event
from benchmarks.pss import MB, mapped_mb, pss_mb
from benchmarks.soak import growth_rows

if TYPE_CHECKING:
    from pathlib import Path


def test_what_grows_has_a_slope_and_what_does_not_has_none() -> None:
    """A leak of 2 MB a minute is seen as one."""
    times = [place / 6 for place in range(61)]
    leak = [100 + 2 * minute for minute in times]
    leaking, level = growth_rows(times, {"leak": leak, "level": [80.0] * 61})
    assert leaking == {
        "what": "leak",
        "first_third": 103.17,
        "last_third": 116.83,
        "highest": 120.0,
        "slope_per_minute": 2.0,
        "standard_error": 0.0,
        "slope_of_the_last_half": 2.0,
        "standard_error_of_that": 0.0,
    }
    assert (level["first_third"], level["last_third"]) == (80.0, 80.0)
    assert (level["slope_per_minute"], level["standard_error"]) == (0, 0)


def test_what_stops_growing_has_a_slope_in_the_first_half_alone() -> None:
    """What is filled once is told from what grows for ever."""
    filled = [min(minute, 15.0) for minute in range(31)]
    (row,) = growth_rows([float(minute) for minute in range(31)], {"filled": filled})
    assert row["slope_per_minute"] > 0
    assert (row["slope_of_the_last_half"], row["standard_error_of_that"]) == (0, 0)


def test_noise_is_within_its_standard_error() -> None:
    """A slope of what goes up and down is told with how wrong it may be."""
    noise = [100.0, 130.0] * 30
    (row,) = growth_rows([float(minute) for minute in range(60)], {"noise": noise})
    assert 0 < abs(row["slope_per_minute"]) < 2 * row["standard_error"]


def test_one_sample_has_no_slope() -> None:
    """A soak that was cut short still says what it saw."""
    assert growth_rows([0.0], {"x": [3.0]})[0]["slope_per_minute"] == 0


def test_what_an_event_takes_on_disk_is_a_difference_of_two_graphs(tmp_path: Path) -> None:
    """What every graph takes counts for no event; one graph alone says nothing."""
    for count, size in ((100, 5000 + 100 * 7), (1000, 5000 + 1000 * 7)):
        store = tmp_path / f"{count}-0" / "neo4j" / "data" / "databases" / "neo4j"
        store.mkdir(parents=True)
        (store / "store").write_bytes(bytes(size))
    assert store_bytes_of_event(tmp_path.iterdir()) == 7
    assert store_bytes_of_event(list(tmp_path.iterdir())[:1]) is None


@pytest.mark.parametrize(
    ("held", "mapped"),
    [("mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)", 32), ("opened.read()", 0)],
)
def test_what_is_mapped_is_told_from_what_is_allocated(
    held: str, mapped: int, tmp_path: Path
) -> None:
    """A process that reads its model's pages grows by them, and that is no leak."""
    file = tmp_path / "items"
    file.write_bytes(bytes(32 * MB))
    code = (
        f"import mmap, sys; opened = open({str(file)!r}, 'rb'); held = {held};"
        "sum(held[::mmap.PAGESIZE]); print(flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-S", "-c", code]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as process:  # noqa: S603 our own
        assert process.stdout is not None
        process.stdout.readline()
        assert mapped <= mapped_mb(process.pid) < mapped + 16
        assert pss_mb(process.pid) >= 32
        process.communicate()
    assert mapped_mb(process.pid) == 0
