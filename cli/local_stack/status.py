"""What a stack is doing: processes, addresses, versions, queues, what is stale."""

from __future__ import annotations

import contextlib
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from interest_graph.errors import InterestGraphError

from .endpoints import read_endpoints
from .neo4j_jars import neo4j_version
from .neo4j_server import NEO4J
from .process import read_process
from .programs import API, REFRESH, TRAINING, worker_names
from .redis_server import REDIS
from .stack import own_neo4j, own_redis

if TYPE_CHECKING:
    from interest_graph.settings import Settings

    from .paths import StackPaths

TIMEOUT_S = 2.0


@dataclass(slots=True)
class Status:
    """The state of a stack; its fields are those of `status --json`."""

    ready: bool
    api_url: str
    neo4j_uri: str
    redis_url: str
    broker_url: str
    browser_url: str | None
    data_dir: str
    pids: dict[str, int] = field(default_factory=dict)
    dead: list[str] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str | None] = field(default_factory=dict)
    queue_lengths: dict[str, int] = field(default_factory=dict)
    log_length: int | None = None
    partitions: list[dict[str, Any]] = field(default_factory=list)
    dead_letters: int | None = None
    stale_backlog: dict[str, Any] | None = None
    graph: dict[str, int] | None = None


def read_status(paths: StackPaths, settings: Settings) -> Status:
    """Ask every process and server how it is; nothing that is away makes this fail."""
    endpoints = read_endpoints(paths)
    status = Status(
        ready=False,
        api_url=f"http://{settings.api_host}:{settings.api_port}",
        neo4j_uri=settings.neo4j_uri,
        redis_url=settings.log_url,
        broker_url=settings.broker_url,
        browser_url=endpoints.browser_url if endpoints and not own_neo4j() else None,
        data_dir=str(paths.data_dir),
    )
    status.versions = {"interest_graph": _own_version(), "python": sys.version.split()[0]}
    if not own_neo4j():
        status.versions["neo4j"] = neo4j_version()
    _read_processes(status, paths, settings)
    for name, read in (
        ("redis", _read_redis),
        ("log", _read_log),
        ("serving state", _read_model),
        ("neo4j", _read_graph),
        ("api", _read_api),
    ):
        try:
            read(status, settings)
        except (InterestGraphError, OSError) as error:
            status.missing[name] = str(error) or type(error).__name__
    status.ready = not status.dead and not status.missing
    return status


def _own_version() -> str | None:
    """Version of this distribution, when it is installed."""
    try:
        return version("interest-graph")
    except PackageNotFoundError:
        return None


def _read_processes(status: Status, paths: StackPaths, settings: Settings) -> None:
    """Which processes run, and which should and do not."""
    expected = [API, *worker_names(settings)]
    expected += [] if own_redis() else [REDIS]
    expected += [] if own_neo4j() else [NEO4J]
    for name in expected:
        process = read_process(paths, name)
        if process is not None and process.alive:
            status.pids[name] = process.pid
        else:
            status.dead.append(name)


def _read_redis(status: Status, settings: Settings) -> None:
    """Lengths of the log and the queues."""
    from redis import Redis
    from redis.exceptions import RedisError

    from interest_graph.redis_client import DEAD_LETTERS

    try:
        with contextlib.closing(_client(Redis, settings.log_url)) as log:
            status.versions["redis"] = str(log.info("server")["redis_version"])
            status.dead_letters = int(log.xlen(DEAD_LETTERS))
        with contextlib.closing(_client(Redis, settings.broker_url)) as broker:
            status.queue_lengths = {queue: int(broker.llen(queue)) for queue in (REFRESH, TRAINING)}
    except RedisError as error:
        msg = f"Redis does not answer: {type(error).__name__}"
        raise InterestGraphError(msg) from error


def _read_log(status: Status, settings: Settings) -> None:
    """Entries and owner of each partition of the log."""
    from interest_graph.event_stream import EventStream
    from interest_graph.redis_client import connect

    with contextlib.closing(connect(settings.log_url, settings)) as client:
        stream = EventStream(client, settings)
        lengths, leases = stream.lengths(), stream.leases()
    status.log_length = sum(lengths)
    for partition, entries in enumerate(lengths):
        lease = leases.get(partition)
        owner = lease.owner if lease and lease.left_s else None
        status.partitions.append({"partition": partition, "entries": entries, "owner": owner})


def _read_model(status: Status, settings: Settings) -> None:
    """The model in service; none before the first training."""
    from interest_graph.redis_client import connect
    from interest_graph.serving_state import ServingState

    with contextlib.closing(connect(settings.serving_url, settings)) as client:
        manifest, _ = ServingState(client, settings).head()
    status.versions["model"] = manifest.model_version if manifest else None


def _client(redis: Any, url: str) -> Any:
    """A client that gives up soon."""
    return redis.from_url(
        url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S, decode_responses=True
    )


def _read_graph(status: Status, settings: Settings) -> None:
    """Size of the graph, and what in it waits for a refresh."""
    from interest_graph.graph.reads import count_graph, count_stale
    from interest_graph.graph.store import GraphStore

    with contextlib.closing(GraphStore(settings)) as graph:
        status.graph = graph.read(count_graph)
        status.stale_backlog = graph.read(count_stale)


def _read_api(status: Status, _settings: Settings) -> None:
    """Whether the API answers."""
    url = f"{status.api_url}/v1/health/live"
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S):  # noqa: S310 the stack's own address
            return
    except urllib.error.URLError as error:
        msg = f"the API does not answer: {error.reason}"
        raise InterestGraphError(msg) from error
