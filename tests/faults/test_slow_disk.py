"""Redis is killed, or loses its power, on a slow disk: `always` loses no accepted event.

`everysec` does, and not only with the power: Redis holds back what it has answered already while
an fdatasync takes its time. `INTEREST_GRAPH_TEST_SLOW_DISK_DEATHS` changes how often it dies.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
from typing import TYPE_CHECKING

import pytest

from tests.faults.slow_disk import SlowRedis, compile_slow_disk

if TYPE_CHECKING:
    from pathlib import Path

DEATHS = int(os.environ.get("INTEREST_GRAPH_TEST_SLOW_DISK_DEATHS", "2"))
DELAY_MS = {"always": 50, "everysec": 3000}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("cc") is None, reason="a slow disk needs a C compiler"),
]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_slow_disk(tmp_path_factory.mktemp("slow-disk"))


@pytest.mark.parametrize("power_cut", [False, True], ids=["killed", "power-cut"])
@pytest.mark.parametrize(("durability", "loses"), [("always", False), ("everysec", True)])
def test_what_a_death_on_a_slow_disk_costs(
    library: Path, tmp_path: Path, durability: str, *, loses: bool, power_cut: bool
) -> None:
    """Accepted events: none are lost with `always`, some with `everysec`."""
    server = SlowRedis(tmp_path, library, DELAY_MS[durability], durability)
    chance = random.Random(1)
    deaths = [
        server.die(chance.uniform(1.5, 3.0), power_cut=power_cut, name=str(number))
        for number in range(DEATHS)
    ]
    accepted, lost = sum(one.acknowledged for one in deaths), sum(one.lost for one in deaths)
    sys.stderr.write(f"\n{durability}, power cut {power_cut}: {lost} of {accepted} lost\n")
    assert accepted > 0
    assert (lost > 0) is loses, deaths
