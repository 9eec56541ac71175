"""The connection to a real Neo4j: its errors become ours."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
from neo4j.exceptions import ClientError, Neo4jError
from pydantic import SecretStr

from interest_graph.errors import GraphOverloadedError, GraphUnavailableError, SettingsError
from interest_graph.graph import reads
from interest_graph.graph.store import GraphStore

if TYPE_CHECKING:
    import neo4j

    from interest_graph.settings import Settings

ENDLESS = "UNWIND range(1, 1000000000000) AS n RETURN sum(n)"


def test_a_wrong_password_is_a_fault_of_the_settings(migrated: None, settings: Settings) -> None:
    """A password that Neo4j refuses is not retried on: the error names the settings."""
    wrong = settings.model_copy(update={"neo4j_password": SecretStr("wrong-password")})
    store = GraphStore(wrong)
    with pytest.raises(SettingsError, match="password"):
        store.read(reads.check_connection)
    store.close()


def test_a_statement_that_fails_is_not_transient(graph: GraphStore) -> None:
    """What Neo4j rejects for good is raised as it is, so that nobody waits for it."""
    with pytest.raises(ClientError):
        graph.read(lambda tx: tx.run("RETURN 1 / 0 AS x").data())


def test_a_failed_transaction_leaves_nothing(graph: GraphStore, query: Any) -> None:
    """An error after a statement takes the statement back."""

    def half(tx: Any) -> None:
        tx.run("CREATE (:User {user_id: 'half'})").consume()
        message = "midway"
        raise RuntimeError(message)

    with pytest.raises(RuntimeError):
        graph.write(half)
    assert query("MATCH (u:User) RETURN u") == []


@pytest.mark.parametrize(
    ("code", "transient"),
    [
        ("Neo.ClientError.Schema.ConstraintValidationFailed", False),
        ("Neo.ClientError.Statement.TypeError", False),
        ("Neo.ClientError.Transaction.TransactionTimedOut", True),
        ("Neo.DatabaseError.General.UnknownError", True),
    ],
)
def test_only_faults_of_the_data_are_worth_burying(
    graph: GraphStore, code: str, *, transient: bool
) -> None:
    """A full disk or a time-out is waited for; what the data are at fault for is not."""

    def fail(_: Any) -> None:
        raise Neo4jError._hydrate_neo4j(code=code, message="made for a test")

    with pytest.raises(GraphUnavailableError if transient else Neo4jError):
        graph.write(fail)


@pytest.mark.parametrize(
    ("code", "overloaded"),
    [
        ("Neo.TransientError.General.MemoryPoolOutOfMemoryError", True),
        ("Neo.ClientError.General.TransactionOutOfMemoryError", True),
        ("Neo.ClientError.Transaction.TransactionTimedOutClientConfiguration", True),
        ("Neo.TransientError.Transaction.DeadlockDetected", False),
        ("Neo.TransientError.General.DatabaseUnavailable", False),
    ],
)
def test_what_a_smaller_transaction_may_get_past_is_told_apart(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, code: str, *, overloaded: bool
) -> None:
    """Too little memory or time is another error than a Neo4j that is away or busy."""
    monkeypatch.setattr("interest_graph.graph.store.RETRY_S", 0.1)
    store = GraphStore(settings)

    def fail(_: Any) -> None:
        raise Neo4jError._hydrate_neo4j(code=code, message="made for a test")

    with pytest.raises(GraphUnavailableError) as caught:
        store.write(fail)
    store.close()
    assert isinstance(caught.value, GraphOverloadedError) == overloaded


def test_a_transaction_that_takes_too_long_is_too_much(migrated: None, settings: Settings) -> None:
    """Neo4j ends it, and its error says that less might have passed."""
    store = GraphStore(settings.model_copy(update={"neo4j_timeout_s": 1.0}))
    with pytest.raises(GraphOverloadedError):
        store.write(lambda tx: tx.run(ENDLESS).consume())
    store.close()


def test_a_row_is_read_without_a_look_at_each_byte(graph: GraphStore) -> None:
    """What reading costs does not follow the length of what a property holds."""
    stored, calls = b"\x01\x02" * 5_000, 0

    def counted(_frame: object, event: str, _what: object) -> None:
        nonlocal calls
        calls += event == "call"

    def work(tx: neo4j.ManagedTransaction) -> None:
        tx.run("CREATE (:Item {item_id: 'i-1', text_embedding: $stored})", stored=stored).consume()
        before = sys.getprofile()
        sys.setprofile(counted)
        try:
            (row,) = reads.fetch_item_subgraph(tx, ["i-1"], 5)
        finally:
            sys.setprofile(before)
        assert row["text_embedding"] == stored

    graph.write(work)
    assert calls < len(stored)
