"""Two transactions on one node: the one that waits for the lock does not undo the newer one."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from interest_graph.graph import facts, learned
from tests.integration.published_directory import FIRST

if TYPE_CHECKING:
    from collections.abc import Callable

    import neo4j

    from interest_graph.graph.store import GraphStore, Row

    Write = Callable[[neo4j.ManagedTransaction, int], object]


def embeddings(tx: neo4j.ManagedTransaction, revision: int) -> object:
    """An item's embedding as of a revision."""
    row: Row = {
        "item_id": "i-1",
        "read_revision": revision,
        "embedding": [float(revision), 1.0],
        "text_embedding": b"",
        "content_hash": str(revision),
        "categories": [],
    }
    return learned.write_item_embeddings(tx, [row], FIRST)


def interests(tx: neo4j.ManagedTransaction, revision: int) -> object:
    """A user's interests as of a revision."""
    row: Row = {
        "user_id": "u-1",
        "read_revision": revision,
        "embedding": [float(revision)],
        "items": {"i-1": float(revision)},
        "categories": {},
    }
    return learned.write_user_interests(tx, [row], FIRST)


def item_document(tx: neo4j.ManagedTransaction, revision: int) -> object:
    """An item's document of a revision."""
    document = {"item_id": "i-1", "title": str(revision), "categories": [[str(revision)]]}
    return facts.write_items(tx, [(document, revision)])


def user_document(tx: neo4j.ManagedTransaction, revision: int) -> object:
    """A user's document of a revision."""
    document = {"user_id": "u-1", "properties": {"plan": str(revision)}}
    return facts.write_users(tx, [(document, revision)])


@pytest.mark.parametrize("write", [embeddings, interests, item_document, user_document])
def test_waiting_for_a_lock_does_not_bring_back_what_is_older(
    graph: GraphStore, neo4j_driver: Any, query: Any, write: Write
) -> None:
    """A write of revision 6 that waits while revision 7 commits changes nothing any more."""

    def begin(tx: neo4j.ManagedTransaction) -> None:
        learned.register_model(tx, FIRST, {})
        learned.put_model_in_service(tx, FIRST)
        facts.write_items(tx, [({"item_id": "i-1"}, 1)])
        facts.write_users(tx, [({"user_id": "u-1"}, 1)])

    graph.write(begin)
    state = (
        "MATCH (n:Item|User) RETURN n{.*, updated_at: null, stale_since: null} AS state, "
        "labels(n)[0] AS label, "
        "[(n)-[e]->(x) | [type(e), e.weight, x.path]] AS edges ORDER BY label"
    )
    before = query(state)
    with neo4j_driver.session(database="neo4j") as session:
        newer = session.begin_transaction()
        write(newer, 7)
        waiting = threading.Thread(target=graph.write, args=(lambda tx: write(tx, 6),))
        waiting.start()
        time.sleep(0.3)
        assert waiting.is_alive()
        expected = newer.run(state).data()
        newer.commit()
        waiting.join(20)
    assert query(state) == expected != before


def delete_item(tx: neo4j.ManagedTransaction, revision: int) -> object:
    """An item's deletion at a revision."""
    return facts.delete_item(tx, "i-1", revision)


def delete_user(tx: neo4j.ManagedTransaction, revision: int) -> object:
    """A user's deletion at a revision."""
    return facts.delete_user(tx, "u-1", revision)


def event(tx: neo4j.ManagedTransaction, _revision: int) -> object:
    """A user's event, as far as the user's node is concerned."""
    return facts.touch_users(tx, [{"user_id": "u-1", "events": 1}])


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize(
    ("first", "second", "left"),
    [
        (item_document, delete_item, True),
        (delete_item, item_document, True),
        (user_document, delete_user, True),
        (event, delete_user, False),
        (delete_user, event, False),
        (delete_user, user_document, False),
    ],
)
def test_a_deletion_and_a_write_at_once_end_as_one_after_the_other(
    graph: GraphStore,
    neo4j_driver: Any,
    query: Any,
    first: Write,
    second: Write,
    left: bool,  # noqa: FBT001
    known: bool,  # noqa: FBT001
) -> None:
    """While the newer of two writes commits the older waits, and then changes nothing.

    An event and a deletion have no order: whichever is first, the deleted user is gone.
    """
    if known:
        graph.write(lambda tx: facts.write_items(tx, [({"item_id": "i-1"}, 1)]))
        graph.write(lambda tx: facts.write_users(tx, [({"user_id": "u-1"}, 1)]))
    state = (
        "MATCH (n:User|Item) RETURN n{.*, updated_at: null, stale_since: null} AS n, "
        "labels(n) AS label ORDER BY label"
    )
    failures: list[Exception] = []

    def wait_and_write() -> None:
        try:
            graph.write(lambda tx: second(tx, 6))
        except Exception as error:  # noqa: BLE001 ingest would try again
            failures.append(error)
            graph.write(lambda tx: second(tx, 6))

    with neo4j_driver.session(database="neo4j") as session:
        newer = session.begin_transaction()
        first(newer, 7)
        waiting = threading.Thread(target=wait_and_write)
        waiting.start()
        time.sleep(0.2)
        assert waiting.is_alive()
        expected = newer.run(state).data()
        newer.commit()
        waiting.join(20)
    if left:
        assert query(state) == expected
    assert left or query("MATCH (u:User) RETURN u") == []
