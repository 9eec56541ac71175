"""Free ports on the loopback address."""

from __future__ import annotations

import contextlib
import fcntl
import random
import socket
from typing import TYPE_CHECKING

from .errors import LocalStackError
from .paths import cache_dir

if TYPE_CHECKING:
    from collections.abc import Iterator

LOOPBACK = "127.0.0.1"
# Below what Linux and macOS hand out for outgoing connections, so that none of those takes a port
# between the moment it is chosen and the moment a server binds it.
CHOSEN_FROM = range(20_000, 32_000)
TRIES = 200


def is_free(port: int) -> bool:
    """Whether a server could bind `port` on the loopback address now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def answers(port: int) -> bool:
    """Whether something listens on `port` of the loopback address."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=0.5):
            return True
    except OSError:
        return False


def free_port(preferred: int | None = None) -> int:
    """Choose a free port: `preferred` if it can be had.

    Raises:
        LocalStackError: No free port was found.
    """
    if preferred and is_free(preferred):
        return preferred
    for port in random.SystemRandom().sample(CHOSEN_FROM, TRIES):
        if is_free(port):
            return port
    msg = f"no free port between {CHOSEN_FROM.start} and {CHOSEN_FROM.stop}"
    raise LocalStackError(msg, "stop what occupies them; `ss -ltnp` lists who listens where")


@contextlib.contextmanager
def port_choice() -> Iterator[None]:
    """Let one stack at a time choose ports and bind them.

    Two stacks that start together would otherwise choose the same ones.
    """
    lock_file = cache_dir() / "ports.lock"
    lock_file.parent.mkdir(parents=True, exist_ok=True)
    with lock_file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
