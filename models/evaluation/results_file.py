"""Results as JSON: written after every run, read again when an evaluation goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from .results import ModelResult, Outcome, Run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from .metrics import Values
    from .results import Asked, Results

FORMAT = 1


def write_results(
    path: Path,
    results: Results,
    user_ids: Sequence[str],
    item_ids: Sequence[str],
    summary: dict[str, Any] | None = None,
) -> None:
    """Write everything; a crash leaves the old file or the new one.

    Args:
        path: Where.
        results: What.
        user_ids: Names of the users' rows.
        item_ids: Names of the items' rows.
        summary: Figures with their intervals, when all runs are done.
    """
    document = {
        "format": FORMAT,
        "setup": results.setup,
        "environment": results.environment,
        "data": results.counts,
        "tests": {name: _asked(asked, user_ids, item_ids) for name, asked in results.asked.items()},
        "models": {name: _model(model) for name, model in results.models.items()},
        "summary": summary,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")

    partial.write_bytes(orjson.dumps(document))
    partial.replace(path)


def read_models(path: Path, setup: dict[str, Any]) -> dict[str, ModelResult]:
    """The models in a results file, to go on from; none when there is no such file.

    Raises:
        ValueError: The file is something else, or of another set-up.
    """
    if not path.is_file():
        return {}
    try:
        document = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        msg = f"{path} is not JSON: {error}"
        raise ValueError(msg) from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        msg = f"{path} does not hold results of an evaluation"
        raise ValueError(msg)
    if document["setup"] != orjson.loads(orjson.dumps(setup)):
        msg = f"{path} holds results of another set-up: {document['setup']}"
        raise ValueError(msg)
    return {name: _read_model(model) for name, model in document["models"].items()}


def _asked(asked: Asked, user_ids: Sequence[str], item_ids: Sequence[str]) -> dict[str, Any]:
    return {
        "user": [user_ids[row] for row in asked.user.tolist()],
        "case": asked.case.tolist(),
        "item": [item_ids[row] for row in asked.item.tolist()],
    }


def _model(model: ModelResult) -> dict[str, Any]:
    runs = {
        str(seed): {
            "fit_s": run.fit_s,
            "tests": {
                name: {
                    "rank_s": outcome.rank_s,
                    "metrics": outcome.metrics,
                    "rank": _written(outcome.rank),
                    "new_rank": None if _same(outcome) else _written(outcome.new_rank),
                }
                for name, outcome in run.tests.items()
            },
        }
        for seed, run in model.runs.items()
    }
    return {
        "hyperparameters": model.hyperparameters,
        "tuned": model.tuned,
        "found": model.found,
        "search_s": model.search_s,
        "infeasible": model.infeasible,
        "runs": runs,
    }


def _read_model(document: dict[str, Any]) -> ModelResult:
    runs = {
        int(seed): Run(
            run["fit_s"],
            {
                name: Outcome(
                    outcome["rank_s"],
                    outcome["metrics"],
                    _read(outcome["rank"]),
                    _read(outcome["new_rank"] or outcome["rank"]),
                )
                for name, outcome in run["tests"].items()
            },
        )
        for seed, run in document.pop("runs").items()
    }
    return ModelResult(**document, runs=runs)


def _same(outcome: Outcome) -> bool:
    """Whether nobody wanted what they had an event with: both ranks are one."""
    return np.array_equal(outcome.rank, outcome.new_rank)


def _written(ranks: Values) -> list[float | None]:
    """Ranks as JSON has them: 0 for what was left out, null for what is not ranked."""
    left_out = np.where(np.isinf(ranks), 0, ranks)
    values: list[float | None] = [None if rank != rank else rank for rank in left_out.tolist()]  # noqa: PLR0124 NaN
    return values


def _read(ranks: list[float | None]) -> Values:
    values = np.array([np.nan if rank is None else rank for rank in ranks], dtype=np.float64)
    return np.where(values == 0, np.inf, values)
