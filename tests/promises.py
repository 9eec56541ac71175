"""What `docs/promises.md` names, so that tests can hold it to what there is."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROW = re.compile(r"^\| .+ \| `([^`]+)` \|$", re.MULTILINE)


def shown_by() -> list[str]:
    """The last column of every row: node ids of tests, or commands."""
    return ROW.findall((ROOT / "docs" / "promises.md").read_text(encoding="utf-8"))


def is_promised(node_id: str) -> bool:
    """Whether a promise rests on the test with this node id."""
    name = node_id.partition("[")[0]
    return any(name == shown or name.startswith(f"{shown}::") for shown in shown_by())
