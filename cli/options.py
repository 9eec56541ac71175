"""Options that several commands share."""

from pathlib import Path
from typing import Annotated, Literal

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

# Of `evaluate` and `tune`.
Protocol = Annotated[
    str | None, typer.Option("--protocol", help="How; by default what suits the data.")
]
Models = Annotated[
    str | None, typer.Option("--models", metavar="A,B,…", help="Which models; by default all.")
]
DataRoot = Annotated[
    Path | None,
    typer.Option(
        "--data-root",
        envvar="INTEREST_GRAPH_DATA",
        file_okay=False,
        help="Folder that the folders of named data sets lie in.",
    ),
]
Device = Annotated[
    Literal["auto", "cpu", "cuda"],
    typer.Option("--device", help="Where networks are fitted; auto: CUDA where there is one."),
]
Threads = Annotated[int, typer.Option("--threads", min=1, help="Threads of a fit.")]


def names(listed: str | None) -> tuple[str, ...] | None:
    """The names of a list with commas; None for none.

    >>> names("ease, sasrec")
    ('ease', 'sasrec')
    """
    return tuple(name.strip() for name in listed.split(",")) if listed else None
