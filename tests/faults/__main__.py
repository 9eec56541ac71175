"""The fault test over many seeds: `python -m tests.faults --seeds 1-20`.

Each seed's outcome is kept in a file of its own as soon as it is there; seeds that have one are not
run again, so that an interrupted campaign goes on where it was. At the end the table by fault is
printed.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.faults.campaign import Campaign, run_campaign
from tests.faults.fault_table import fault_table, write_table
from tests.faults.outcome import Outcome
from tests.running_service import run_service

if TYPE_CHECKING:
    from collections.abc import Sequence


def parse_seeds(text: str) -> list[int]:
    """Seeds as on the command line.

    >>> parse_seeds("1-3,7")
    [1, 2, 3, 7]
    """
    seeds = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        seeds += range(int(first), int(last or first) + 1)
    return seeds


def arguments() -> argparse.Namespace:
    """What is asked for."""
    parser = argparse.ArgumentParser(
        "python -m tests.faults",
        description="Runs the fault test seed by seed, and prints the table by fault.",
    )
    parser.add_argument("--seeds", type=parse_seeds, default="1-20", help="such as 1-20 or 1,5,9")
    parser.add_argument("--seconds", type=float, default=400, help="of faults, for each seed")
    parser.add_argument(
        "--into", type=Path, default=Path("build/faults"), help="folder of the outcomes"
    )
    parser.add_argument("--table", action="store_true", help="run nothing, print the table alone")
    parser.add_argument(
        "--write", action="store_true", help="put the table into docs/reliability.md"
    )
    return parser.parse_args()


def run_seeds(seeds: Sequence[int], seconds: float, folder: Path) -> None:
    """Run what has no outcome yet, all on one stack."""
    with (
        tempfile.TemporaryDirectory(prefix="faults-") as data_dir,
        run_service(Path(data_dir)) as service,
    ):
        for number, seed in enumerate(seeds, start=1):
            began = time.monotonic()
            outcome = run_campaign(service, Campaign(seed, seconds, 1))
            outcome.write(outcome_file(folder, seed))
            sys.stderr.write(
                f"seed {seed} ({number} of {len(seeds)}): {len(outcome.costs)} faults, "
                f"{outcome.events} events, {outcome.failed or 'every check held'}, "
                f"{time.monotonic() - began:.0f} s\n"
            )


def outcome_file(folder: Path, seed: int) -> Path:
    """Where a seed's outcome is kept."""
    return folder / f"seed-{seed:03}.json"


def main() -> int:
    """Entry point; 1 when a check failed."""
    asked = arguments()
    for name in [name for name in os.environ if name.startswith("INTEREST_GRAPH_")]:
        del os.environ[name]  # a developer's own settings are not the test's
    left = [seed for seed in asked.seeds if not outcome_file(asked.into, seed).exists()]
    if left and not asked.table:
        run_seeds(left, asked.seconds, asked.into)
    files = [file for seed in asked.seeds if (file := outcome_file(asked.into, seed)).exists()]
    outcomes = [Outcome.read(file) for file in files]
    if not outcomes:
        sys.stderr.write(f"no outcomes in {asked.into}\n")
        return 1
    text = fault_table(outcomes)
    sys.stdout.write(f"{text}\n")
    if asked.write:
        write_table(text)
    return int(any(outcome.failed for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
