"""What must hold after everything that went wrong."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from interest_graph import redis_client as keys
from interest_graph.dead_letters import DeadLetters
from interest_graph.doubts import Doubts
from interest_graph.interest import interest
from interest_graph.rebuild import ServingRebuild
from interest_graph.services import build_services
from tests.faults.load import BATCH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import redis

    from interest_graph.history import HistoryEvent
    from interest_graph.published_model import PublishedModel
    from interest_graph.services import Services
    from tests.faults.faults import Happened
    from tests.faults.load import Ledger
    from tests.running_service import RunningService

PATIENCE_S = 120.0
EXCUSED_S = 15.0
BEHIND_THE_API = ("worker-", "Celery", "ingest", "Neo4j")
UNEXPECTED = 500
MINUTES = 6
TOLERANCE = 1e-5


def wait_until_quiet(service: RunningService) -> float:
    """Wait until log and backlog are empty and nobody is in doubt; how long it took."""
    began, doubts = time.monotonic(), Doubts(service.redis)
    while service.log_length() or service.stale() or doubts.count():
        waited = time.monotonic() - began
        left = (service.log_length(), service.stale(), doubts.count())
        assert waited < PATIENCE_S, f"(log, stale, doubts) is {left} after {PATIENCE_S:.0f} s"
        time.sleep(0.5)
    return time.monotonic() - began


def check_facts(service: RunningService, prefix: str, ledger: Ledger) -> None:
    """The ids under a 202 are the facts, each once, under whatever type."""
    rows = service.graph(
        "MATCH (:User)-[e]->(:Item) WHERE e.event_id STARTS WITH $prefix RETURN e.event_id AS id",
        prefix=f"{prefix}-",
    )
    found = [row["id"] for row in rows]
    lost, strange = ledger.accepted - set(found), set(found) - ledger.accepted
    assert not lost, f"{len(lost)} accepted events are lost: {sorted(lost)[:5]}"
    assert not strange, f"{len(strange)} facts were never answered: {sorted(strange)[:5]}"
    assert len(found) == len(set(found)), "an event is a fact twice"


def check_accepted_once(ledger: Ledger) -> None:
    """However often and at once a batch was sent, no more events were new than it holds.

    Batch by batch: over a whole run, answers that were lost would make up for the others.
    """
    twice = {name: new - BATCH for name, new in ledger.new.items() if new > BATCH}
    assert not twice, f"{sum(twice.values())} events were accepted twice: {sorted(twice)[:5]}"


def check_dead_letters(service: RunningService, ledger: Ledger) -> None:
    """Dead letters are the poison and nothing else."""
    letters = [*DeadLetters(service.redis, service.settings).all()]
    payloads = [letter.payload for letter in letters]
    assert len(payloads) == len(set(payloads)), "poison was buried twice"
    missing = set(ledger.poison) - set(payloads)
    assert not missing, f"{len(missing)} poisonous entries are nowhere"
    others = [one for one in letters if not str(one.payload).count(": no event ")]
    assert not others, f"buried without need: {others[:3]}"


def check_histories(service: RunningService) -> None:
    """Histories and seen items equal the graph's."""
    services = build_services(service.settings)
    found = ServingRebuild(
        services.graph, services.log, services.events, services.settings, write=False
    ).run()
    services.close()
    assert (found.changed_users, found.changed_items) == (0, 0), found


def check_documents(client: redis.Redis, query: Callable[..., list[dict[str, Any]]]) -> None:
    """Documents and their revisions in Redis equal the graph's.

    A rebuild does not tell: of two documents it takes the newer for right, wherever it is.
    """
    for label, name, revisions in (
        ("Item", "item_id", keys.ITEM_REVISIONS),
        ("User", "user_id", keys.USER_REVISIONS),
    ):
        rows = query(
            f"MATCH (n:{label}) WHERE n.document IS NOT NULL "
            f"RETURN n.{name} AS id, n.catalog_revision AS revision, n.document AS document"
        )
        in_graph = {row["id"]: (row["revision"], row["document"]) for row in rows}
        written = cast("Any", client.zrange(revisions, 0, -1, withscores=True))
        in_redis = {
            one.decode(): (int(revision), document.decode())
            for one, revision in written
            if (document := _document(client, label, one.decode()))
        }
        wrong = sorted(one for one in in_graph | in_redis if in_graph.get(one) != in_redis.get(one))
        assert not wrong, f"{label} documents differ: {len(wrong)}, such as {wrong[:5]}"


def _document(client: redis.Redis, label: str, identifier: str) -> bytes | None:
    """What Redis holds."""
    name, field = (keys.ITEMS, identifier) if label == "Item" else (keys.user_key(identifier), "d")
    return cast("bytes | None", client.hget(name, field))


def check_revisions(service: RunningService) -> None:
    """What is refreshed is as new as the facts."""
    behind = service.graph(
        "MATCH (n:User|Item) WHERE n.facts_revision <> n.refreshed_revision RETURN count(n) AS n"
    )
    assert behind == [{"n": 0}]


def check_interests(service: RunningService, users: list[str]) -> None:
    """The users' interests in the graph equal a full recompute from Redis, of the moment they have.

    That moment is a minute and an epoch of the item matrix: what moves an item later makes nobody
    stale who had an event of it (ADR 0008). A refresh may have begun some minutes before it wrote.
    Every event must count in every case, so that whatever differs is one that was not counted.
    """
    with closing(build_services(service.settings)) as services:
        rows = service.graph(
            """MATCH (u:User) WHERE u.user_id IN $users AND u.embedding IS NOT NULL
            RETURN u.user_id AS user, u.embedding AS embedding, u.updated_at.epochSeconds AS at""",
            users=users,
        )
        without = service.graph(
            """MATCH (u:User)-[e]->(:Item) WHERE u.user_id IN $users AND u.embedding IS NULL
              AND e.event_id IS NOT NULL AND e.flagged IS NULL RETURN DISTINCT u.user_id AS user""",
            users=users,
        )
        assert not without, f"{len(without)} users of events have no interest: {without[:5]}"
        assert len(rows) > len(users) * 0.9  # of the others every event is flagged
        wrong = {row["user"]: float("inf") for row in rows}
        histories = {user: services.serving.read(user).user.history for user in wrong}
        for model in _models(service.redis, services):
            for row in rows:
                if (user := row["user"]) in wrong:
                    far = _distance(model, histories[user], row["embedding"], row["at"])
                    wrong[user] = min(wrong[user], far)
            wrong = {user: far for user, far in wrong.items() if far >= TOLERANCE}
            if not wrong:
                return
    worst = sorted(wrong.items(), key=lambda entry: -entry[1])[:5]
    msg = f"interests of {len(wrong)} users are of other events: {worst}"
    raise AssertionError(msg)


def _models(client: redis.Redis, services: Services) -> Iterator[PublishedModel]:
    """The published model as it is, and then as it was at every epoch that is kept."""
    shelf, serving = services.recommender.shelf, services.serving
    manifest, _ = serving.head()
    assert manifest is not None
    yield shelf.current(manifest)
    version = manifest.model_version
    kept = cast("list[bytes]", client.hkeys(keys.deltas_key(version)))
    first = min((int(number) for number in kept), default=1) - 1
    model = shelf.at(version, first)
    yield model
    for delta in serving.deltas(version, first, manifest.epoch):
        before = model.matrix.embeddings.copy()
        model.matrix.apply(delta)
        after = model.matrix.embeddings
        if len(before) < len(after) or np.abs(before - after).max() >= TOLERANCE:
            yield model


def _distance(
    model: PublishedModel, history: Sequence[HistoryEvent], embedding: list[float], at: int
) -> float:
    """How far an interest of all events is from what is stored, in the nearest of some minutes."""
    if any(event.item_id not in model.matrix.row_of for event in history):
        return float("inf")
    minute = at // 60 * 60
    moments = range(minute, minute - 60 * MINUTES, -60)
    felt = (interest(model.encoder, model.matrix, history, moment) for moment in moments)
    return min(float(np.abs(one.embedding - embedding).max()) for one in felt)


def check_answers(ledger: Ledger, happened: list[Happened]) -> None:
    """No promise was broken in an answer, and every error of the server has its fault.

    What happens to workers and Neo4j is no excuse: what the load asks for needs neither.
    """
    assert not ledger.wrong, ledger.wrong[:5]
    excuses = [one for one in happened if not any(part in one.name for part in BEHIND_THE_API)]
    for at, status, what in ledger.server_errors:
        assert status != UNEXPECTED, what
        excused = any(one.began - 1 <= at <= (one.ended or at) + EXCUSED_S for one in excuses)
        assert excused, f"{status} without a fault: {what}"
