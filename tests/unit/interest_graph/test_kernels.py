"""Kernels and what is kept of them on disk."""

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import numpy as np
from interest_graph.top_k import top_k
print(top_k(np.array([1, 3, 2], np.float32), 2).tolist())
"""


def run_with(folder: Path) -> subprocess.CompletedProcess[str]:
    """A process whose kernels are kept in a folder."""
    return subprocess.run(  # noqa: S603
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "NUMBA_CACHE_DIR": str(folder), "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )


def test_what_cannot_be_read_is_compiled_again(tmp_path: Path) -> None:
    """A kernel is kept; one whose file is damaged works all the same, and the log says so."""
    first = run_with(tmp_path)
    kept = list(tmp_path.rglob("*.nbi"))
    assert (first.stdout, first.stderr) == ("[1, 2]\n", "")
    assert kept
    for one in kept:
        one.write_bytes(b"\x80")
    second = run_with(tmp_path)
    assert second.stdout.splitlines()[-1] == "[1, 2]"
    assert "kernel_not_kept" in second.stdout + second.stderr
