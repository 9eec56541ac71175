"""Documents of items and users on a real Redis."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from interest_graph import redis_client as keys
from interest_graph.documents import Documents
from interest_graph.errors import ConflictError, NotFoundError, StreamFullError

if TYPE_CHECKING:
    import redis

    from interest_graph.documents import Document
    from interest_graph.event_stream import EventStream
    from interest_graph.serving_state import ServingState
    from interest_graph.settings import Settings


def changes(items: Documents, revision: int) -> tuple[int, dict[str, Document | None]]:
    """What has changed since a revision, all pages in one."""
    reached, pages = items.changed_since(revision)
    return reached, {name: document for page in pages for name, document in page.items()}


def names(count: int) -> list[str]:
    """Ids in order."""
    return [f"i-{number:02}" for number in range(count)]


def test_what_is_put_is_got(items: Documents, users: Documents) -> None:
    """A document reads back as it was put, replaced as a whole by the next."""
    items.put([{"item_id": "i-1", "title": "Lamp"}, {"item_id": "i-2", "title": "Rug"}])
    items.put([{"item_id": "i-1", "price": 4}])
    users.put([{"user_id": "u-1", "categories": [["Home"]]}])
    assert items.get("i-1") == {"item_id": "i-1", "price": 4}
    assert items.get("i-2")["title"] == "Rug"
    assert users.get("u-1")["categories"] == [["Home"]]


def test_what_is_not_there_is_not_found(items: Documents, users: Documents) -> None:
    """Reading, changing and deleting what was never put or is gone is an error that says so."""
    items.put([{"item_id": "i-1"}])
    items.delete("i-1")
    for documents in (items, users):
        with pytest.raises(NotFoundError):
            documents.get("i-1")
        with pytest.raises(NotFoundError):
            documents.patch("i-1", dict)
        with pytest.raises(NotFoundError):
            documents.delete("i-1")


def test_every_write_raises_the_revision(items: Documents, users: Documents) -> None:
    """Put, patch and delete raise the catalogue's revision, and users count apart."""
    assert items.put([{"item_id": "i-1"}, {"item_id": "i-2"}]) == 1
    items.patch("i-1", lambda document: document | {"hidden": True})
    assert items.delete("i-2") == 3
    assert users.put([{"user_id": "u-1"}]) == 1


def test_changes_since_a_revision_are_all_of_them(items: Documents) -> None:
    """Whoever knows revision r learns each document written after it, a deleted one as None."""
    first = items.put([{"item_id": "i-1"}, {"item_id": "i-2"}])
    items.put([{"item_id": "i-2", "hidden": True}])
    last = items.delete("i-1")
    assert changes(items, 0) == (
        last,
        {"i-1": None, "i-2": {"item_id": "i-2", "hidden": True}},
    )
    assert changes(items, first) == changes(items, 0)
    assert changes(items, last) == (last, {})


def test_changes_come_in_pages(items: Documents, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many items share a revision, each comes once, a page at a time."""
    monkeypatch.setattr("interest_graph.documents.READ_AT_ONCE", 3)
    items.put([{"item_id": f"i-{number}"} for number in range(8)])
    reached, pages = items.changed_since(0)
    found = [[*page] for page in pages]
    assert [len(page) for page in found] == [3, 3, 2]
    assert sorted(one for page in found for one in page) == [f"i-{n}" for n in range(8)]
    assert reached == 1


@pytest.mark.parametrize("kind", ["item", "user"])
def test_a_page_of_large_documents_holds_fewer(
    items: Documents, users: Documents, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """A page ends when it is large enough, and the next ones hold the rest, each once."""
    monkeypatch.setattr("interest_graph.documents.READ_AT_ONCE", 3)
    monkeypatch.setattr("interest_graph.documents.PAGE_BYTES", 5000)
    documents = items if kind == "item" else users
    sent = [
        {f"{kind}_id": f"x-{number:02}", "properties": {"text": "x" * 900}} for number in range(20)
    ]
    documents.put(sent)
    pages = [documents.page(10)]
    while after := pages[-1].next_after:
        pages.append(documents.page(10, after))
    assert [len(page.documents) for page in pages] == [6, 6, 6, 2]
    assert [one for page in pages for one in page.documents] == sent


def test_a_write_stands_in_the_log_with_its_revision(items: Documents, events: EventStream) -> None:
    """Each write leaves one entry for the graph, in order and with the revision it was given."""
    items.put([{"item_id": "i-1"}])
    items.delete("i-1")
    entries = [*events.entries()]
    assert [(one.kind, one.revision) for one in entries] == [("item", 1), ("delete_item", 2)]
    assert entries[1].payload == b"i-1"


def test_of_two_documents_for_one_id_the_last_counts(items: Documents, events: EventStream) -> None:
    """A request that names an id twice leaves its last document, in the log as in the catalogue."""
    items.put([{"item_id": "i-1", "title": "old"}, {"item_id": "i-1", "title": "new"}])
    assert items.get("i-1")["title"] == "new"
    entries = [orjson.loads(one.payload) for one in events.entries()]
    assert [entry["title"] for entry in entries] == ["new"]


def test_a_full_log_takes_none_of_a_request(log: redis.Redis, settings: Settings) -> None:
    """At the log's bound nothing of a request is written."""
    bounded = Documents(log, settings.model_copy(update={"max_log_entries": 2}), "item")
    bounded.put([{"item_id": "i-1"}])
    with pytest.raises(StreamFullError):
        bounded.put([{"item_id": "i-2"}, {"item_id": "i-3"}])
    assert bounded.page(10).documents == [{"item_id": "i-1"}]
    assert changes(bounded, 1) == (1, {})


def test_concurrent_patches_lose_nothing(items: Documents) -> None:
    """Four writers that each add ten to a number leave forty, less what they were refused."""
    items.put([{"item_id": "i-1", "properties": {"count": 0}}])
    refused: list[str] = []

    def add() -> None:
        for _ in range(10):
            try:
                items.patch(
                    "i-1",
                    lambda found: (
                        found | {"properties": {"count": found["properties"]["count"] + 1}}
                    ),
                )
            except ConflictError as error:
                refused.append(str(error))

    writers = [threading.Thread(target=add) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert items.get("i-1")["properties"]["count"] == 40 - len(refused)
    assert len(refused) < 20


def test_a_document_that_keeps_changing_is_a_conflict(items: Documents) -> None:
    """A patch that never finds the document as it read it gives up and changes nothing."""
    items.put([{"item_id": "i-1", "title": "first"}])

    def change(document: dict[str, Any]) -> dict[str, Any]:
        items.put([{"item_id": "i-1", "title": "somebody else's"}])
        return document | {"title": "mine"}

    with pytest.raises(ConflictError):
        items.patch("i-1", change)
    assert items.get("i-1")["title"] == "somebody else's"


@given(
    count=st.integers(0, 15),
    limit=st.integers(1, 6),
    deleted=st.sets(st.integers(0, 14), max_size=5),
)
@hypothesis(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_pages_repeat_nothing_and_miss_nothing(
    log: redis.Redis, items: Documents, count: int, limit: int, deleted: set[int]
) -> None:
    """Page after page gives every document once, in order of id, also when one goes meanwhile."""
    log.flushdb()
    ids = names(count)
    if ids:
        items.put([{"item_id": item_id} for item_id in reversed(ids)])
    found: list[str] = []
    after: str | None = None
    while True:
        page = items.page(limit, after)
        assert len(page.documents) <= limit
        found += [document["item_id"] for document in page.documents]
        if page.next_after is None:
            break
        after = page.next_after
        for number in [number for number in deleted if number < count]:
            if ids[number] <= after:  # what was listed may go without moving the next page
                deleted.discard(number)
                items.delete(ids[number])
    assert found == ids


def test_a_user_known_by_events_has_a_document(
    users: Documents, events: EventStream, make_event: Any
) -> None:
    """A user of whom there are only events can be read, changed and deleted."""
    events.accept([make_event("e-1", "u-7")])
    assert users.get("u-7") == {"user_id": "u-7"}
    users.patch("u-7", lambda document: document | {"properties": {"plan": "gold"}})
    assert users.get("u-7")["properties"] == {"plan": "gold"}


def test_deleting_a_user_leaves_a_tombstone_alone(
    users: Documents,
    events: EventStream,
    serving: ServingState,
    log: redis.Redis,
    make_event: Any,
) -> None:
    """Of a deleted user neither history, document nor seen items are left."""
    users.put([{"user_id": "u-1", "categories": [["Home"]]}])
    events.accept([make_event("e-1", event_type="purchase")])
    users.delete("u-1")
    state = serving.read("u-1")
    assert (state.user.history, state.user.declared, state.user.seen.tolist()) == ((), (), [])
    assert set(log.hgetall(keys.user_key("u-1"))) == {b"t"}
    with pytest.raises(NotFoundError):
        users.get("u-1")
