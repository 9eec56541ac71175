"""The managed Neo4j gets its password, however long it takes to be ready for that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from neo4j.exceptions import AuthError, ServiceUnavailable, SessionExpired

from cli.local_stack import neo4j_server
from cli.local_stack.endpoints import choose_endpoints
from cli.local_stack.errors import LocalStackError

if TYPE_CHECKING:
    from collections.abc import Sequence


class Server:
    """Answers each attempt to log in, or to change the password, with what is next."""

    def __init__(
        self, log_in: Sequence[Exception | None], change: Sequence[Exception | None] = ()
    ) -> None:
        self.answers = {"log_in": list(log_in), "change": list(change)}

    def log_in(self, _: object) -> None:
        """As `_log_in`."""
        self._answer("log_in")

    def change(self, _: object) -> None:
        """As `_change_password`."""
        self._answer("change")

    def _answer(self, attempt: str) -> None:
        error = self.answers[attempt].pop(0)
        if error is not None:
            raise error


def ensure_password(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the start does, without waiting between attempts; all answers must be asked for."""
    monkeypatch.setattr(neo4j_server, "_log_in", server.log_in)
    monkeypatch.setattr(neo4j_server, "_change_password", server.change)
    monkeypatch.setattr(neo4j_server, "POLL_S", 0)
    neo4j_server._ensure_password(choose_endpoints(preferred=False))
    assert server.answers == {"log_in": [], "change": []}


def test_it_waits_until_neo4j_can_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its port answers before its databases do, and the first change of a password may be slow."""
    slow = [ServiceUnavailable("not yet"), SessionExpired("not yet")]
    ensure_password(Server([*slow, AuthError("no")], [*slow, None]), monkeypatch)
    ensure_password(Server([*slow, None]), monkeypatch)


def test_a_change_whose_answer_was_lost_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the first password is wrong, and the stack's own is right."""
    lost = [ServiceUnavailable("gone"), AuthError("no")]
    ensure_password(Server([AuthError("no"), None], lost), monkeypatch)


def test_another_s_password_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where neither is right, with what to do about it."""
    with pytest.raises(LocalStackError, match="does not take the password") as caught:
        ensure_password(Server([AuthError("no")] * 2, [AuthError("no")]), monkeypatch)
    assert "--data-dir" in caught.value.remedy


def test_a_neo4j_that_never_gets_ready_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the time that a start may take, by the reason and not by a traceback."""
    monkeypatch.setattr(neo4j_server, "START_TIMEOUT_S", 0.0)
    server = Server([AuthError("no")], [ServiceUnavailable("not yet")] * 100)
    with pytest.raises(LocalStackError, match="not ready within 0 s: not yet"):
        ensure_password(server, monkeypatch)
