"""Search spaces: what of a contender is tuned, committed as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import optuna
import orjson

FILE = Path(__file__).parent / "search_spaces.json"
SearchSpace = Mapping[str, Mapping[str, Any]]


def read_search_spaces(path: Path = FILE) -> dict[str, dict[str, dict[str, Any]]]:
    """The search space of each contender: type, bounds or choices by hyperparameter."""
    spaces: dict[str, dict[str, dict[str, Any]]] = orjson.loads(path.read_bytes())
    return spaces


def suggest(trial: optuna.Trial, space: SearchSpace) -> dict[str, Any]:
    """Hyperparameters of a trial.

    Raises:
        ValueError: A type is none of int, float and categorical.
    """
    return {name: _suggest(trial, name, one) for name, one in space.items()}


def _suggest(trial: optuna.Trial, name: str, one: Mapping[str, Any]) -> Any:
    kind, log = one["type"], bool(one.get("log", False))
    if kind == "int":
        return trial.suggest_int(name, one["low"], one["high"], log=log)
    if kind == "float":
        return trial.suggest_float(name, one["low"], one["high"], log=log)
    if kind == "categorical":
        return trial.suggest_categorical(name, one["choices"])
    msg = f"{name}: a hyperparameter is int, float or categorical, not {kind}"
    raise ValueError(msg)


def distributions(space: SearchSpace) -> dict[str, optuna.distributions.BaseDistribution]:
    """What a study draws from, as `suggest` names it."""
    study = optuna.create_study()
    trial = study.ask()
    suggest(trial, space)
    return dict(trial.distributions)


def num_points(space: SearchSpace) -> int | None:
    """How many different trials there can be; None where a hyperparameter is a real number.

    >>> num_points({"a": {"type": "categorical", "choices": [1, 2]}, "b": {"type": "int",
    ...     "low": 1, "high": 3}})
    6
    """
    points = 1
    for one in space.values():
        if one["type"] == "float":
            return None
        points *= len(one.get("choices", ())) or one["high"] - one["low"] + 1
    return points


def points(space: SearchSpace) -> Iterator[dict[str, Any]]:
    """All points of a space without real numbers."""
    values = [one.get("choices") or range(one["low"], one["high"] + 1) for one in space.values()]
    return (dict(zip(space, point, strict=True)) for point in product(*values))
