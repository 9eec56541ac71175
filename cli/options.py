"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from .local_stack.paths import DATA_DIR_VARIABLE

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        envvar=DATA_DIR_VARIABLE,
        show_default=".interest-graph",
        help="Directory of the stack: each directory is a stack of its own.",
        file_okay=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask before something is destroyed.")]
