"""Every benchmark, one after the other: `python -m benchmarks`, which is `make bench`.

Each outcome is kept in a file of its own as soon as it is there; benchmarks that have one are not
run again, so that an interrupted run goes on where it was. At the end the figures go into
`docs/performance.md`, those of a quick run to the terminal alone.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .figures import machines, section
from .page_section import write_section
from .peer import add_peer_options, address, peer_options
from .plan import STEPS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .plan import Step

PAGE = Path(__file__).resolve().parents[1] / "docs" / "performance.md"
NAMES = [step.name for step in STEPS]
INTERRUPTED = 130


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """What is asked for."""
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes; the page stays as it is")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES, help="leave out others")
    parser.add_argument(
        "--into", type=Path, help="folder of the outcomes (build/bench, build/bench-quick)"
    )
    parser.add_argument("--fresh", action="store_true", help="forget outcomes that are there")
    parser.add_argument("--table", action="store_true", help="run nothing, write what is there")
    add_peer_options(parser)
    asked = parser.parse_args(words)
    if not asked.peer_url and (asked.peer_key or asked.peer_loaded):
        parser.error("--peer-key and --peer-loaded say nothing without --peer-url")
    asked.into = asked.into or Path("build", "bench-quick" if asked.quick else "bench")
    return asked


def run(steps: Sequence[Step], asked: argparse.Namespace) -> list[str]:
    """Run what has no outcome yet; returns the names of those that failed."""
    asked.into.mkdir(parents=True, exist_ok=True)
    failed = []
    for number, step in enumerate(steps, start=1):
        place = f"{step.name} ({number} of {len(steps)})"
        file = outcome_file(asked.into, step)
        if asked.fresh:
            file.unlink(missing_ok=True)
        if file.exists() and not lacks_peer(file, step, asked.peer_url):
            note(f"{place}: is there already, in {file}")
            continue
        note(place if asked.quick else f"{place}: takes about {step.minutes} minutes")
        began = time.monotonic()
        done = run_one(step, file, asked)
        note(f"{place}: {'done' if done else 'FAILED'} after {time.monotonic() - began:.0f} s")
        if not done:
            failed.append(step.name)
    return failed


def run_one(step: Step, file: Path, asked: argparse.Namespace) -> bool:
    """Run one benchmark as a process; its outcome is there whole or not at all."""
    part = file.with_suffix(".part")
    words = step.arguments(quick=asked.quick, peer=peer_options(asked))
    command = [sys.executable, "-m", *words, "--json", str(part)]
    process = subprocess.Popen(command, process_group=0)  # noqa: S603 our own arguments
    try:
        code = process.wait()
    except KeyboardInterrupt:
        process.send_signal(signal.SIGINT)  # once, so that it can stop what it started
        process.wait()
        raise
    if code == 0 and part.exists():
        part.rename(file)
        return True
    return False


def outcome_file(folder: Path, step: Step) -> Path:
    """Where a benchmark's outcome is kept."""
    return folder / f"{step.name}.json"


def lacks_peer(file: Path, step: Step, peer_url: str | None) -> bool:
    """Whether an outcome was measured without the peer that is asked for."""
    if not step.peer or peer_url is None:
        return False
    measured: str = json.loads(file.read_text(encoding="utf-8"))["setup"]["peer"]
    return not measured.startswith(f"{address(peer_url)},")


def note(text: str) -> None:
    """Say how far it is."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")


def show(outcomes: dict[str, dict[str, Any]], *, write: bool) -> None:
    """Put the figures into the page, or print them."""
    texts = {"machine": machines(list(outcomes.values()))}
    texts |= {name: section(outcome) for name, outcome in outcomes.items()}
    for name, text in texts.items():
        if write:
            write_section(PAGE, name, text)
        else:
            sys.stdout.write(f"## {name}\n\n{text}\n\n")
    if write:
        note(f"{len(outcomes)} sections of {PAGE} are written")


def main() -> int:
    """Entry point; 1 when a benchmark failed, or nothing is there."""
    asked = arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    for name in [name for name in os.environ if name.startswith("INTEREST_GRAPH_")]:
        if name != "INTEREST_GRAPH_DATA":
            del os.environ[name]  # a developer's own settings are not what is measured
    steps = [step for step in STEPS if step.name in asked.only]
    try:
        failed = [] if asked.table else run(steps, asked)
    except KeyboardInterrupt:
        note(f"interrupted; what is done is kept in {asked.into}, and the next run goes on there")
        return INTERRUPTED
    files = {step.name: outcome_file(asked.into, step) for step in STEPS}
    outcomes = {name: json.loads(file.read_text()) for name, file in files.items() if file.exists()}
    if outcomes:
        show(outcomes, write=not asked.quick)
    if failed:
        note(f"failed: {', '.join(failed)}; what went wrong stands above; run again for these")
    return int(bool(failed) or not outcomes)


if __name__ == "__main__":
    sys.exit(main())
