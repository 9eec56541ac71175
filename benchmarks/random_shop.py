"""A shop of random weights on a Redis of its own: what serving alone costs."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import redis
from safetensors.torch import save_file

from cli.local_stack.redis_server import configuration, find_redis, redis_url
from interest_graph import redis_client as keys
from interest_graph.api_key import ApiKeyStore
from interest_graph.history import HistoryEvent, pack
from interest_graph.item_matrix import with_spare_rows
from interest_graph.settings import Settings
from models.interest_encoder import InterestEncoder, InterestEncoderConfig

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSION = "20260101T000000Z-00000001"
DAY_MS = 86_400_000
PURCHASES = 0.2  # of all events


@dataclass(frozen=True, slots=True)
class ShopSize:
    """How large the shop is.

    Args:
        items: Items in the catalogue.
        users: Users with a history.
        events: Events in each history.
        edges: Item edges that leave an item.
        seed: Of everything random.
    """

    items: int = 12_101
    users: int = 2_000
    events: int = 9
    edges: int = 50
    seed: int = 0


@dataclass(frozen=True, slots=True)
class RandomShop:
    """A shop that can be served.

    Args:
        settings: What an API process runs with.
        environment: The same as variables.
        token: A key for everything.
        users: Ids of the users.
    """

    settings: Settings
    environment: dict[str, str]
    token: str
    users: list[str]


@contextmanager
def random_shop(size: ShopSize) -> Iterator[RandomShop]:
    """A shop in Redis and on disk while this lasts; there is no graph."""
    with tempfile.TemporaryDirectory(prefix="shop-") as folder, _redis(Path(folder)) as url:
        models_dir, metrics_dir = Path(folder, "models"), Path(folder, "metrics")
        metrics_dir.mkdir()
        variables = {
            "log_url": url,
            "serving_url": url,
            "broker_url": url,
            "models_dir": str(models_dir),
            "metrics_dir": str(metrics_dir),
            "rate_limit_per_minute": "1000000",
        }
        environment = {f"INTEREST_GRAPH_{k.upper()}": value for k, value in variables.items()}
        settings = Settings(**variables)  # type: ignore[arg-type] # pydantic reads text
        client = redis.Redis.from_url(url)
        rng = np.random.default_rng(size.seed)
        item_ids = [f"item-{row:06}" for row in range(size.items)]
        _write_model(models_dir / VERSION, item_ids, size, rng)
        _write_catalogue(client, item_ids)
        users = _write_users(client, item_ids, size, rng)
        client.hset(keys.MANIFEST, mapping={"model_version": VERSION, "epoch": 0})
        token = ApiKeyStore(client).create(["read", "events:write"], "benchmark")
        yield RandomShop(settings, environment, token, users)


@contextmanager
def _redis(folder: Path) -> Iterator[str]:
    """A Redis, set up as the local stack sets it up."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    conf = folder / "redis.conf"
    conf.write_text(configuration(folder, port), encoding="utf-8")
    process = subprocess.Popen([find_redis(), conf], stdout=subprocess.DEVNULL)  # noqa: S603 our own arguments
    try:
        client = redis.Redis(port=port, retry=redis.retry.Retry(_patience(), 50))
        client.ping()
        yield redis_url(folder, port)
    finally:
        process.terminate()
        process.wait()


def _patience() -> redis.backoff.AbstractBackoff:
    """A tenth of a second between tries."""
    return redis.backoff.ConstantBackoff(0.1)


def _write_model(
    directory: Path, item_ids: list[str], size: ShopSize, rng: np.random.Generator
) -> None:
    """A published directory as `ItemMatrix` and `interest.InterestEncoder` read it."""
    directory.mkdir(parents=True)
    config = InterestEncoderConfig()
    count = len(item_ids)
    rows = rng.integers(0, count, (count, size.edges))
    rows[:, 0] = np.arange(count)  # an edge to itself: a thing may be wanted again
    arrays = {
        "item_embeddings": rng.normal(0, 0.1, (count, config.dim)),
        "item_bias": rng.normal(0, 0.1, count),
        "neighbor_weights": rng.random((count, size.edges)),
    }
    np.save(directory / "neighbor_rows.npy", with_spare_rows(rows.astype(np.int32), -1))
    for name, array in arrays.items():
        np.save(directory / f"{name}.npy", with_spare_rows(array.astype(np.float32)))
    encoder = InterestEncoder(config)
    save_file(encoder.state_dict(), directory / "interest_encoder.safetensors")
    (directory / "items.json").write_bytes(orjson.dumps(item_ids))
    described = {"model_version": VERSION, "dim": config.dim}
    (directory / "config.json").write_bytes(orjson.dumps(described))


def _write_catalogue(client: redis.Redis, item_ids: list[str]) -> None:
    """A document of every item."""
    for start in range(0, len(item_ids), 5000):
        part = item_ids[start : start + 5000]
        pipeline = client.pipeline()
        documents: dict[Any, Any] = {
            item_id: orjson.dumps(
                {"item_id": item_id, "title": f"Title of {item_id}", "categories": [["All"]]}
            )
            for item_id in part
        }
        pipeline.hset(keys.ITEMS, mapping=documents)
        pipeline.zadd(keys.ITEM_REVISIONS, dict.fromkeys(part, 1))
        pipeline.set(keys.CATALOG_REVISION, 1)
        pipeline.execute()


def _write_users(
    client: redis.Redis, item_ids: list[str], size: ShopSize, rng: np.random.Generator
) -> list[str]:
    """Histories and seen items."""
    purchase = list(Settings().event_types).index("purchase")
    users = [f"user-{number:06}" for number in range(size.users)]
    now_ms = int(client.time()[0]) * 1000
    pipeline = client.pipeline()
    for number, user in enumerate(users):
        times = np.sort(now_ms - rng.integers(0, 90 * DAY_MS, size.events))
        items = rng.integers(0, len(item_ids), size.events)
        types = np.where(rng.random(size.events) < PURCHASES, purchase, 0)
        events = [
            HistoryEvent(int(time), f"e-{number}-{place}", item_ids[item], int(kind), 1)
            for place, (time, item, kind) in enumerate(zip(times, items, types, strict=True))
        ]
        pipeline.hset(
            keys.user_key(user),
            mapping={
                "h": pack(events),
                "n": len(events),
                "r": number + 1,
                "v": f"written-{number}",
            },
        )
        members = [
            keys.seen_member(e.item_id, purchase) for e in events if e.event_type == purchase
        ]
        if members:
            pipeline.sadd(keys.seen_key(user), *members)
        if number % 500 == 0:
            pipeline.execute()
    pipeline.execute()
    return users


def environment_of(shop: RandomShop) -> dict[str, str]:
    """The environment in which an API process serves the shop."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("INTEREST_GRAPH_")}
    return {**kept, **shop.environment, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
