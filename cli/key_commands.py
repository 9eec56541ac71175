"""`key create`, `key list`, `key revoke`: who may call the API, and for what."""

from typing import TYPE_CHECKING, Annotated

import typer

from .options import DataDir, Json
from .output import as_json, data, note, table

if TYPE_CHECKING:
    from interest_graph.api_key import ApiKeyStore

key = typer.Typer(help="API keys: create, list, revoke.", no_args_is_help=True)


def key_store(data_dir: DataDir) -> "ApiKeyStore":
    """The keys of the stack in `data_dir`, or of the servers that the settings name."""
    from interest_graph.api_key import ApiKeyStore
    from interest_graph.redis_client import connect

    from .local_stack.paths import stack_paths
    from .settings import read_settings

    settings = read_settings(stack_paths(data_dir))
    return ApiKeyStore(connect(settings.log_url, settings))


@key.command("create")
def create(
    scope: Annotated[
        list[str],
        typer.Option(
            "--scope", help="events:write, catalog:write, read or admin; repeat for more."
        ),
    ],
    name: Annotated[str, typer.Option("--name", help="What you call it.")] = "",
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Make a key and print it: it is stored as a hash and cannot be shown again.

    Example: interest-graph key create --scope events:write --scope read --name shop
    """
    scopes = sorted({part for given in scope for part in given.split(",")})
    token = key_store(data_dir).create(scopes, name)
    if json:
        as_json({"key": token, "key_id": token.split("_")[1], "name": name, "scopes": scopes})
    else:
        data(token)
        note("Send it as `Authorization: Bearer …`. It is not shown again.")


@key.command("list")
def list_keys(data_dir: DataDir = None, json: Json = False) -> None:
    """List the keys without their secrets.

    Example: interest-graph key list
    """
    rows = [
        {
            "key_id": found.key_id,
            "name": found.name,
            "scopes": sorted(found.scopes),
            "created_at": found.created_at,
        }
        for found in key_store(data_dir).list()
    ]
    if json:
        as_json({"items": rows})
        return
    table(
        ("key_id", "name", "scopes", "created_at"),
        [
            (str(row["key_id"]), str(row["name"]), ",".join(row["scopes"]), str(row["created_at"]))
            for row in rows
        ],
    )


@key.command("revoke")
def revoke(
    key_id: Annotated[str, typer.Argument(help="As `key list` shows it.")],
    data_dir: DataDir = None,
) -> None:
    """Take a key back; every process refuses it within five seconds.

    Example: interest-graph key revoke 0f1e2d3c4b5a6978
    """
    key_store(data_dir).revoke(key_id)
    note(f"Key {key_id} is revoked.")
