"""Ports and password of a stack's managed servers: chosen once, kept, and free when needed."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from .paths import write_private
from .ports import LOOPBACK, free_port, is_free

if TYPE_CHECKING:
    from collections.abc import Collection

    from .paths import StackPaths

PREFERRED = {"bolt_port": 7687, "browser_port": 7474, "redis_port": 6379, "api_port": 8000}


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where the managed servers of one stack answer, all on the loopback address."""

    bolt_port: int
    browser_port: int
    redis_port: int
    api_port: int
    neo4j_password: str

    @property
    def neo4j_uri(self) -> str:
        """Bolt address of the managed Neo4j."""
        return f"bolt://{LOOPBACK}:{self.bolt_port}"

    @property
    def browser_url(self) -> str:
        """Address of Neo4j's own pages: the graph browser."""
        return f"http://{LOOPBACK}:{self.browser_port}/browser/"

    @property
    def broker_url(self) -> str:
        """Redis with Celery's wake-ups."""
        return f"redis://{LOOPBACK}:{self.redis_port}/1"


def choose_endpoints(*, preferred: bool = True) -> Endpoints:
    """Choose free ports and a random password.

    Args:
        preferred: Take the servers' usual ports where they are free.
    """
    wanted = PREFERRED if preferred else dict.fromkeys(PREFERRED)
    ports: dict[str, int] = {}
    for name, port in wanted.items():
        chosen = free_port(port)
        while chosen in ports.values():
            chosen = free_port()
        ports[name] = chosen
    return Endpoints(**ports, neo4j_password=secrets.token_urlsafe(24))


def read_endpoints(paths: StackPaths) -> Endpoints | None:
    """The endpoints of the stack, if it has ever been started."""
    try:
        return Endpoints(**json.loads(paths.endpoints_file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None


def settle_endpoints(paths: StackPaths, in_use: Collection[str]) -> Endpoints:
    """The endpoints to start with: those of last time, with another port where one is taken.

    Args:
        paths: The stack.
        in_use: Names of the ports that belong to servers of this stack which already run.
    """
    known = read_endpoints(paths)
    if known is None:
        known = choose_endpoints()
    ports = {name: int(getattr(known, name)) for name in PREFERRED}
    for name, port in ports.items():
        if name not in in_use and not is_free(port):
            ports[name] = free_port()
    endpoints = Endpoints(**ports, neo4j_password=known.neo4j_password)
    write_private(paths.endpoints_file, json.dumps(asdict(endpoints), indent=1))
    return endpoints
