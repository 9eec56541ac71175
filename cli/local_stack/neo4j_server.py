"""The managed Neo4j: start it from its jars, wait for Bolt, give it its password."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from cypher.statement import load

from .errors import LocalStackError
from .java import find_java
from .neo4j_configuration import JVM_OPTIONS, Neo4jMemory, configuration, write_configuration
from .neo4j_jars import fetch_jars
from .ports import answers
from .process import BEHIND_REQUESTS, POLL_S, Program, is_running, last_lines, start
from .report import Report, silent

if TYPE_CHECKING:
    from collections.abc import Callable

    from .endpoints import Endpoints
    from .paths import StackPaths

NEO4J = "neo4j"
FIRST_PASSWORD = "neo4j"  # noqa: S105 what every new Neo4j has until it is changed, below
ENTRY_POINT = "org.neo4j.server.CommunityEntryPoint"
STARTING = "Starting Neo4j"
# After a SIGKILL it recovers its transactions first: up to a minute on a slow machine.
START_TIMEOUT_S = 180.0
USUAL_START_S = 10
TRANSACTION_TIMEOUT_S = 60


def start_neo4j(
    paths: StackPaths,
    endpoints: Endpoints,
    memory: Neo4jMemory | None = None,
    report: Report = silent,
) -> None:
    """Start Neo4j below `paths.neo4j_home` unless it runs, and wait until its password works.

    Raises:
        LocalStackError: Java or the jars cannot be had, or Neo4j did not come up.
    """
    if not is_running(paths, NEO4J):
        java, jars = find_java(), fetch_jars(report)
        memory = memory or Neo4jMemory()
        home = paths.neo4j_home
        text = configuration(endpoints, memory, TRANSACTION_TIMEOUT_S)
        conf = write_configuration(home, text)
        command = (
            str(java.executable),
            *memory.jvm_options,
            *JVM_OPTIONS,
            *("-cp", f"{jars}{os.sep}*", ENTRY_POINT),
            *(f"--home-dir={home}", f"--config-dir={conf}"),
        )
        start(Program(NEO4J, command, niceness=BEHIND_REQUESTS), paths)
    _wait_for_bolt(paths, endpoints, report)
    _ensure_password(endpoints)


def _wait_for_bolt(paths: StackPaths, endpoints: Endpoints, report: Report) -> None:
    """Wait until the Bolt port answers."""
    began = time.monotonic()
    while not answers(endpoints.bolt_port):
        waited = time.monotonic() - began
        report(STARTING, min(int(waited * 10), USUAL_START_S * 10 - 1), USUAL_START_S * 10)
        if not is_running(paths, NEO4J):
            msg = f"Neo4j ended while starting:\n{_why(paths)}"
            raise LocalStackError(msg, f"read {paths.neo4j_home / 'logs'}")
        if waited > START_TIMEOUT_S:
            msg = f"Neo4j did not answer within {START_TIMEOUT_S:.0f} s:\n{_why(paths)}"
            raise LocalStackError(msg, f"read {paths.neo4j_home / 'logs'}")
        time.sleep(POLL_S)
    report(STARTING, USUAL_START_S * 10, USUAL_START_S * 10)


def _why(paths: StackPaths) -> str:
    """The end of what Neo4j wrote."""
    own = paths.neo4j_home / "logs" / "neo4j.log"
    lines = own.read_text(encoding="utf-8", errors="replace").splitlines() if own.exists() else []
    return "\n".join([last_lines(paths, NEO4J), *lines[-8:]]).strip()


def _ensure_password(endpoints: Endpoints) -> None:
    """Log in; on a new Neo4j change the first password to the stack's own.

    Raises:
        LocalStackError: Neither password is right, or Neo4j did not get as far in time.
    """
    deadline = time.monotonic() + START_TIMEOUT_S
    # Again at the end, since the password may be changed although the answer was lost.
    for attempt in (_log_in, _change_password, _log_in):
        if _takes(attempt, endpoints, deadline):
            return
    msg = "the managed Neo4j does not take the password of this data directory"
    raise LocalStackError(
        msg, "use another --data-dir, or remove this one if its graph is not needed"
    )


def _takes(attempt: Callable[[Endpoints], None], endpoints: Endpoints, deadline: float) -> bool:
    """Whether Neo4j takes the password of an attempt, which is made until it can tell.

    Its port answers a moment before its databases do, and its first change of a password is slow.

    Raises:
        LocalStackError: The time is over.
    """
    from neo4j.exceptions import AuthError, DriverError, Neo4jError

    while True:
        try:
            attempt(endpoints)
        except AuthError:
            return False
        except (DriverError, Neo4jError) as error:
            if time.monotonic() > deadline:
                msg = f"Neo4j answers, but was not ready within {START_TIMEOUT_S:.0f} s: {error}"
                raise LocalStackError(
                    msg, "try again; a slow machine may need it, and what is done is kept"
                ) from error
            time.sleep(POLL_S)
        else:
            return True


def _log_in(endpoints: Endpoints) -> None:
    """Connect with the stack's password and ask the server whether it is ready."""
    from neo4j import GraphDatabase

    auth = ("neo4j", endpoints.neo4j_password)
    with GraphDatabase.driver(endpoints.neo4j_uri, auth=auth, telemetry_disabled=True) as driver:
        driver.execute_query(load("read/check_connection").text, database_="neo4j")


def _change_password(endpoints: Endpoints) -> None:
    """Change the first password over Bolt."""
    from neo4j import GraphDatabase

    with GraphDatabase.driver(
        endpoints.neo4j_uri, auth=("neo4j", FIRST_PASSWORD), telemetry_disabled=True
    ) as driver:
        driver.execute_query(
            load("system/change_password").text,
            old_password=FIRST_PASSWORD,
            new_password=endpoints.neo4j_password,
            database_="system",
        )
