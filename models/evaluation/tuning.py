"""Tuning: the same budget for every contender, on the validation alone, resumable."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Any

import optuna
import orjson
from optuna.storages.journal import JournalFileBackend

from models.baselines.infeasible import InfeasibleError

from .metrics import evaluate
from .search_space import distributions, num_points, points, suggest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from .contender import Contender
    from .search_space import SearchSpace
    from .splits import Split

FOUND, SECONDS, REASON, DRAWN = "found", "seconds", "reason", "hyperparameters"


@dataclass(frozen=True, slots=True)
class Budget:
    """What every contender may spend; whichever ends first.

    Args:
        trials: Fits.
        minutes: Of fitting and validating, summed over interruptions; a trial that has begun ends,
            and the first always begins.
    """

    trials: int
    minutes: float


@dataclass(frozen=True, slots=True)
class Trial:
    """One fit.

    Args:
        number: From 0, the contender's defaults.
        hyperparameters: What it was fitted with.
        found: What the fit found itself.
        validation: The metric; None where it could not be fitted.
        seconds: Of fit and validation.
        reason: Why it could not be fitted.
    """

    number: int
    hyperparameters: dict[str, Any]
    found: dict[str, Any]
    validation: float | None
    seconds: float
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Tuned:
    """The outcome of tuning a contender.

    Args:
        hyperparameters: The best, all of them.
        found: What the best fit found itself.
        validation: Its metric on the validation.
        trials: How many there were.
        seconds: How long they took.
        log: All of them.
    """

    hyperparameters: dict[str, Any]
    found: dict[str, Any]
    validation: float
    trials: int
    seconds: float
    log: list[Trial] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        """What is committed for evaluations."""
        return {name: value for name, value in asdict(self).items() if name != "log"}


def tune(
    split: Split,
    contender: Contender,
    space: SearchSpace,
    budget: Budget,
    journal: Path,
    metric: str,
    seed: int = 0,
    report: Callable[[Trial], None] = lambda _: None,
    earlier: Sequence[Trial] = (),
) -> Tuned:
    """Tune a contender with a tree-structured Parzen estimator (Bergstra et al. 2011).

    Each trial fits to `split.train` with the validation beside it and is judged by `split.check`;
    the test is never looked at. The first trial is the contender's defaults. What an interrupted
    run has done stands in the journal and counts; a journal that begins takes up earlier trials.

    Args:
        split: The cases.
        contender: Whom.
        space: What may vary; the rest stays at the defaults.
        budget: What it may spend.
        journal: File that trials are appended to as they end.
        metric: What is maximised.
        seed: Of the fits and of the search.
        report: Called with every trial that ends, those of the journal included.
        earlier: Trials of the same cases, such as those that were committed.

    Raises:
        InfeasibleError: No trial could be fitted; the message is that of the first.
    """
    most = num_points(space)
    wanted = budget.trials if most is None else min(budget.trials, most)
    whole = most is not None and most <= budget.trials
    study = _study(contender, space, journal, seed, earlier, whole=whole)
    done = _log(study)
    for trial in done:
        report(trial)
    while not done or (
        len(done) < wanted and sum(trial.seconds for trial in done) < budget.minutes * 60
    ):
        _run(study, study.ask(), split, contender, space, metric, seed)
        done = _log(study)
        report(done[-1])
    return _outcome(done)


def write_trials(
    path: Path,
    tuned: Tuned,
    space: SearchSpace,
    budget: Budget,
    metric: str,
    max_cases: int = 0,
) -> None:
    """All trials as JSON, with the search space, the budget and how many cases judged them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    body = {
        "budget": asdict(budget),
        "metric": metric,
        "max_cases": max_cases,
        "search_space": space,
        "trials": [asdict(trial) for trial in tuned.log],
    }
    path.write_bytes(orjson.dumps(body, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def read_trials(path: Path, max_cases: int = 0) -> list[Trial]:
    """The trials that `write_trials` wrote; none where other cases judged them, or nobody knows."""
    if not path.is_file():
        return []
    body = orjson.loads(path.read_bytes())
    return [Trial(**one) for one in body["trials"]] if body.get("max_cases") == max_cases else []


def write_tuned(path: Path, name: str, tuned: Tuned) -> None:
    """Put a contender's outcome among those of the others in a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    body = orjson.loads(path.read_bytes()) if path.is_file() else {}
    body[name] = tuned.summary()
    options = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
    path.write_bytes(orjson.dumps(body, option=options))


def _outcome(done: list[Trial]) -> Tuned:
    """The best of the trials."""
    best = max(done, key=lambda trial: -1.0 if trial.validation is None else trial.validation)
    if best.validation is None:
        raise InfeasibleError(done[0].reason or "no trial could be fitted")
    seconds = round(sum(trial.seconds for trial in done), 1)
    return Tuned(best.hyperparameters, best.found, best.validation, len(done), seconds, done)


def _study(
    contender: Contender,
    space: SearchSpace,
    journal: Path,
    seed: int,
    earlier: Sequence[Trial],
    *,
    whole: bool,
) -> optuna.Study:
    """The study in a journal; a new one begins with earlier trials and the defaults.

    Of a space that can be tried as a `whole` each point is tried once.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    journal.parent.mkdir(parents=True, exist_ok=True)
    backend = JournalFileBackend(str(journal))
    storage = optuna.storages.JournalStorage(backend)
    names = [one.study_name for one in optuna.get_all_study_summaries(storage)]
    begun = len(_ended(storage, contender.name) if contender.name in names else earlier)
    study = optuna.create_study(
        storage=storage,
        study_name=contender.name,
        sampler=optuna.samplers.TPESampler(seed=seed + begun),
        direction="maximize",
        load_if_exists=True,
    )
    if not study.trials:
        for trial in earlier:
            _add(study, trial, space)
        defaults = {name: contender.defaults[name] for name in space}
        for point in (defaults, *(points(space) if whole else ())):
            study.enqueue_trial(point, skip_if_exists=True)
    return study


def _add(study: optuna.Study, trial: Trial, space: SearchSpace) -> None:
    """Have a study know a trial; one from beyond the search space counts and guides nothing."""
    known = distributions(space)
    params = {name: trial.hyperparameters[name] for name in known if name in trial.hyperparameters}
    state = optuna.trial.TrialState.FAIL if trial.validation is None else None
    attributes = {
        DRAWN: trial.hyperparameters,
        FOUND: trial.found,
        REASON: trial.reason,
        SECONDS: trial.seconds,
    }
    for told in (params, {}):
        with suppress(ValueError):
            frozen = optuna.trial.create_trial(
                state=state or optuna.trial.TrialState.COMPLETE,
                value=trial.validation,
                params=told,
                distributions={name: known[name] for name in told},
                user_attrs=attributes,
            )
            study.add_trial(frozen)
            return


def _ended(storage: optuna.storages.BaseStorage, name: str) -> list[optuna.trial.FrozenTrial]:
    """The trials of a study that came to an end."""
    study = optuna.load_study(study_name=name, storage=storage)
    return [trial for trial in study.trials if trial.state.is_finished()]


def _run(
    study: optuna.Study,
    trial: optuna.Trial,
    split: Split,
    contender: Contender,
    space: SearchSpace,
    metric: str,
    seed: int,
) -> None:
    """One trial; one that repeats an earlier one takes that one's outcome."""
    hyperparameters = {**contender.defaults, **suggest(trial, space)}
    trial.set_user_attr(DRAWN, hyperparameters)
    before = [one for one in _log(study) if one.hyperparameters == hyperparameters]
    began = perf_counter()
    try:
        if before:
            found, value, reason = before[0].found, before[0].validation, before[0].reason
        else:
            fitted = contender.fit(split.train, hyperparameters, seed, split.check)
            found, reason = fitted.found, None
            value = evaluate(fitted.ranker, split.check).metrics.get(metric, 0.0)
    except InfeasibleError as error:
        found, value, reason = {}, None, str(error)
    trial.set_user_attr(FOUND, found)
    trial.set_user_attr(REASON, reason)
    trial.set_user_attr(SECONDS, perf_counter() - began)
    if value is None:
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
    else:
        study.tell(trial, value)


def _log(study: optuna.Study) -> list[Trial]:
    """The trials that came to an end, in their order."""
    return [
        Trial(
            number,
            trial.user_attrs[DRAWN],
            trial.user_attrs[FOUND],
            trial.value,
            round(trial.user_attrs[SECONDS], 2),
            trial.user_attrs[REASON],
        )
        for number, trial in enumerate(study.trials)
        if trial.state.is_finished() and SECONDS in trial.user_attrs
    ]
