"""The Neo4j driver without data frames."""

import subprocess
import sys

SCRIPT = """
import sys
import {module}
heavy = [name for name in ("pandas", "pyarrow", "torch") if name in sys.modules]
assert not heavy, heavy
import neo4j, numpy, pyarrow
assert pyarrow.array([1]).to_pylist() == [1]
"""


def test_the_api_and_ingest_load_no_data_frames() -> None:
    """Neither process holds pandas, pyarrow or torch, and whoever wants them can have them."""
    for module in ("api.gateway", "workers.ingest"):
        script = SCRIPT.format(module=module)
        done = subprocess.run(  # noqa: S603 our own arguments
            [sys.executable, "-c", script], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
