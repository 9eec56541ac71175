"""Writes made events into a new Neo4j store offline: what no ingest of them has time for."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import polars as pl

from cli.local_stack.java import find_java
from cli.local_stack.neo4j_configuration import Neo4jMemory, configuration, write_configuration
from cli.local_stack.neo4j_jars import fetch_jars
from interest_graph.field_types import category_id
from interest_graph.graph.facts import half_life_ms

if TYPE_CHECKING:
    from cli.local_stack.endpoints import Endpoints
    from cli.local_stack.paths import StackPaths
    from interest_graph.settings import Settings

    from .made_events import MadeEvents

ADMIN_TOOL = "org.neo4j.cli.AdminTool"
HEAP_MB = 2048
KINDS = ("plain", "fine", "large", "small", "old")
LAST_LINES = 20


def import_graph(
    events: MadeEvents, paths: StackPaths, endpoints: Endpoints, settings: Settings
) -> None:
    """Make the graph of some events in a stack whose Neo4j has never run.

    Users, items, categories and events are as ingest leaves them, everything fresh; indexes and
    learned parts are not there yet.

    Args:
        events: The events.
        paths: The stack.
        endpoints: Its ports.
        settings: Declares the event types and how popularity fades.

    Raises:
        RuntimeError: Neo4j's tool failed; with the end of what it printed.
    """
    memory = Neo4jMemory()
    conf = write_configuration(paths.neo4j_home, configuration(endpoints, memory, 0))
    with tempfile.TemporaryDirectory(dir=paths.data_dir, prefix="import-") as name:
        files = _write_files(events, Path(name), settings)
        command = [
            *(str(find_java().executable), f"-Xmx{HEAP_MB}m"),
            *("-cp", f"{fetch_jars()}{os.sep}*", ADMIN_TOOL),
            *("database", "import", "full", "neo4j", "--overwrite-destination=true"),
            f"--report-file={name}/report",
            *files,
        ]
        homes = {"NEO4J_HOME": str(paths.neo4j_home), "NEO4J_CONF": str(conf)}
        done = subprocess.run(  # noqa: S603 our own arguments
            command, env={**os.environ, **homes}, capture_output=True, text=True, check=False
        )
    if done.returncode:
        lines = (done.stdout + done.stderr).splitlines()[-LAST_LINES:]
        raise RuntimeError("\n".join(lines))


def user_id(number: int) -> str:
    """The id of a made user."""
    return f"user-{number}"


def item_id(number: int) -> str:
    """The id of a made item."""
    return f"item-{number}"


def title(number: int, group: int) -> str:
    """What a made item is called."""
    return f"{KINDS[number % len(KINDS)]} thing of kind {group}"


def item_body(number: int, group: int) -> dict[str, Any]:
    """A made item as it would be sent to `POST /v1/items`."""
    return {
        "item_id": item_id(number),
        "title": title(number, group),
        "categories": [[f"Kind {group}"]],
    }


def _write_files(events: MadeEvents, folder: Path, settings: Settings) -> list[str]:
    """Write the tool's CSV files; returns the arguments that name them."""
    groups = int(events.group_of_item.max()) + 1
    category = np.array([category_id([f"Kind {group}"]) for group in range(groups)])
    nodes = {
        "User": _users(events),
        "Item": _items(events, settings),
        "Category": pl.DataFrame(
            {
                "category_id:ID(Category)": category,
                "name": [f"Kind {group}" for group in range(groups)],
                "path": [f"Kind {group}" for group in range(groups)],
            }
        ),
    }
    belongs = pl.DataFrame(
        {
            ":START_ID(Item)": [item_id(row) for row in range(events.items)],
            ":END_ID(Category)": category[events.group_of_item],
        }
    )
    relationships = {"IN_CATEGORY": belongs}
    for code, name in enumerate(settings.relationships):
        relationships[name] = _events_of(events, code)
    arguments = []
    for option, tables in (("nodes", nodes), ("relationships", relationships)):
        for name, table in tables.items():
            path = folder / f"{name}.csv"
            table.write_csv(path, datetime_format="%Y-%m-%dT%H:%M:%S%.3fZ")
            arguments.append(f"--{option}={name}={path}")
    return arguments


def _users(events: MadeEvents) -> pl.DataFrame:
    """All users, fresh."""
    count = np.bincount(events.user, minlength=events.users)
    return pl.DataFrame(
        {
            "user_id:ID(User)": [user_id(row) for row in range(events.users)],
            "known:boolean": False,
            "facts_revision:long": count,
            "refreshed_revision:long": count,
        }
    )


def _items(events: MadeEvents, settings: Settings) -> pl.DataFrame:
    """All items, fresh, with what they say and how popular they are."""
    count = np.bincount(events.item, minlength=events.items)
    weight = np.array([one.weight for one in settings.event_types.values()])[events.kind]
    newest = np.zeros(events.items, np.int64)
    np.maximum.at(newest, events.item, events.time_ms)
    half_life = half_life_ms(settings.popularity_half_life_days)
    left = np.exp2((events.time_ms - newest[events.item]) / half_life)
    return pl.DataFrame(
        {
            "item_id:ID(Item)": [item_id(row) for row in range(events.items)],
            "known:boolean": True,
            "hidden:boolean": False,
            "title": [title(row, group) for row, group in enumerate(events.group_of_item.tolist())],
            "document": [
                orjson.dumps(item_body(row, group)).decode()
                for row, group in enumerate(events.group_of_item.tolist())
            ],
            "event_count:long": count,
            "popularity:double": np.bincount(
                events.item, weights=weight * left, minlength=events.items
            ),
            "popularity_at:datetime": pl.from_epoch(pl.Series(newest), "ms"),
            "catalog_revision:long": 1,
            "facts_revision:long": count + 1,
            "refreshed_revision:long": count + 1,
        }
    )


def _events_of(events: MadeEvents, code: int) -> pl.DataFrame:
    """The events of one type."""
    number = np.flatnonzero(events.kind == code)
    happened = pl.from_epoch(pl.Series("occurred_at:datetime", events.time_ms[number]), "ms")
    name = pl.Series("event_id:string", number).cast(pl.String)
    user = "user-" + pl.Series(events.user[number]).cast(pl.String)
    return pl.DataFrame(
        [
            user.alias(":START_ID(User)"),
            user.alias("history_of:string"),
            ("event-" + name).alias("event_id:string"),
            happened,
            happened.alias("recorded_at:datetime"),
            name.str.zfill(16).alias("body_hash:string"),
            ("item-" + pl.Series(":END_ID(Item)", events.item[number]).cast(pl.String)).alias(
                ":END_ID(Item)"
            ),
        ]
    )
