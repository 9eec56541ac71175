"""What a run of the fault test found, and what each fault cost."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.faults.faults import Happened
    from tests.faults.load import Ledger

AFTER_S = 5.0
BEHIND = 200
UNAVAILABLE = 503


@dataclass(frozen=True)
class Cost:
    """What happened while a fault lasted and in the five seconds after it was healed.

    What happens while several last is counted for each of them.

    Args:
        name: Which fault.
        requests: Requests that were answered or given up.
        unavailable: Of these, answers of 503.
        unanswered: Of these, requests without an answer.
        degraded: Lists that were marked as degraded.
        interruption_s: The longest time without an accepted event.
        behind_s: Time from its beginning until the log held less than a second's load again; 0 if
            it always did.
    """

    name: str
    requests: int
    unavailable: int
    unanswered: int
    degraded: int
    interruption_s: float
    behind_s: float


@dataclass(frozen=True)
class Outcome:
    """One run.

    Args:
        seed: Of load and faults.
        seconds: How long faults happened.
        events: Ids under a 202.
        counts: What the load did how often.
        costs: Of every fault.
        drained_s: From the end of load and faults until log and backlog were empty.
        failed: By name of the check what did not hold.
    """

    seed: int
    seconds: float
    events: int
    counts: dict[str, int]
    costs: list[Cost]
    drained_s: float
    failed: dict[str, str]

    def write(self, path: Path) -> None:
        """Keep it, whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")
        part.rename(path)

    @classmethod
    def read(cls, path: Path) -> Self:
        """What was kept."""
        fields = json.loads(path.read_text(encoding="utf-8"))
        return cls(**{**fields, "costs": [Cost(**one) for one in fields["costs"]]})


def cost_of(one: Happened, ledger: Ledger, backlog: Sequence[tuple[float, int]]) -> Cost:
    """What a fault cost.

    Args:
        one: The fault.
        ledger: What clients saw.
        backlog: When the log had how many entries.
    """
    begin, end = one.began, max(one.began, one.ended) + AFTER_S
    answers = [(status, degraded) for at, status, degraded in ledger.answers if begin <= at <= end]
    unanswered = sum(begin <= at <= end for at in ledger.unanswered)
    gaps = [
        later - earlier
        for earlier, later in pairwise(sorted(ledger.accepted_at))
        if later >= begin and earlier <= end
    ]
    return Cost(
        one.name,
        len(answers) + unanswered,
        sum(status == UNAVAILABLE for status, _ in answers),
        unanswered,
        sum(degraded for _, degraded in answers),
        max(gaps, default=0.0),
        _behind_s(begin, end, backlog),
    )


def _behind_s(begin: float, end: float, backlog: Sequence[tuple[float, int]]) -> float:
    """How long after its beginning a fault's entries were in the graph."""
    full = next((at for at, length in backlog if begin <= at <= end and length >= BEHIND), None)
    if full is None:
        return 0.0
    caught_up = (at for at, length in backlog if at > full and length < BEHIND)
    return next(caught_up, backlog[-1][0]) - begin
