"""Results of an evaluation: every run of every model, with the ranks of all that was wanted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from .metrics import Ranking, metrics_by_case

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .cases import Cases, Ints
    from .metrics import Values


@dataclass(frozen=True, slots=True)
class Asked:
    """What a test asks for; the same for every model.

    Args:
        user: (cases,) int64, row of the user of each case.
        case: (R,) int64, the case of each wanted item, ascending.
        item: (R,) int64, its row.
    """

    user: Ints
    case: Ints
    item: Ints

    @classmethod
    def of(cls, cases: Cases) -> Asked:
        """What some cases ask for."""
        sizes = [len(wanted) for wanted in cases.targets]
        item = np.concatenate([*cases.targets, np.zeros(0, np.int64)]).astype(np.int64)
        return cls(cases.users, np.repeat(np.arange(len(cases)), sizes), item)

    @classmethod
    def joined(cls, parts: Sequence[Asked]) -> Asked:
        """What several sets of cases ask for, one after the other."""
        first = np.cumsum([0, *(len(part.user) for part in parts)])
        case = [part.case + start for part, start in zip(parts, first, strict=False)]
        return cls(
            np.concatenate([part.user for part in parts]),
            np.concatenate(case),
            np.concatenate([part.item for part in parts]),
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one fitted model did in one test.

    Args:
        rank_s: Seconds in which it scored all cases.
        metrics: Means over cases by name.
        rank: (R,) float64, see `Ranking`.
        new_rank: (R,) float64, see `Ranking`.
    """

    rank_s: float
    metrics: dict[str, float]
    rank: Values
    new_rank: Values

    def per_case(self, asked: Asked) -> dict[str, Values]:
        """The metrics of each case, (cases,) float64 by name."""
        cases = len(asked.user)
        top = np.zeros((cases, 0), np.int64)
        ranking = Ranking(cases, asked.case, asked.item, self.rank, self.new_rank, top)
        return metrics_by_case(ranking)


@dataclass(frozen=True, slots=True)
class Run:
    """One fit and what came of it.

    Args:
        fit_s: Seconds of the fit.
        tests: By name of the test.
    """

    fit_s: float
    tests: dict[str, Outcome]


@dataclass(slots=True)
class ModelResult:
    """One model.

    Args:
        hyperparameters: All of them.
        tuned: Whether they come from tuning; otherwise they are the defaults.
        found: What a fit found on the validation, such as `epochs`.
        search_s: Seconds of the fit that found it; 0 when it was known.
        runs: By seed.
        infeasible: Why it cannot be run here; empty when it can.
    """

    hyperparameters: dict[str, Any]
    tuned: bool
    found: dict[str, Any] | None = None
    search_s: float = 0.0
    runs: dict[int, Run] = field(default_factory=dict)
    infeasible: str = ""

    def per_case(self, asked: Asked, test: str) -> dict[str, Values]:
        """The metrics of each case, means over seeds."""
        runs = [run.tests[test].per_case(asked) for run in self.runs.values()]
        return {name: np.mean([run[name] for run in runs], axis=0) for name in runs[0]}

    def metrics(self, test: str) -> dict[str, float]:
        """Means over cases, then over seeds."""
        runs = [run.tests[test].metrics for run in self.runs.values()]
        return {name: float(np.mean([run[name] for run in runs])) for name in runs[0]}


@dataclass(slots=True)
class Results:
    """An evaluation as far as it has come.

    Args:
        setup: What was evaluated how; results of another set-up are not mixed with these.
        environment: Machine and versions.
        counts: Sizes of the data and of the parts of the split.
        asked: By name of the test.
        models: By name.
    """

    setup: dict[str, Any]
    environment: dict[str, Any]
    counts: dict[str, Any]
    asked: dict[str, Asked]
    models: dict[str, ModelResult] = field(default_factory=dict)
