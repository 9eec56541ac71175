"""Protocols by name: how a data set is split, and which metric decides."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from .cold_splits import cold_items, cold_users
from .metrics import MAIN_METRIC
from .prequential import make_stream
from .splits import Split, cut_times, given, leave_one_out, temporal, temporal_next

if TYPE_CHECKING:
    from .cases import Cases
    from .data_set import DataSet
    from .prequential import Stream

PROTOCOLS = (
    "leave_one_out",
    "temporal",
    "temporal_next",
    "given",
    "cold_items",
    "cold_users",
    "prequential",
)
EVERYBODY = 1_000_000_000


@dataclass(frozen=True, slots=True)
class SplitConfig:
    """How protocols split.

    Args:
        seed: Of every draw; not the models' seed.
        validation_share: Share of the events (temporal) or of each user's events (given).
        test_share: Share of the events (temporal; twice that in temporal_next, whose cases are
            fewer).
        cold_share: Share of the items or users that are held back, half of them for validation.
        block_events: Wanted events of a block (prequential).
        max_cases: Of more validation or test cases a seeded sample is taken; 0 for all of them.
    """

    seed: int = 0
    validation_share: float = 0.1
    test_share: float = 0.1
    cold_share: float = 0.2
    block_events: int = 500
    max_cases: int = 0


def main_metric(protocol: str) -> str:
    """The metric that a protocol is judged by."""
    return "recall_at_20" if protocol == "given" else MAIN_METRIC


def make_split(data: DataSet, protocol: str, config: SplitConfig | None = None) -> Split:
    """Apply a protocol to a data set.

    Raises:
        ValueError: There is no such protocol, or the data do not suit it.
    """
    config = config or SplitConfig()
    split = _whole_split(data, protocol, config)
    if config.max_cases:
        check, test, *more = (
            _sample(cases, config) for cases in (split.check, *split.tests.values())
        )
        named = dict(zip(split.more_tests, more, strict=True))
        split = replace(split, check=check, test=test, more_tests=named)
    for name, cases in {"validation": split.check, **split.tests}.items():
        if not len(cases):
            msg = f"{protocol} leaves no cases ({name}) in {data.name}: it has too few events"
            raise ValueError(msg)
    return split


def make_data_stream(data: DataSet, config: SplitConfig | None = None) -> Stream:
    """The test's events of a data set in order, for a prequential evaluation.

    Raises:
        ValueError: The data do not suit it.
    """
    config = config or SplitConfig()
    _, start = cut_times(data.graph, config.validation_share, config.test_share)
    stream = make_stream(
        data.graph,
        start,
        data.target_types,
        exclude_seen=not data.repeats,
        block_events=config.block_events,
        max_moments=config.max_cases,
        seed=config.seed,
    )
    if not len(stream.moments):
        msg = f"prequential leaves no cases in {data.name}: its last events are of one day"
        raise ValueError(msg)
    return stream


def _whole_split(data: DataSet, protocol: str, config: SplitConfig) -> Split:
    """The split with all cases."""
    graph, seed, targets = data.graph, config.seed, data.target_types
    if protocol == "leave_one_out":
        return leave_one_out(graph)
    if protocol in {"temporal", "temporal_next", "prequential"}:
        return _temporal_split(data, protocol, config)
    if protocol == "given":
        if data.in_test is None:
            msg = f"{data.name} comes without a test of its own; use one of {data.protocols}"
            raise ValueError(msg)
        return given(graph, data.in_test, config.validation_share, seed)
    if protocol == "cold_items":
        return cold_items(graph, config.cold_share, seed, targets)
    if protocol == "cold_users":
        exclude = not data.repeats
        return cold_users(graph, config.cold_share, seed, targets, exclude_seen=exclude)
    msg = f"there is no protocol {protocol}; there are {', '.join(PROTOCOLS)}"
    raise ValueError(msg)


def _temporal_split(data: DataSet, protocol: str, config: SplitConfig) -> Split:
    """A split by time; what was seen is ranked where taking again counts.

    What is found on the validation of `prequential` is found on that of `temporal`.
    """
    shares = (config.validation_share, config.test_share)
    if protocol != "temporal_next":
        split = temporal(data.graph, *shares, EVERYBODY, config.seed, data.target_types)
    else:
        split = temporal_next(data.graph, shares[0], 2 * shares[1], data.target_types)
    check = replace(split.check, exclude_seen=not data.repeats)
    return replace(split, check=check, test=replace(split.test, exclude_seen=not data.repeats))


def _sample(cases: Cases, config: SplitConfig) -> Cases:
    """At most `max_cases` of the cases."""
    if len(cases) <= config.max_cases:
        return cases
    drawn = np.random.default_rng(config.seed).permutation(len(cases))[: config.max_cases]
    return cases.take(np.sort(drawn))
