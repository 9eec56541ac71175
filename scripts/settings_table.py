"""Prints the table of `docs/settings.md`; with `--write` it puts it there."""  # noqa: INP001 a script

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, SecretStr

from interest_graph.settings import Settings

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

PAGE = Path(__file__).resolve().parents[1] / "docs" / "settings.md"
BEGIN = "<!-- begin: scripts/settings_table.py -->\n"
END = "<!-- end -->\n"


def settings_table() -> str:
    """Every setting with its default, what it accepts, and what it means."""
    lines = ["| setting | default | accepts | means |", "|---|---|---|---|"]
    for name, field in Settings.model_fields.items():
        cells = (
            f"`INTEREST_GRAPH_{name.upper()}`",
            _default(field),
            _accepts(name),
            " ".join((field.description or "").split()),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _default(field: FieldInfo) -> str:
    """The default as it would be written in the environment."""
    value = field.default
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, dict):
        return "see below"
    if isinstance(value, tuple):
        value = json.dumps(value, default=str)
    if isinstance(value, datetime):
        value = value.isoformat()
    if isinstance(value, bool):
        value = str(value).lower()
    return f"`{value}`" if value not in {None, ""} else "none"


def _accepts(name: str) -> str:
    """The bounds or choices of a setting, from its JSON schema."""
    schema = Settings.model_json_schema()["properties"][name]
    schema = next((part for part in schema.get("anyOf", []) if part.get("type") != "null"), schema)
    if "enum" in schema:
        return ", ".join(f"`{choice}`" for choice in schema["enum"])
    bounds = [
        f"{text} {schema[key]:g}"
        for key, text in (
            ("minimum", "from"),
            ("exclusiveMinimum", "above"),
            ("maximum", "to"),
        )
        if key in schema
    ]
    kind = {"object": "JSON object", "array": "JSON list", "boolean": "`true`, `false`"}
    plain = {"string": "text", "integer": "whole number", "number": "number"}
    return " ".join([(kind | plain)[schema["type"]], *bounds])


def page_with_table(page: str) -> str:
    """The page with the table between its two marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{settings_table()}{END}{after}"


def event_types_json() -> str:
    """The default event types, one a line."""
    declared: dict[str, BaseModel] = Settings.model_fields["event_types"].default
    rows = [
        f'  "{name}": {json.dumps(one.model_dump(exclude_none=True))}'
        for name, one in declared.items()
    ]
    return "{\n" + ",\n".join(rows) + "\n}"


if __name__ == "__main__":
    if "--write" in sys.argv[1:]:
        PAGE.write_text(page_with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        sys.stdout.write(settings_table())
