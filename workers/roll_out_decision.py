"""Whether a trained model goes into service: only when it is better, judged fairly."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson

from interest_graph.errors import CheckpointError

if TYPE_CHECKING:
    from pathlib import Path

MAIN_METRIC = "ndcg_at_10"
IN_SERVICE = "in_service"


def fair_baselines(
    trained: Path, baselines: dict[str, dict[str, float]], incumbent: Path | None
) -> dict[str, dict[str, float]]:
    """The baselines, with the model in service judged only on events it was not fitted on.

    A model is published after a refit on everything. One that was made after the new test events
    began has learned some of them by heart; then what its own test said of it counts instead.

    Args:
        trained: Directory of the new model.
        baselines: Metrics of each baseline on the new model's test events.
        incumbent: Directory of the model in service, if there is one.

    Raises:
        CheckpointError: A directory says nothing of how it was tested.
    """
    if incumbent is None:
        return baselines
    try:
        made = datetime.fromisoformat(_read(incumbent / "config.json")["created_at"]).timestamp()
        if made <= _read(trained / "metrics.json")["test_from"]:
            return baselines
        return baselines | {IN_SERVICE: _read(incumbent / "metrics.json")["test"]}
    except (KeyError, TypeError, ValueError) as error:
        msg = f"{incumbent}: cannot tell how it was tested: {error}"
        raise CheckpointError(msg) from error


def decide(metrics: dict[str, float], baselines: dict[str, dict[str, float]]) -> tuple[bool, str]:
    """Whether a model beats popularity and the model in service, and what to say of it.

    >>> decide({"ndcg_at_10": 0.3}, {"popularity": {"ndcg_at_10": 0.2}})
    (True, 'ndcg_at_10 0.3000 beats what was there')
    """
    ours = metrics.get(MAIN_METRIC, 0.0)
    for name in ("popularity", IN_SERVICE):
        theirs = baselines.get(name, {}).get(MAIN_METRIC)
        if theirs is not None and ours <= theirs:
            return False, f"{MAIN_METRIC} {ours:.4f} does not beat {name} ({theirs:.4f})"
    return True, f"{MAIN_METRIC} {ours:.4f} beats what was there"


def _read(path: Path) -> dict[str, Any]:
    """A JSON file of a published directory."""
    try:
        content: dict[str, Any] = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        msg = f"{path}: cannot be read: {error}"
        raise CheckpointError(msg) from error
    return content
