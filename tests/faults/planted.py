"""Bugs to plant, to see that the checks of the fault test find them.

`python -m tests.faults.planted BUG PROGRAM …` runs a program of the service with a bug in it. They
are nowhere in the service itself.
"""

from __future__ import annotations

import runpy
import sys
from typing import TYPE_CHECKING, Any

from cli.local_stack.programs import INGEST, REFRESH

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import neo4j


def acknowledge_before_commit() -> None:
    """An entry leaves the log before it is in the graph: a fault in between loses it."""
    from workers import ingest as worker

    right = worker.ingest

    def wrong(entries: Any, graph: Any, stream: Any, settings: Any) -> Any:
        stream.acknowledge(entries)
        return right(entries, graph, stream, settings)

    worker.ingest = wrong  # type: ignore[assignment] # the bug


def clear_staleness_by_time() -> None:
    """A refresh says that it has seen whatever is there when it writes, not when it read."""
    from interest_graph.graph import learned, reads

    right = learned.write_user_interests

    def wrong(tx: neo4j.ManagedTransaction, rows: Sequence[Any], model_version: str) -> int:
        now = reads.fetch_user_revisions(tx, [row["user_id"] for row in rows])
        late = [{**row, "read_revision": now[row["user_id"]]["facts_revision"]} for row in rows]
        return right(tx, late, model_version)

    learned.write_user_interests = wrong


BUGS: dict[str, tuple[str, Callable[[], None]]] = {
    "acknowledge_before_commit": (INGEST, acknowledge_before_commit),
    "clear_staleness_by_time": (REFRESH, clear_staleness_by_time),
}
"""By name the process that has the bug, and what plants it."""


def main() -> None:
    """Plant the bug and run the program."""
    bug, program, *arguments = sys.argv[1:]
    BUGS[bug][1]()
    sys.argv = [program, *arguments]
    if program == "workers.ingest":
        from workers import ingest

        ingest.main()
    else:
        runpy.run_module(program, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
