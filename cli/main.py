"""`interest-graph`: the command line. What is slow to import is imported by its command."""

import sys
from dataclasses import asdict

import typer

from . import (
    backup_commands,
    config_commands,
    dead_letter_commands,
    demo_command,
    evaluate_command,
    flag_commands,
    key_commands,
    load_command,
    rebuild_command,
    schema_commands,
    stack_commands,
    train_command,
    tune_command,
)
from .options import DataDir, Json
from .output import FAULT, NOT_READY, USAGE, as_json, data, fail

app = typer.Typer(
    name="interest-graph",
    help="A live user interest graph, and recommendations from it with computed reasons.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(stack_commands.up)
app.command()(stack_commands.down)
app.command()(stack_commands.status)
app.command()(load_command.load)
app.command()(train_command.train)
app.command()(rebuild_command.rebuild_serving)
app.command()(backup_commands.backup)
app.command()(backup_commands.restore)
app.command()(evaluate_command.evaluate)
app.command()(tune_command.tune)
app.command()(demo_command.demo)
app.add_typer(schema_commands.schema, name="schema")
app.add_typer(key_commands.key, name="key")
app.add_typer(dead_letter_commands.dead_letter, name="dead-letter")
app.add_typer(flag_commands.flag, name="flag")
app.add_typer(config_commands.config, name="config")


@app.command()
def openapi() -> None:
    """Print the OpenAPI 3.1 document of the REST API; nothing has to run.

    Example: interest-graph openapi > openapi.json
    """
    from api.app import openapi_document

    as_json(openapi_document())


@app.command()
def doctor(data_dir: DataDir = None, json: Json = False) -> None:
    """Check whether this machine has what the local stack needs, and say what to do.

    Example: interest-graph doctor
    """
    from .doctor import examine
    from .local_stack.paths import stack_paths

    findings = []
    for finding in examine(stack_paths(data_dir)):
        findings.append(finding)
        if not json:
            data(f"{'✓' if finding.ok else '✗'} {finding.name}: {finding.found}")
            if not finding.ok:
                data(f"  → {finding.remedy}")
    if json:
        as_json({"ok": all(f.ok for f in findings), "findings": [asdict(f) for f in findings]})
    if not all(finding.ok for finding in findings):
        raise typer.Exit(FAULT)


def main() -> None:
    """Run the command line; errors become one line, a remedy and an exit code."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        _explain(error)
        raise


def _explain(error: Exception) -> None:
    """End with the message and exit code of an error of ours; return for any other."""
    from interest_graph import errors

    from .local_stack.errors import LocalStackError

    up = "interest-graph up --detach starts the local stack; interest-graph doctor looks for faults"
    if isinstance(error, LocalStackError):
        fail(str(error), error.remedy)
    if isinstance(error, errors.SettingsError):
        fail(f"settings: {error}", "interest-graph config show", USAGE)
    if isinstance(error, errors.InvalidInputError):
        fail(str(error), code=USAGE)
    if isinstance(error, errors.TransientError | errors.ModelNotReadyError):
        fail(str(error), up, NOT_READY)
    if isinstance(error, errors.InterestGraphError):
        fail(str(error))
