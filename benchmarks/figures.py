"""Outcomes of benchmarks as text: cells, and the sections of `docs/performance.md`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LABELS = {
    "requests_per_s": "requests a second",
    "events_per_s": "events a second",
    "of_bare": "of the baseline",
    "of_bare_route": "of the bare route",
    "of_peer": "of the peer",
    "memory_gib": "GiB of memory",
    "load_before": "load average before",
}
"""What a name does not say by itself."""
COMMIT = "commit"
WHOLE_FROM = 1000
"""Figures from here on have no decimals."""


def label(name: str) -> str:
    """What a figure's name is in a table.

    >>> label("p50_ms"), label("requests_per_s")
    ('p50 ms', 'requests a second')
    """
    return LABELS.get(name, name.replace("_", " "))


def cell(value: Any) -> str:
    """A figure as text; of several runs, the median and the range.

    >>> cell(12101), cell(0.25), cell({"median": 2.5, "low": 2.0, "high": 1234.0}), cell(None)
    ('12,101', '0.25', '2.5 (2 to 1,234)', '')
    """
    if value is None:
        return ""
    if isinstance(value, dict):
        low, high = cell(value["low"]), cell(value["high"])
        return f"{cell(value['median'])} ({low} to {high})"
    if isinstance(value, float):
        return f"{value:,.0f}" if value == int(value) or abs(value) >= WHOLE_FROM else f"{value:g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def section(outcome: Mapping[str, Any]) -> str:
    """Command, set-up and figures of one outcome, as Markdown."""
    setup = ", ".join(f"{label(name)} {cell(value)}" for name, value in outcome["setup"].items())
    commit = outcome["machine"].get(COMMIT, "")
    about = (outcome["date"], commit, f"load average before {outcome['load_before']}", setup)
    head = f"`{outcome['command']}`: {', '.join(part for part in about if part)}."
    return "\n".join([head, "", *table(outcome["figures"])])


def table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Rows of figures as a table; the first column is text."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    head = " | ".join(label(name) for name in names)
    cells = [" | ".join(cell(row.get(name)) for name in names) for row in rows]
    return [f"| {head} |", "|---" + "|--:" * (len(names) - 1) + "|", *(f"| {c} |" for c in cells)]


def machines(outcomes: Sequence[Mapping[str, Any]]) -> str:
    """On what all of them were measured; what was not the same for all is listed.

    The commit stands with each outcome.
    """
    kinds: dict[str, list[str]] = {}
    for outcome in outcomes:
        for name, value in outcome["machine"].items():
            text = cell(value)
            if name != COMMIT and text and text not in kinds.setdefault(name, []):
                kinds[name].append(text)
    lines = ["| | |", "|---|---|"]
    lines += [f"| {label(name)} | {' and '.join(found)} |" for name, found in kinds.items()]
    return "\n".join(lines)
