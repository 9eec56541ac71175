"""An ingest worker that writes down in the graph, in the same transaction, what it writes.

`python -m tests.faults.recording_ingest` is `python -m workers.ingest` but for that. The list of an
id is in the order of the commits, since whoever extends it locks it until the commit.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from interest_graph import ingest as core
from interest_graph.partition import order_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import neo4j

    from interest_graph.entry import Entry

RECORD = """
UNWIND $rows AS row
MERGE (record:Recorded {id: row.id})
SET record.locked = true
REMOVE record.locked
SET record.entries = coalesce(record.entries, []) + row.entries
"""


def record() -> None:
    """Make ingest write down whose entries it writes, in their order."""
    right = core.write_entries

    def recorded(tx: neo4j.ManagedTransaction, entries: Sequence[Entry], settings: Any) -> Any:
        done = right(tx, entries, settings)
        rows: defaultdict[str, list[str]] = defaultdict(list)
        for entry in entries:
            kind = "item" if entry.kind.endswith("item") else "user"
            rows[f"{kind} {order_of(entry.kind, entry.payload)}"].append(entry.entry_id)
        listed = [{"id": name, "entries": rows[name]} for name in sorted(rows)]
        tx.run(RECORD, rows=listed).consume()
        return done

    core.write_entries = recorded


if __name__ == "__main__":
    from workers.ingest import main

    record()
    main()
