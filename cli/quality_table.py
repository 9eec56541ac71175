"""A model next to the baselines of its training, on the same test events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .output import table

if TYPE_CHECKING:
    from collections.abc import Mapping

    Metrics = Mapping[str, float]

METRICS = ("ndcg_at_10", "recall_at_20", "new_ndcg_at_10", "repeat_ndcg_at_10")


def show_quality(metrics: Metrics, baselines: Mapping[str, Metrics]) -> None:
    """One line for the model and one for each baseline.

    Args:
        metrics: Of the model, by name.
        baselines: The same of each baseline.
    """
    lines = {"this model": metrics, **baselines}
    names = [name for name in METRICS if name in metrics]
    table(
        ("", *names),
        [
            (line.replace("_", " "), *(f"{values.get(name, 0.0):.4f}" for name in names))
            for line, values in lines.items()
        ],
    )
