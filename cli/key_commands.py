"""`key create`, `key list`, `key rotate`, `key revoke`: who may call the API, and for what."""

from typing import TYPE_CHECKING, Annotated

import typer

from .options import DataDir, Json
from .output import as_json, data, note, table

if TYPE_CHECKING:
    from interest_graph.api_key import ApiKey, ApiKeyStore

key = typer.Typer(help="API keys: create, list, rotate, revoke.", no_args_is_help=True)


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
    rate_limit: Annotated[
        int | None,
        typer.Option(
            "--rate-limit", min=1, help="Requests a minute; by default as the settings say."
        ),
    ] = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Make a key and print it: it is stored as a hash and cannot be shown again.

    Example: interest-graph key create --scope events:write --scope read --name shop
    """
    from interest_graph.api_key import key_id_of

    scopes = sorted({part for given in scope for part in given.split(",")})
    token = key_store(data_dir).create(scopes, name, rate_limit)
    if json:
        as_json({"key": token, "key_id": key_id_of(token), "name": name, "scopes": scopes})
    else:
        data(token)
        note("Send it as `Authorization: Bearer …`. It is not shown again.")


@key.command("list")
def list_keys(data_dir: DataDir = None, json: Json = False) -> None:
    """List the keys without their secrets.

    Example: interest-graph key list
    """
    keys = key_store(data_dir).list()
    if json:
        as_json({"items": [_shown(found) for found in keys]})
        return
    table(
        ("key_id", "name", "scopes", "created_at", "rate limit"),
        [
            (
                found.key_id,
                found.name,
                ",".join(sorted(found.scopes)),
                found.created_at,
                str(found.rate_limit_per_minute or ""),
            )
            for found in keys
        ],
    )


def _shown(found: "ApiKey") -> dict[str, object]:
    """What is told of a key."""
    return {
        "key_id": found.key_id,
        "name": found.name,
        "scopes": sorted(found.scopes),
        "created_at": found.created_at,
        "rate_limit_per_minute": found.rate_limit_per_minute,
    }


@key.command("rotate")
def rotate(
    key_id: Annotated[str, typer.Argument(help="As `key list` shows it.")],
    overlap_hours: Annotated[
        float,
        typer.Option("--overlap-hours", min=0, max=720, help="The old key works so long, too."),
    ] = 24.0,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Give a key another secret and print the new key; id, scopes and limit stay.

    Example: interest-graph key rotate 0f1e2d3c4b5a6978 --overlap-hours 1
    """
    token = key_store(data_dir).rotate(key_id, int(overlap_hours * 3600))
    if json:
        as_json({"key": token, "key_id": key_id, "overlap_hours": overlap_hours})
    else:
        data(token)
        note(f"The key of before works for {overlap_hours:g} h more. This is not shown again.")


@key.command("revoke")
def revoke(
    key_id: Annotated[str, typer.Argument(help="As `key list` shows it.")],
    data_dir: DataDir = None,
) -> None:
    """Take a key back; every process refuses it from now on.

    Example: interest-graph key revoke 0f1e2d3c4b5a6978
    """
    key_store(data_dir).revoke(key_id)
    note(f"Key {key_id} is revoked.")
