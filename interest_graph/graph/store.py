"""The connection to Neo4j: transactions, retries and errors of our own."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from cypher.statement import load, load_for, load_for_all

from ..errors import GraphOverloadedError, GraphUnavailableError, SettingsError
from .lean_driver import neo4j

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ..settings import Settings

T = TypeVar("T")
Row = dict[str, Any]
RETRY_S = 10.0
"""How long what may succeed later is tried again."""
FIRST_PAUSE_S = 0.05
"""Before the first retry, then twice as long each time: most deadlocks are over at once."""
MADE_MEANWHILE = "Neo.ClientError.Schema.EquivalentSchemaRuleAlreadyExists"
"""What `IF NOT EXISTS` says of a rule that somebody else is making at the same moment."""
ALONE_TIMEOUT_S = 3600.0
"""For statements that go through the whole graph: longer than the server lets others run."""


class GraphStore:
    """A driver with the settings' timeouts; nothing connects before the first transaction.

    `on_retry` is called whenever a write transaction is tried again, after a deadlock for example.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.on_retry: Callable[[], object] = lambda: None
        self._driver = neo4j.GraphDatabase.driver(
            settings.neo4j_uri,
            auth=(settings.neo4j_user, settings.neo4j_password.get_secret_value()),
            connection_timeout=5.0,
            connection_acquisition_timeout=10.0,
            max_transaction_retry_time=RETRY_S,
            initial_retry_delay=FIRST_PAUSE_S,
            notifications_min_severity="OFF",
        )

    def close(self) -> None:
        """Close every connection."""
        self._driver.close()

    def read(self, work: Callable[[neo4j.ManagedTransaction], T]) -> T:
        """Run `work` in a read transaction; the driver retries what is transient.

        Raises:
            GraphUnavailableError: Neo4j does not answer.
        """
        with self._session(neo4j.READ_ACCESS) as session:
            return session.execute_read(self._timed(work))

    def write(
        self, work: Callable[[neo4j.ManagedTransaction], T], timeout_s: float | None = None
    ) -> T:
        """Run `work` in one write transaction; deadlocks and lost connections are retried.

        Args:
            work: May run several times; `on_retry` is told of every time but the first.
            timeout_s: Seconds until it is given up; by default those of the settings.

        Raises:
            GraphOverloadedError: It took too much memory or time.
            GraphUnavailableError: Neo4j does not answer.
        """
        attempts = 0

        def counted(tx: neo4j.ManagedTransaction) -> T:
            nonlocal attempts
            attempts += 1
            if attempts > 1:
                self.on_retry()
            return work(tx)

        with self._session(neo4j.WRITE_ACCESS) as session:
            return session.execute_write(self._timed(counted, timeout_s))

    def run_alone(self, path: str, relationship: str | None = None) -> list[Row]:
        """Run a statement that cannot share a transaction: schema changes.

        Like a transaction it is tried again when it lost a deadlock or the connection.

        Raises:
            GraphUnavailableError: Neo4j does not answer.
        """
        text = load_for(path, relationship) if relationship else load(path).text
        query = neo4j.Query(text, timeout=ALONE_TIMEOUT_S)
        pause_s, until = FIRST_PAUSE_S, time.monotonic() + RETRY_S
        while True:
            try:
                with self._session(neo4j.WRITE_ACCESS) as session:
                    return _rows(session.run(query))
            except (GraphUnavailableError, neo4j.exceptions.ClientError) as error:
                passing = isinstance(error, GraphUnavailableError) or error.code == MADE_MEANWHILE
                if not passing or time.monotonic() + pause_s > until:
                    raise
                time.sleep(pause_s)
                pause_s *= 2

    def _timed(
        self, work: Callable[[neo4j.ManagedTransaction], T], timeout_s: float | None = None
    ) -> Callable[[neo4j.ManagedTransaction], T]:
        """The work with a transaction timeout."""
        return neo4j.unit_of_work(timeout=timeout_s or self._settings.neo4j_timeout_s)(work)

    @contextmanager
    def _session(self, access: str) -> Iterator[neo4j.Session]:
        """A session whose errors are ours."""
        try:
            with self._driver.session(
                database=self._settings.neo4j_database, default_access_mode=access
            ) as session:
                yield session
        except neo4j.exceptions.AuthError as error:
            msg = "Neo4j refuses the user name or password of the settings"
            raise SettingsError(msg) from error
        except neo4j.exceptions.Neo4jError as error:
            if error.is_retryable() or not _about_the_data(error):
                msg = f"Neo4j cannot do it now: {error.code}"
                too_much = _about_the_size(error)
                raise (GraphOverloadedError if too_much else GraphUnavailableError)(msg) from error
            raise
        except neo4j.exceptions.DriverError as error:
            msg = "Neo4j does not answer"
            raise GraphUnavailableError(msg) from error


def _about_the_data(error: neo4j.exceptions.Neo4jError) -> bool:
    """Whether trying again is useless: the statement or its parameters are at fault.

    A full disk, a time-out or a read-only database says nothing about what was to be written.
    """
    return str(error.code).startswith(("Neo.ClientError.Statement.", "Neo.ClientError.Schema."))


def _about_the_size(error: neo4j.exceptions.Neo4jError) -> bool:
    """Whether there was no memory or time for the transaction; its code names which limit."""
    code = str(error.code)
    return code.endswith("OutOfMemoryError") or ".Transaction.TransactionTimedOut" in code


def run(tx: neo4j.ManagedTransaction, path: str, **parameters: object) -> list[Row]:
    """The rows of the statement in `cypher/<path>.cypher`."""
    return _rows(tx.run(load(path).text, parameters))


def run_for(
    tx: neo4j.ManagedTransaction, path: str, relationship: str, **parameters: object
) -> list[Row]:
    """The rows of a template for one declared relationship type."""
    return _rows(tx.run(load_for(path, relationship), parameters))


def run_for_all(
    tx: neo4j.ManagedTransaction, path: str, relationships: Sequence[str], **parameters: object
) -> list[Row]:
    """The rows of a template for several declared relationship types at once."""
    return _rows(tx.run(load_for_all(path, tuple(relationships)), parameters))


def _rows(result: neo4j.Result) -> list[Row]:
    """All rows. `Result.data` would look into every number of every embedding for a node."""
    return [dict(record) for record in result]
