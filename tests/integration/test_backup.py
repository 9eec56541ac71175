"""A backup leads to the same graph, the same keys and the same serving state."""

from __future__ import annotations

import json
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from redis import exceptions as redis_errors
from redis.connection import parse_url
from typer.testing import CliRunner

from cli.main import app
from interest_graph import redis_client as keys
from interest_graph.api_key import ApiKeyStore
from interest_graph.backup import write_backup
from interest_graph.backup_folder import read_backup, verify_backup
from interest_graph.errors import BackupError, NotFoundError, PoisonError
from interest_graph.item import ItemInput
from interest_graph.partition import partition_of_entry
from interest_graph.rebuild import ServingRebuild
from interest_graph.redis_client import connect
from interest_graph.restore import restore_backup, restore_keys
from interest_graph.user import UserInput
from tests.conftest import DELETE_EVERYTHING
from tests.faults.proxy import FaultyProxy
from tests.integration.log_reading import work_off
from tests.integration.named_servers import name_servers

if TYPE_CHECKING:
    from pathlib import Path

    import redis
    from neo4j import Driver

    from interest_graph.documents import Documents
    from interest_graph.event_stream import EventStream
    from interest_graph.graph.store import GraphStore
    from interest_graph.settings import Settings
    from tests.integration.conftest import MakeEvent, Query

FACTS = """
MATCH (u:User)-[e]->(i:Item) WHERE e.event_id IS NOT NULL
RETURN u.user_id AS user, i.item_id AS item, type(e) AS type, properties(e) AS fields
ORDER BY e.event_id"""
ITEMS = """
MATCH (i:Item)
RETURN i.item_id AS item, i.known AS known, i.document AS document, i.event_count AS events,
  round(i.popularity, 6) AS popularity, i.catalog_revision AS revision,
  COLLECT { MATCH (i)-[:IN_CATEGORY]->(c) RETURN c.path ORDER BY c.path } AS categories,
  COLLECT { MATCH (i)-[:MADE_BY]->(b) RETURN b.name } AS brands
ORDER BY item"""
USERS = """
MATCH (u:User) RETURN u.user_id AS user, u.known AS known, u.document AS document
ORDER BY user"""


@pytest.fixture
def busy_shop(
    items: Documents,
    users: Documents,
    events: EventStream,
    graph: GraphStore,
    settings: Settings,
    make_event: MakeEvent,
) -> None:
    """Items, users and events of all kinds, deletions among them; one event waits in the log."""
    items.put(
        [
            ItemInput(
                item_id=f"item-{n:02d}",
                title=f"Lampe {n}",
                categories=[["Home", f"Light {n % 3}"]],
                brand="Acme",
                properties={"colours": ["red"], "size": n},
            ).document
            for n in range(10)
        ]
    )
    users.put([UserInput(user_id=f"u-{n}", properties={"age": n}).document for n in range(4)])
    events.accept(
        [
            make_event(
                f"e-{n}",
                f"u-{n % 7}",
                f"item-{n % 12:02d}",
                ("view", "purchase", "rate")[n % 3],
                1_700_000_000 + n,
                value=n / 7 if n % 9 else 1e10,  # flagged but for views
                session_id="s-1",
                properties={"page": n, "tags": ["a", "b"]},
            )
            for n in range(60)
        ]
    )
    items.delete("item-03")
    users.delete("u-2")
    work_off(events, graph, settings)
    events.accept([make_event("waiting", "u-5", "item-01", "purchase")])


@pytest.fixture
def wipe(neo4j_driver: Driver, log: redis.Redis, events: EventStream) -> Any:
    """Loses everything."""

    def run() -> None:
        with neo4j_driver.session(database="neo4j") as session:
            session.run(DELETE_EVERYTHING).consume()
        log.flushdb()

    return run


def digests(folder: Path) -> dict[str, Any]:
    """The digests of a backup's parts but the log's."""
    return {n: part for n, part in read_backup(folder).parts.items() if n != "log"}


def test_what_was_lost_is_restored_equal_by_digest(
    busy_shop: None,
    wipe: Any,
    graph: GraphStore,
    log: redis.Redis,
    events: EventStream,
    settings: Settings,
    query: Query,
    tmp_path: Path,
) -> None:
    """Facts, catalogue, users, keys, dead letters; what waited in the log waits; twice is once."""
    del busy_shop
    key = ApiKeyStore(log).create(["read"], "shop")
    log.xadd(keys.DEAD_LETTERS, {"kind": "event", "payload": "x", "revision": 0, "reason": "y"})
    before = (query(FACTS), query(ITEMS), query(USERS))
    made = write_backup(tmp_path / "one", graph, log, events, settings)
    assert made.parts["events"].lines == len(before[0])
    assert made.parts["log"].lines == 1
    wipe()
    for _ in range(2):
        restore_backup(tmp_path / "one", graph, log, settings)
        ServingRebuild(graph, log, events, settings).run()
        assert query(FACTS) == before[0]
        assert query(USERS) == before[2]
        assert ServingRebuild(graph, log, events, settings, write=False).run().changed == 0
    assert restore_keys(tmp_path / "one", log)
    assert not restore_keys(tmp_path / "one", log)
    assert events.dead_letters() == 1
    work_off(events, graph, settings)
    assert len(query(FACTS)) == len(before[0]) + 1
    restored = ApiKeyStore(log).verify(key)
    assert restored is not None
    assert restored.name == "shop"
    second = write_backup(tmp_path / "two", graph, log, events, settings)
    assert second.parts["log"].lines == 0
    assert digests(tmp_path / "two")["items"] == digests(tmp_path / "one")["items"]
    assert digests(tmp_path / "two")["users"] == digests(tmp_path / "one")["users"]
    assert digests(tmp_path / "two")["keys"] == digests(tmp_path / "one")["keys"]

    wipe()
    restore_backup(tmp_path / "two", graph, log, settings)
    restore_keys(tmp_path / "two", log)
    write_backup(tmp_path / "three", graph, log, events, settings)
    assert digests(tmp_path / "three") == digests(tmp_path / "two")
    described = [
        {n: v for n, v in row.items() if n not in {"events", "popularity"}} for row in before[1]
    ]
    again = [
        {n: v for n, v in row.items() if n not in {"events", "popularity"}} for row in query(ITEMS)
    ]
    assert again == described


def test_letters_of_whoever_was_erased_since_stay_away(
    graph: GraphStore,
    log: redis.Redis,
    events: EventStream,
    users: Documents,
    settings: Settings,
    tmp_path: Path,
) -> None:
    """A Redis that outlived the graph knows of erasures since the backup: theirs do not come."""
    users.put([{"user_id": f"u-{n}"} for n in range(3)])
    for number in range(3):
        payload = json.dumps({"user_id": f"u-{number}", "event_id": f"e-{number}"})
        letter = {"kind": "event", "payload": payload, "revision": 0, "reason": "y"}
        log.xadd(keys.DEAD_LETTERS, letter)  # type: ignore[arg-type] # bytes-like all of it
    work_off(events, graph, settings)
    write_backup(tmp_path / "one", graph, log, events, settings)
    users.delete("u-0")
    users.delete("u-1")
    users.put([{"user_id": "u-1"}])
    work_off(events, graph, settings)
    assert events.dead_letters() == 1
    restore_backup(tmp_path / "one", graph, log, settings)
    found = [fields[b"payload"] for _, fields in log.xrange(keys.DEAD_LETTERS)]
    assert [json.loads(payload)["user_id"] for payload in found] == ["u-2"]


@pytest.fixture
def poison(events: EventStream, settings: Settings, log: redis.Redis) -> None:
    """What can never be written waits in the log, beside a deletion with the same payload."""
    for kind, payload in (("event", "no event"), ("delete_item", "no event"), ("event", "{}")):
        partition = partition_of_entry(kind, payload.encode(), settings.log_partitions)
        log.xadd(keys.partition_key(partition), {"kind": kind, "payload": payload, "revision": 7})
    assert events.length() == 4


def test_poison_that_waited_is_a_dead_letter_once(
    busy_shop: None,
    poison: None,
    wipe: Any,
    neo4j_driver: Driver,
    graph: GraphStore,
    log: redis.Redis,
    events: EventStream,
    settings: Settings,
    query: Query,
    tmp_path: Path,
) -> None:
    """However often it is restored, before it is buried and after; what is lost comes again."""
    del busy_shop, poison
    before = len(query(FACTS))

    def bury_one(part: str, _done: int, _total: int) -> None:
        if part == "log" and events.dead_letters() == 0:  # read as waiting, and as buried
            events.bury(next(one for one in events.entries() if one.payload == b"{}"), "because")

    write_backup(tmp_path / "one", graph, log, events, settings, bury_one)
    wipe()
    for _ in range(2):
        restore_backup(tmp_path / "one", graph, log, settings)
        assert (events.length(), events.dead_letters()) == (3, 1)
    for _ in range(2):
        work_off(events, graph, settings)
        assert (events.length(), events.dead_letters()) == (0, 2)
        assert len(query(FACTS)) == before + 1
        restore_backup(tmp_path / "one", graph, log, settings)
        assert (events.length(), events.dead_letters()) == (2, 2)
    with neo4j_driver.session(database="neo4j") as session:
        session.run(DELETE_EVERYTHING).consume()
    restore_backup(tmp_path / "one", graph, log, settings)
    work_off(events, graph, settings)
    assert len(query(FACTS)) == before + 1
    assert events.dead_letters() == 2


def test_a_lost_answer_restores_nothing_twice(
    busy_shop: None,
    poison: None,
    graph: GraphStore,
    log: redis.Redis,
    events: EventStream,
    settings: Settings,
    tmp_path: Path,
) -> None:
    """The client library sends again what Redis had done: log and dead letters have it once."""
    del busy_shop, poison
    log.xadd(keys.DEAD_LETTERS, {"kind": "event", "payload": "x", "revision": 0, "reason": "y"})
    write_backup(tmp_path / "one", graph, log, events, settings)
    with (
        FaultyProxy("restore-Redis", parse_url(settings.broker_url)["port"]) as link,
        connect(f"redis://127.0.0.1:{link.port}/0", settings) as behind,
    ):
        for number in count():
            log.flushdb()
            link.lose_answer(after=number)
            restore_backup(tmp_path / "one", graph, behind, settings)
            assert (events.length(), events.dead_letters()) == (4, 1)
            if link.losing:
                break
    assert number > 1


def test_keys_are_restored_all_or_none(
    graph: GraphStore,
    log: redis.Redis,
    events: EventStream,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A Redis that goes away meanwhile leaves none behind, for which others would be left out."""
    tokens = [ApiKeyStore(log).create(["read"], name) for name in ("one", "two", "three")]
    write_backup(tmp_path / "one", graph, log, events, settings)
    log.flushdb()
    hset, calls = log.hset, count(1)

    def away_after_one(*given: Any, **named: Any) -> Any:
        if next(calls) > 1:
            raise redis_errors.ConnectionError
        return hset(*given, **named)

    monkeypatch.setattr(log, "hset", away_after_one)
    assert restore_keys(tmp_path / "one", log)
    assert all(ApiKeyStore(log).verify(token) for token in tokens)


def test_revoked_keys_stay_revoked(
    graph: GraphStore,
    log: redis.Redis,
    events: EventStream,
    settings: Settings,
    tmp_path: Path,
) -> None:
    """Even if there is no other key any more; an id that names none revokes nothing."""
    store = ApiKeyStore(log)
    token = store.create(["read"])
    write_backup(tmp_path / "one", graph, log, events, settings)
    log.flushdb()
    with pytest.raises(NotFoundError):
        store.revoke("0" * 16)
    assert restore_keys(tmp_path / "one", log)
    assert store.verify(token)
    store.revoke(store.list()[0].key_id)
    assert not restore_keys(tmp_path / "one", log)
    assert not store.verify(token)


def test_a_damaged_backup_is_refused_before_anything_is_written(
    busy_shop: None,
    wipe: Any,
    graph: GraphStore,
    log: redis.Redis,
    events: EventStream,
    settings: Settings,
    query: Query,
    tmp_path: Path,
) -> None:
    """A changed line, a cut file, a missing one, another format, a folder that is there."""
    del busy_shop
    folder = tmp_path / "one"
    write_backup(folder, graph, log, events, settings)
    with pytest.raises(BackupError, match="is there already"):
        write_backup(folder, graph, log, events, settings)
    wipe()
    whole = (folder / "events.jsonl.gz").read_bytes()
    for content in (whole[: len(whole) // 2], whole[:-30] + b"0" * 30, b""):
        (folder / "events.jsonl.gz").write_bytes(content)
        with pytest.raises(BackupError, match="events"):
            restore_backup(folder, graph, log, settings)
    (folder / "events.jsonl.gz").unlink()
    with pytest.raises(BackupError, match="events"):
        verify_backup(folder)
    manifest = json.loads((folder / "backup.json").read_text())
    (folder / "backup.json").write_text(json.dumps(manifest | {"format": 99}))
    with pytest.raises(BackupError, match="format 99"):
        read_backup(folder)
    assert query("MATCH (n:Item|User) RETURN count(n) AS n") == [{"n": 0}]


def test_a_backup_with_undeclared_event_types_is_refused(
    busy_shop: None,
    wipe: Any,
    graph: GraphStore,
    log: redis.Redis,
    events: EventStream,
    settings: Settings,
    tmp_path: Path,
) -> None:
    """The error names the type; with it declared a restore goes on, and a backup is made."""
    del busy_shop
    write_backup(tmp_path / "one", graph, log, events, settings)
    wipe()
    fewer = {name: one for name, one in settings.event_types.items() if name != "rate"}
    with pytest.raises(PoisonError, match="rate is not declared"):
        restore_backup(
            tmp_path / "one", graph, log, settings.model_copy(update={"event_types": fewer})
        )
    restore_backup(tmp_path / "one", graph, log, settings)
    with pytest.raises(BackupError, match="RATED is no declared event type"):
        write_backup(
            tmp_path / "two",
            graph,
            log,
            events,
            settings.model_copy(update={"event_types": fewer}),
        )
    assert [path.name for path in tmp_path.iterdir()] == ["one"], "half a backup was left behind"


def test_the_commands_say_what_they_did(
    busy_shop: None,
    wipe: Any,
    settings: Settings,
    query: Query,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`backup`, then `restore` into servers that lost everything."""
    del busy_shop
    name_servers(settings, monkeypatch)
    facts = len(query(FACTS))
    folder = str(tmp_path / "one")
    made = CliRunner().invoke(app, ["backup", folder, "--json"])
    assert made.exit_code == 0, made.output
    assert json.loads(made.stdout)["events"]["lines"] == facts
    wipe()
    done = CliRunner().invoke(app, ["restore", folder, "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["events"] == facts
    assert len(query(FACTS)) == facts
