"""`settings.env`: how every process and every command finds the local stack."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .paths import write_private

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .paths import StackPaths

PREFIX = "INTEREST_GRAPH_"
HEADER = "# Written by `interest-graph up`. Lines that you add for other settings are kept.\n"


def read_settings_file(paths: StackPaths) -> dict[str, str]:
    """The assignments in the stack's settings file; empty when there is none."""
    try:
        lines = paths.settings_file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    pairs = (line.partition("=") for line in lines if "=" in line and not line.startswith("#"))
    return {name.strip(): value.strip().strip("'") for name, _, value in pairs}


def write_settings_file(paths: StackPaths, values: Mapping[str, object]) -> None:
    """Write the settings (`neo4j_uri`, …), keeping what else stands in the file."""
    own = {f"{PREFIX}{name.upper()}": str(value) for name, value in values.items()}
    merged = {**read_settings_file(paths), **own}
    text = "".join(f"{name}='{value}'\n" for name, value in merged.items())
    write_private(paths.settings_file, HEADER + text)
