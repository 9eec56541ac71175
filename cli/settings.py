"""How a command gets its settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from interest_graph.settings import Settings

    from .local_stack.paths import StackPaths


def read_settings(paths: StackPaths) -> Settings:
    """The settings of a stack, or of the servers that the environment names.

    Raises:
        SettingsError: A value is missing or wrong; the message names each.
    """
    from interest_graph.settings import load_settings

    quiet_logs()
    return load_settings(paths.data_dir)


def quiet_logs() -> None:
    """Keep the core's log lines out of what a command prints: warnings alone, and on stderr."""
    from interest_graph.logs import configure_logs

    configure_logs("warning")
