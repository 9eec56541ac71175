"""`flag list`, `clear`: events that were flagged, and taking back what was flagged wrongly."""

from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer

from .options import DataDir, Json, Yes
from .output import FAULT, USAGE, as_json, data, fail, note, table

if TYPE_CHECKING:
    from interest_graph.flags import FlaggedUser
    from interest_graph.services import Services

flag = typer.Typer(help="Flagged events: list, clear.", no_args_is_help=True)

Reason = Annotated[
    str | None, typer.Option("--reason", help="Of one reason: bot, value, clock, burst, repeat.")
]
SHOWN = 100


@flag.command("list")
def list_flags(
    reason: Reason = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = SHOWN,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """List users with flagged events, the most first, and count the reasons.

    Example: interest-graph flag list --reason burst
    """
    reasons = _reasons(reason)
    with closing(_services(data_dir)) as services:
        found = sorted(_chosen(services, reasons), key=lambda one: (-one.events, one.user_id))
    counts = Counter[str]()
    for one in found:
        counts[one.reason] += one.events
    if json:
        rows = [
            {"user_id": one.user_id, "reason": one.reason, "events": one.events,
             "newest": one.newest.isoformat()}
            for one in found[:limit]
        ]  # fmt: skip
        as_json({"reasons": dict(counts.most_common()), "users": rows})
        return
    table(
        ("user_id", "reason", "events", "newest"),
        [
            (one.user_id, one.reason, str(one.events), f"{one.newest:%Y-%m-%d %H:%M:%S}")
            for one in found[:limit]
        ],
    )
    for name, count in counts.most_common():
        note(f"{count}: {name}")
    if len(found) > limit:
        note(f"{len(found) - limit} more; --limit shows them.")


@flag.command("clear")
def clear(
    user_ids: Annotated[list[str] | None, typer.Argument(help="Whose; by default all.")] = None,
    reason: Reason = None,
    yes: Yes = False,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Let flagged events count after all: in histories, popularity and training. Asks first.

    Example: interest-graph flag clear --reason value --yes
    """
    from interest_graph.flags import clear_flags

    if not user_ids and reason is None:
        fail("which flags? Name users, or give --reason", code=USAGE)
    reasons = _reasons(reason)
    with closing(_services(data_dir)) as services:
        chosen = set(user_ids or (one.user_id for one in _chosen(services, reasons)))
        if chosen and not yes:
            typer.confirm(f"Clear flags of {len(chosen)} users?", abort=True, err=True)
        cleared, given_up = clear_flags(chosen, services, reasons)
    if json:
        as_json({"cleared": cleared, "kept_changing": len(given_up)})
    else:
        data(f"{cleared} events count now.")
    if given_up:
        note(f"{len(given_up)} users kept changing: run interest-graph rebuild-serving.")
        raise typer.Exit(FAULT)


def _services(data_dir: DataDir) -> "Services":
    """The services of the stack in `data_dir`, or of the servers that the settings name."""
    from interest_graph.services import build_services

    from .local_stack.paths import stack_paths
    from .settings import read_settings

    return build_services(read_settings(stack_paths(data_dir)))


def _reasons(reason: str | None) -> tuple[str, ...]:
    """The one that is named, by default all; ends the command for another word."""
    from interest_graph.cleaning import Flag

    if reason is not None and reason not in set(Flag):
        fail(f"--reason: must be one of {', '.join(Flag)}", code=USAGE)
    return tuple(Flag) if reason is None else (reason,)


def _chosen(services: "Services", reasons: tuple[str, ...]) -> "list[FlaggedUser]":
    """Users with events flagged for these reasons."""
    from interest_graph.flags import flagged_users

    return [one for one in flagged_users(services.graph) if one.reason in reasons]
