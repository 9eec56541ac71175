"""Bulk load: from an empty stack to a trained model in service, on The Complete Journey.

Usage: python -m benchmarks.bulk_load [--slice] [--json FILE]

What `interest-graph demo` does until its story begins: items and purchases are accepted as from
requests, ingest writes them into the graph, a model is trained (texts are encoded, then it is
compared with the baselines) and rolled out, and everything stale is refreshed.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import orjson

from cli.demo import prepare
from cli.local_stack.paths import StackPaths
from cli.local_stack.stack import bring_down

from .report import Report
from .shops import note, wait_until_quiet
from .target import target

TRAINING = "Training: "
STEP_S = 15.0
SHOWN_S = 1.0
QUALITY = ("ndcg_at_10", "new_ndcg_at_10", "repeat_ndcg_at_10")


class Steps:
    """Hears how far the work is, and adds up how long each step of it takes."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._what = ""
        self._at = self._said = time.monotonic()

    def __call__(self, what: str, done: int = 0, total: int = 0) -> None:
        """A report of `cli.local_stack.report`; what went before a step's begin is the last one's.

        Args:
            what: The step.
            done: Units done so far.
            total: Units altogether.
        """
        now = time.monotonic()
        took = what if done else self._what
        self.seconds[took] = self.seconds.get(took, 0.0) + now - self._at
        self._what, self._at = what, now
        if now - self._said >= STEP_S:
            self._said = now
            note(f"{what}: {done:,} of {total:,}")

    def total(self, *beginnings: str) -> float:
        """Seconds of the steps whose names begin so."""
        return sum(took for what, took in self.seconds.items() if what.startswith(beginnings))


def measure(folder: Path, *, everything: bool) -> Report:
    """Load, train and refresh a stack that is thrown away.

    Raises:
        RuntimeError: The graph does not hold every purchase once.
    """
    paths = StackPaths(folder)
    steps, began = Steps(), time.monotonic()
    try:
        settings, _ = prepare(paths, steps, everything=everything)
        refreshing = time.monotonic()
        wait_until_quiet(settings)
        ended = time.monotonic()
        judged = _judged(settings.models_dir)
        with target(paths.data_dir) as stack:
            report = Report("Bulk load", stack.described)
            purchases = stack.events
    finally:
        bring_down(paths)
    loading = f"Loading {purchases:,} purchases"
    if loading not in steps.seconds:
        message = f"the graph holds {purchases:,} purchases, which is not what was loaded"
        raise RuntimeError(message)
    loaded_s = steps.total(loading, "Waiting for the graph", "Writing them")
    parts = {
        "items accepted": steps.total("Loading") - steps.total(loading),
        "purchases accepted, and in the graph": loaded_s,
        "trained, compared and rolled out": steps.total(TRAINING),
        **{
            f"of it: {what.removeprefix(TRAINING)}": took
            for what, took in steps.seconds.items()
            if what.startswith(TRAINING) and took >= SHOWN_S
        },
        "everything refreshed": steps.total("Refreshing") + ended - refreshing,
        "all of it, with the start of the stack": ended - began,
    }
    for what, took in parts.items():
        rate = round(purchases / took) if took is loaded_s else None
        report.add(what=what, seconds=round(took), purchases_per_s=rate)
    for name, metrics in judged.items():
        report.add(what=f"its test: {name}", **{key: round(metrics[key], 4) for key in QUALITY})
    return report


def _judged(models_dir: Path) -> dict[str, dict[str, float]]:
    """What the model's own test said of it and of the baselines, by name."""
    (file,) = models_dir.glob("*/metrics.json")
    metrics = orjson.loads(file.read_bytes())
    return {"the model": metrics["test"], **metrics["baselines"]}


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slice", action="store_true", help="the demo's 100,000 purchases")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bulk-load-") as folder:
        report = measure(Path(folder), everything=not options.slice)
    report.show(options.json)


if __name__ == "__main__":
    main()
