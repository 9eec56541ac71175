"""`demo`: everything from nothing, on real purchases."""

import os
import signal
import time
from typing import Annotated

import typer

from .options import DataDir
from .output import note
from .progress import ProgressBars
from .stack_commands import stop_stack, wait_until_interrupted


def demo(
    once: Annotated[
        bool, typer.Option("--once", help="Stop by itself after the story (also: ONCE=1).")
    ] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="All 1.5 million purchases instead of 100,000.")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Start the stack, load real purchases, train, and watch one event change the next list.

    The data are The Complete Journey: a year of grocery purchases of 2,469 households. What an
    earlier start has loaded and trained is reused. Ctrl+C stops everything.

    Example: interest-graph demo --once
    """
    from .local_stack.paths import stack_paths

    paths = stack_paths(data_dir)
    # A script that ends the demo gets the same orderly stop as a person at the keyboard.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    began = time.monotonic()
    try:
        with ProgressBars(steps=True) as report:
            from .demo import prepare, tell_story

            settings, state = prepare(paths, report, everything=everything)
        ready_s = time.monotonic() - began
        tell_story(paths, settings, state)
        note(f"\nReady after {ready_s:.0f} s.")
        if not (once or os.environ.get("ONCE") == "1"):
            note("It stays up until you press Ctrl+C; the data stay for the next time.")
            wait_until_interrupted(paths)
    finally:
        stop_stack(paths)
