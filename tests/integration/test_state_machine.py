"""Send, resend, conflict, delete, create again, in any order: the stores equal a plain model."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    precondition,
    rule,
    run_state_machine_as_test,
)

from interest_graph.accepted import Status
from interest_graph.dead_letters import DeadLetters
from interest_graph.history import unpack
from interest_graph.ingest import ingest
from interest_graph.rebuild import ServingRebuild
from interest_graph.redis_client import event_key, user_key
from tests.integration.log_reading import read_log

if TYPE_CHECKING:
    import redis

    from interest_graph.documents import Documents
    from interest_graph.event import Event
    from interest_graph.event_stream import EventStream
    from interest_graph.graph.store import GraphStore
    from interest_graph.settings import Settings
    from tests.integration.conftest import MakeEvent, Query

EXAMPLES, STEPS = 10, 25
USERS = st.integers(0, 2)
FACTS = """
MATCH (u:User)-[e]->(:Item) WHERE e.event_id STARTS WITH $prefix
RETURN u.user_id AS user, e.event_id AS id, e.value AS value, e.occurred_at.epochMillis AS at,
  e.flagged AS flagged"""
NODES = """
UNWIND $users AS id
RETURN id, EXISTS { (:User {user_id: id}) } AS known,
  EXISTS { (:ErasedUser {user_id: id}) } AS erased
"""


@dataclass
class Person:
    """A user in the model."""

    facts: dict[str, Event] = field(default_factory=dict)
    described: bool = False
    erased: bool = False
    since_ms: int = 0

    @property
    def known(self) -> bool:
        """Whether there is anything to delete."""
        return bool(self.facts) or self.described


class Model(RuleBasedStateMachine):
    """The service beside a plain model of it."""

    sent = Bundle("sent")
    events: EventStream
    documents: Documents
    graph: GraphStore
    client: redis.Redis
    configuration: Settings
    make_event: MakeEvent
    query: Query

    def __init__(self) -> None:
        super().__init__()
        self.prefix = f"m{uuid.uuid4().hex[:8]}"
        self.people = {number: Person() for number in range(3)}
        self.window: dict[str, str] = {}
        self.dead = 0
        self.number = 0
        self.rebuild = ServingRebuild(self.graph, self.client, self.events, self.configuration)

    def name(self, user: int) -> str:
        """The id of a user."""
        return f"{self.prefix}-u{user}"

    @rule(
        target=sent,
        user=USERS,
        item=st.integers(0, 4),
        hours=st.sampled_from([0, 0, 0, 1, 50]),
        bot=st.sampled_from([False, False, True]),
    )
    def send(self, user: int, item: int, hours: int, *, bot: bool) -> tuple[int, Event]:
        """A new event, now or late, now and then of a bot."""
        self.number += 1
        event = self.make_event(
            f"{self.prefix}-e{self.number}",
            self.name(user),
            f"{self.prefix}-i{item}",
            "view",
            time.time() - 3600 * hours,
            value=1.0,
            properties={"bot": bot},
        )
        self.expect(user, event, Status.ACCEPTED)
        return user, event

    @rule(one=sent)
    def resend(self, one: tuple[int, Event]) -> None:
        """The same again."""
        self.expect(*one, Status.DUPLICATE)

    @rule(one=sent, value=st.floats(2, 9))
    def conflict(self, one: tuple[int, Event], value: float) -> None:
        """The same id with another body."""
        user, event = one
        other = replace(event, value=value, body_hash=f"{value:.12f}"[:16])
        self.expect(user, other, Status.CONFLICT)

    @rule(user=USERS)
    def put(self, user: int) -> None:
        """The shop describes a user, perhaps again."""
        person = self.people[user]
        self.documents.put([{"user_id": self.name(user)}])
        if person.erased:
            person.since_ms = int(self.client.hget(user_key(self.name(user)), "c") or 0)
            assert person.since_ms
        person.described, person.erased = True, False

    @rule(user=USERS)
    def delete(self, user: int) -> None:
        """The shop deletes a user."""
        if not self.people[user].known:
            return
        self.documents.delete(self.name(user))
        self.people[user] = Person(erased=True)

    @rule()
    def drain(self) -> None:
        """What the ingest worker does."""
        while entries := read_log(self.events, 7):
            done = ingest(entries, self.graph, self.events, self.configuration)
            if done.doubtful_user_ids:
                self.rebuild_users(sorted(done.doubtful_user_ids))

    @rule()
    def forget(self) -> None:
        """The duplicate window of everything is over."""
        if self.window:
            self.client.delete(*(event_key(event_id) for event_id in self.window))
        self.window = {}

    @precondition(lambda self: self.number > 0)
    @rule()
    def rebuild_all(self) -> None:
        """The serving state is rebuilt."""
        self.rebuild_users([self.name(user) for user in self.people])

    def rebuild_users(self, names: list[str]) -> None:
        """Rebuild users; the window holds again what it held."""
        self.rebuild.users(names)
        for person in self.people.values():
            for event in person.facts.values():
                held = self.client.get(event_key(event.event_id))
                if held is not None:
                    self.window.setdefault(event.event_id, held.decode())

    def expect(self, user: int, event: Event, usual: Status) -> None:
        """Send an event, and see that the answer is the model's."""
        person = self.people[user]
        held = self.window.get(event.event_id)
        if held is not None:
            wanted = Status.DUPLICATE if held == event.body_hash else Status.CONFLICT
        elif person.erased:
            wanted = Status.DELETED_USER
        elif event.occurred_at_ms < person.since_ms:
            wanted = Status.BEFORE_CREATED_AGAIN
        else:
            wanted = Status.ACCEPTED
        (status,) = self.events.accept([event]).statuses
        assert status is wanted, (status, wanted, usual)
        if status is not Status.ACCEPTED:
            return
        self.window[event.event_id] = event.body_hash
        known = person.facts.setdefault(event.event_id, event)
        self.dead += known.body_hash != event.body_hash

    def teardown(self) -> None:
        """All stores say what the model says."""
        self.drain()
        facts = {
            (self.name(user), one.event_id, one.value, one.occurred_at_ms, one.flagged)
            for user, person in self.people.items()
            for one in person.facts.values()
        }
        rows = self.query(FACTS, prefix=f"{self.prefix}-")
        assert len(rows) == len(facts)
        names = ("user", "id", "value", "at", "flagged")
        assert {tuple(row[name] for name in names) for row in rows} == facts
        for row in self.query(NODES, users=[self.name(user) for user in self.people]):
            person = self.people[int(row["id"][-1])]
            assert row["erased"] == person.erased
            assert not (row["known"] and person.erased)
        for user, person in self.people.items():
            packed = self.client.hget(user_key(self.name(user)), "h") or b""
            counted = [one for one in person.facts.values() if not one.flagged]
            wanted = sorted(one.history_event for one in counted)
            assert list(unpack(packed)) == wanted
        letters = DeadLetters(self.client, self.configuration).all()
        mine = [one for one in letters if one.payload["event_id"].startswith(f"{self.prefix}-")]
        assert len(mine) == self.dead


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_stores_equal_a_plain_model(
    events: EventStream,
    users: Documents,
    graph: GraphStore,
    log: redis.Redis,
    settings: Settings,
    make_event: MakeEvent,
    query: Query,
) -> None:
    """Seeded sequences of everything a shop and the workers do."""
    parts: dict[str, Any] = {
        "events": events,
        "documents": users,
        "graph": graph,
        "client": log,
        "configuration": settings,
        "make_event": staticmethod(make_event),
        "query": staticmethod(query),
    }
    machine = type("BoundModel", (Model,), parts)
    run_state_machine_as_test(machine, settings=CHECKS)


CHECKS = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
