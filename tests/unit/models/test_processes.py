"""Training by two processes is training by one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cli.local_stack.ports import free_port
from models.processes import ALONE
from tests.unit.models.fit_by_processes import fit

pytestmark = [pytest.mark.slow, pytest.mark.timeout(200)]
HERE = Path(__file__).parent
TOLERANCE = 1e-4


def by_two(folder: Path, *words: str) -> list[dict[str, Any]]:
    """What two processes under torchrun have at the end."""
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"),
        *("--master-addr", "127.0.0.1", "--master-port", str(free_port())),
        *(str(HERE / "fit_by_processes.py"), str(folder / "fit"), *words),
    ]
    root = HERE.parents[2]
    paths = os.pathsep.join([str(root), str(HERE)])
    subprocess.run(  # noqa: S603 our own arguments
        command, check=True, env=os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    )
    return [torch.load(folder / f"fit-{rank}", weights_only=True) for rank in range(2)]


def assert_near(one: dict[str, Any], other: dict[str, Any], tolerance: float) -> None:
    """Every weight, embedding, edge and loss."""
    assert one["weights"].keys() == other["weights"].keys()
    for name, weight in one["weights"].items():
        np.testing.assert_allclose(weight, other["weights"][name], atol=tolerance, err_msg=name)
    for name in ("embeddings", "edges", "losses"):
        np.testing.assert_allclose(one[name], other[name], atol=tolerance, err_msg=name)


def test_two_processes_make_the_model_that_one_makes(tmp_path: Path) -> None:
    """With nothing left out at random, every number is the same but for rounding."""
    first, second = by_two(tmp_path)
    assert_near(first, second, 0.0)
    assert_near(first, fit(ALONE, leave_out=False), TOLERANCE)


def test_the_processes_stay_equal_whatever_is_left_out(tmp_path: Path) -> None:
    """Both leave out the same of the items, so that their models never part."""
    first, second = by_two(tmp_path, "--leave-out")
    assert_near(first, second, 0.0)
    alone = fit(ALONE, leave_out=True)
    np.testing.assert_allclose(first["losses"], alone["losses"], rtol=0.1)
