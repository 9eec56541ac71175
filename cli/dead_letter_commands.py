"""`dead-letter list`, `show`, `replay`, `drop`: what could not be brought into the graph."""

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import DataDir, Json, Yes
from .output import USAGE, as_json, data, fail, note, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from interest_graph.dead_letters import DeadLetter, DeadLetters

dead_letter = typer.Typer(
    help="Dead letters: list, show, replay, drop.",
    no_args_is_help=True,
)

Ids = Annotated[list[str] | None, typer.Argument(help="As `dead-letter list` shows them.")]
All = Annotated[bool, typer.Option("--all", help="All there are now.")]
Reason = Annotated[
    str | None, typer.Option("--reason", metavar="TEXT", help="Those whose reason holds this text.")
]
SHOWN = 100
BATCH = 500


def dead_letters(data_dir: DataDir) -> "DeadLetters":
    """The dead letters of the stack in `data_dir`, or of the servers that the settings name."""
    from interest_graph.dead_letters import DeadLetters
    from interest_graph.redis_client import connect

    from .local_stack.paths import stack_paths
    from .settings import read_settings

    settings = read_settings(stack_paths(data_dir))
    return DeadLetters(connect(settings.log_url, settings), settings)


@dead_letter.command("list")
def list_dead_letters(
    reason: Reason = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = SHOWN,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """List what could not be brought into the graph, oldest first, and count the reasons.

    Example: interest-graph dead-letter list
    """
    found = _chosen(dead_letters(data_dir), None, reason)
    shown = found[:limit]
    reasons = Counter(letter.reason for letter in found)
    if json:
        counted = [{"reason": text, "count": count} for text, count in reasons.most_common()]
        as_json({"count": len(found), "reasons": counted, "items": [_row(one) for one in shown]})
        return
    table(
        ("letter_id", "buried_at", "kind", "id", "reason"),
        [
            (one.letter_id, f"{one.buried_at:%Y-%m-%d %H:%M:%S}", one.kind, _about(one), one.reason)
            for one in shown
        ],
    )
    for text, count in reasons.most_common():
        note(f"{count}: {text}")
    if len(found) > len(shown):
        note(f"{len(found) - len(shown)} more; --limit shows them.")


@dead_letter.command("show")
def show(
    letter_id: Annotated[str, typer.Argument(help="As `dead-letter list` shows it.")],
    data_dir: DataDir = None,
) -> None:
    """Print one dead letter whole, as JSON.

    Example: interest-graph dead-letter show 1767225600000-0
    """
    as_json(_row(dead_letters(data_dir).get(letter_id)))


@dead_letter.command("replay")
def replay(
    letter_ids: Ids = None,
    every: All = False,
    reason: Reason = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Send dead letters to the log again, once their cause is repaired.

    What is still wrong with one brings it back, under a new id.

    Example: interest-graph dead-letter replay --all
    """
    letters = dead_letters(data_dir)
    ids = _ids(letters, letter_ids, reason, every=every)
    moved = sum(letters.replay(ids[start : start + BATCH]) for start in range(0, len(ids), BATCH))
    _tell("replayed", moved, len(ids), json=json)


@dead_letter.command("drop")
def drop(
    letter_ids: Ids = None,
    every: All = False,
    reason: Reason = None,
    yes: Yes = False,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Delete dead letters for good; asks first.

    Example: interest-graph dead-letter drop --reason "another body" --yes
    """
    letters = dead_letters(data_dir)
    ids = _ids(letters, letter_ids, reason, every=every)
    if ids and not yes:
        typer.confirm(f"Delete {len(ids)} dead letters for good?", abort=True, err=True)
    dropped = sum(letters.drop(ids[start : start + BATCH]) for start in range(0, len(ids), BATCH))
    _tell("dropped", dropped, len(ids), json=json)


def _ids(
    letters: "DeadLetters", given: "Sequence[str] | None", reason: str | None, *, every: bool
) -> list[str]:
    """Ids of the letters that the options choose; ends the command when nothing is chosen."""
    if not given and not every and reason is None:
        fail("which letters? Name ids, or give --reason TEXT or --all", code=USAGE)
    if given and every:
        fail("name ids or give --all, not both", code=USAGE)
    return [letter.letter_id for letter in _chosen(letters, given, reason)]


def _chosen(
    letters: "DeadLetters", given: "Sequence[str] | None", reason: str | None
) -> "list[DeadLetter]":
    """The letters of these ids, by default all, whose reason holds a text."""
    found = [letters.get(letter_id) for letter_id in given] if given else letters.all()
    return [letter for letter in found if reason is None or reason in letter.reason]


def _tell(done: str, count: int, chosen: int, *, json: bool) -> None:
    """Say what became of the letters."""
    if json:
        as_json({done: count})
        return
    data(f"{count} dead letters {done}.")
    if count < chosen:
        note(f"{chosen - count} were gone already.")


def _row(letter: "DeadLetter") -> dict[str, Any]:
    """A letter as JSON."""
    return {
        "letter_id": letter.letter_id,
        "buried_at": letter.buried_at.isoformat(),
        "kind": letter.kind,
        "reason": letter.reason,
        "payload": letter.payload,
    }


def _about(letter: "DeadLetter") -> str:
    """The id of what a letter is about."""
    if isinstance(letter.payload, dict):
        name = f"{letter.kind}_id"
        return str(letter.payload.get(name, "?"))
    return str(letter.payload)[:40]
