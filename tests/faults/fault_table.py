"""The tables of `docs/reliability.md` that outcomes of the fault test are put into."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.page_section import write_section

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.faults.outcome import Cost, Outcome

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"
HEAD = (
    "| fault | times | requests during it | 503 | no answer | degraded lists "
    "| longest interruption | behind for at most | failed runs |"
)


def fault_table(outcomes: Sequence[Outcome]) -> str:
    """One row a kind of fault, and what all of it adds up to."""
    by_name: defaultdict[str, list[tuple[Cost, bool]]] = defaultdict(list)
    for outcome in outcomes:
        for cost in outcome.costs:
            by_name[cost.name].append((cost, bool(outcome.failed)))
    rows = [_row(name, by_name[name]) for name in sorted(by_name)]
    return "\n".join([_summary(outcomes), "", HEAD, "|---" + "|--:" * 8 + "|", *rows])


def _summary(outcomes: Sequence[Outcome]) -> str:
    """What was done in all, and what failed."""
    events, faults = sum(one.events for one in outcomes), sum(len(one.costs) for one in outcomes)
    lists = sum(one.counts["lists"] for one in outcomes)
    failed = [f"seed {one.seed}: {', '.join(one.failed)}" for one in outcomes if one.failed]
    verdict = "; ".join(failed) if failed else "every check held"
    drained = max(one.drained_s for one in outcomes)
    return (
        f"{len(outcomes)} seeds, {faults:,} faults, {events:,} events, {lists:,} lists: {verdict}. "
        f"Log and backlog were empty at most {drained:.0f} s after the last fault."
    )


def _row(name: str, costs: Sequence[tuple[Cost, bool]]) -> str:
    """One kind of fault."""
    all_of_it = [cost for cost, _ in costs]
    return (
        f"| {name} | {len(costs)} | {sum(one.requests for one in all_of_it):,} "
        f"| {sum(one.unavailable for one in all_of_it):,} "
        f"| {sum(one.unanswered for one in all_of_it):,} "
        f"| {sum(one.degraded for one in all_of_it):,} "
        f"| {max(one.interruption_s for one in all_of_it):.1f} s "
        f"| {max(one.behind_s for one in all_of_it):.1f} s "
        f"| {sum(failed for _, failed in costs)} |"
    )


def write_table(text: str) -> None:
    """Put it into the page."""
    write_section(PAGE, "faults", text)
