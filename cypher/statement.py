"""Loads `.cypher` files: one statement each, with a header that says what it does.

```
// Purpose: one sentence.
// Parameters: $name type, ...      (or: none)
// Columns: name, ...               (or: none)
```

Some statements need a relationship type, which Cypher cannot take as a parameter. They hold the
slot `EVENT_RELATIONSHIP`, filled from the declared event types and never from a request: for one of
them, or for all, and then the lines from `// each event type` to `// end` stand once for each, with
`UNION ALL` between them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

SLOT = "EVENT_RELATIONSHIP"
_RELATIONSHIP = re.compile(r"[A-Z][A-Z0-9_]{0,39}")
_NAMES = re.compile(r"\$([a-z_]+)")
_EACH = re.compile(r"^ *// each event type\n(.*?)^ *// end\n", re.MULTILINE | re.DOTALL)
_BRACKETS = re.compile(r"\[[^\]]*\]|\{[^}]*\}")


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement.

    Args:
        name: File name without ending, such as `record_events`.
        purpose: What it is for.
        parameters: Names of its parameters as the header gives them.
        columns: Names of the columns it returns.
        text: The statement, header included.
    """

    name: str
    purpose: str
    parameters: frozenset[str]
    columns: tuple[str, ...]
    text: str

    @property
    def used_parameters(self) -> frozenset[str]:
        """Parameters that the statement really uses."""
        body = "\n".join(line for line in self.text.splitlines() if not line.startswith("//"))
        return frozenset(_NAMES.findall(body))


@cache
def load(path: str) -> Statement:
    """The statement in `cypher/<path>.cypher`, such as `write/record_events`.

    Raises:
        ValueError: The header is not complete.
    """
    text = files("cypher").joinpath(f"{path}.cypher").read_text(encoding="utf-8")
    return Statement(
        name=path.rsplit("/", maxsplit=1)[-1],
        purpose=_header(path, text, "Purpose"),
        parameters=frozenset(_NAMES.findall(_header(path, text, "Parameters"))),
        columns=tuple(
            column.split()[0]
            for column in _BRACKETS.sub("", _header(path, text, "Columns")).split(",")
            if column.strip() != "none"
        ),
        text=text,
    )


@cache
def load_for(path: str, relationship: str) -> str:
    """The text of a template with its slot filled by a declared relationship type.

    Raises:
        ValueError: The name is not a relationship type, so it must not reach Cypher.
    """
    return _filled(load(path).text, relationship)


@cache
def load_for_all(path: str, relationships: tuple[str, ...]) -> str:
    """The text of a template that asks for several declared relationship types at once.

    Raises:
        ValueError: A name is not a relationship type, so it must not reach Cypher.
    """
    return _EACH.sub(
        lambda part: "UNION ALL\n".join(_filled(part[1], name) for name in relationships),
        load(path).text,
    )


def _filled(text: str, relationship: str) -> str:
    """The text with a relationship type in its slots."""
    if not _RELATIONSHIP.fullmatch(relationship):
        msg = f"{relationship!r} is not a relationship type"
        raise ValueError(msg)
    return text.replace(SLOT, relationship)


def paths(folder: str) -> list[str]:
    """Paths of every statement in a folder, in order of name."""
    names = (entry.name for entry in files("cypher").joinpath(folder).iterdir())
    return sorted(
        f"{folder}/{name.removesuffix('.cypher')}" for name in names if name.endswith(".cypher")
    )


def _header(path: str, text: str, key: str) -> str:
    """The header's value for a key; it may go on over further comment lines."""
    match = re.search(rf"^// {key}: (.+(?:\n//   .+)*)", text, re.MULTILINE)
    if match is None:
        msg = f"cypher/{path}.cypher has no '// {key}:' in its header"
        raise ValueError(msg)
    return re.sub(r"\n//\s+", " ", match.group(1)).strip()
