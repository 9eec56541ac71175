"""The picture of an evaluation: the main metric of every model with its interval."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt

from models.evaluation.summary import OURS

from .report import SHOWN

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from models.evaluation.summary import Summary

OURS_COLOUR, OTHERS_COLOUR = "tab:orange", "tab:blue"


def write_plot(path: Path, title: str, summaries: Sequence[Summary]) -> None:
    """Draw one panel a test; the file's ending says the format.

    Args:
        path: Where.
        title: Above all panels.
        summaries: What.
    """
    lines = max(len(summary.lines) for summary in summaries)
    size = (1 + 5 * len(summaries), 1.5 + 0.35 * lines)
    figure, axes = plt.subplots(1, len(summaries), figsize=size, squeeze=False)
    for axis, summary in zip(axes[0], summaries, strict=True):
        for place, line in enumerate(reversed(summary.lines)):
            interval = line.intervals[summary.main_metric]
            axis.errorbar(
                interval.value,
                place,
                xerr=[[interval.value - interval.low], [interval.high - interval.value]],
                fmt="o",
                capsize=3,
                color=OURS_COLOUR if line.model.startswith(OURS) else OTHERS_COLOUR,
            )
        axis.set_yticks(range(len(summary.lines)), [line.model for line in reversed(summary.lines)])
        axis.set_xlabel(f"{SHOWN[summary.main_metric]}, 95 % of resampled users")
        axis.set_title(f"{summary.test} ({summary.cases:,} cases)")
        axis.grid(visible=True, axis="x", alpha=0.3)
    figure.suptitle(title)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    plt.close(figure)
