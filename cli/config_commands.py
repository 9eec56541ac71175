"""`config show`: the settings in force."""

import re
from typing import Annotated, Any

import typer
from typer import Option

from .options import DataDir, Json
from .output import as_json, table

MASK = "********"

config = typer.Typer(help="Settings: show what is in force.", no_args_is_help=True)


@config.callback()
def _config() -> None:
    """Settings: show what is in force."""


@config.command("show")
def show(
    data_dir: DataDir = None,
    json: Json = False,
    reveal: Annotated[
        bool, Option("--reveal", help="Show secrets instead of masking them.")
    ] = False,
) -> None:
    """Show every setting: the environment over the stack's settings.env over the defaults.

    Example: interest-graph config show --json
    """
    from .local_stack.paths import stack_paths
    from .settings import read_settings

    settings = read_settings(stack_paths(data_dir))
    values: dict[str, Any] = settings.model_dump(mode="json")
    secret = settings.neo4j_password.get_secret_value()
    values["neo4j_password"] = secret if reveal else MASK if secret else ""
    for name in ("log_url", "serving_url", "broker_url"):
        values[name] = values[name] if reveal else without_password(values[name])
    if json:
        as_json(values)
        return
    rows = []
    for name, value in values.items():
        rows.append((f"INTEREST_GRAPH_{name.upper()}", str(value)))
    table(("setting", "value"), rows)


def without_password(url: str) -> str:
    """A URL whose password is masked.

    >>> without_password("redis://:hunter2@cache:6379/0")
    'redis://:********@cache:6379/0'
    >>> without_password("redis://127.0.0.1:6379/0")
    'redis://127.0.0.1:6379/0'
    >>> without_password("unix:///run/redis.sock?password=hunter2&db=0")
    'unix:///run/redis.sock?password=********&db=0'
    """
    url = re.sub(r"([?&]password=)[^&]*", rf"\1{MASK}", url)
    scheme, separator, rest = url.partition("://")
    credentials, at, host = rest.rpartition("@")
    if not at:
        return url
    user, colon, _ = credentials.partition(":")
    return f"{scheme}{separator}{user}{colon}{MASK if colon else ''}@{host}"
