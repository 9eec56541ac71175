"""An answer of Redis is lost after its script ran: the client library sends the script again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from redis.connection import parse_url

from interest_graph import redis_client as keys
from interest_graph.api_key import ApiKeyStore
from interest_graph.dead_letters import DeadLetters
from interest_graph.documents import Documents
from interest_graph.errors import NotFoundError
from interest_graph.event_stream import EventStream
from interest_graph.redis_client import connect
from tests.faults.proxy import FaultyProxy

if TYPE_CHECKING:
    from collections.abc import Iterator

    import redis

    from interest_graph.documents import Document, Kind
    from interest_graph.settings import Settings
    from tests.integration.conftest import MakeEvent


@pytest.fixture
def link(settings: Settings) -> Iterator[FaultyProxy]:
    """What stands between the service and Redis."""
    with FaultyProxy("service-Redis", parse_url(settings.broker_url)["port"]) as link:
        yield link


@pytest.fixture
def behind(link: FaultyProxy, log: redis.Redis, settings: Settings) -> Iterator[redis.Redis]:
    """A client behind it; Redis has its scripts, so that each call is answered once."""
    client = connect(f"redis://127.0.0.1:{link.port}/0", settings)
    Documents(log, settings, "item").put([{"item_id": "any"}])
    client.ping()
    yield client
    client.close()


@pytest.mark.parametrize("kind", ["item", "user"])
def test_a_delete_whose_answer_was_lost_did_delete(
    kind: Kind,
    link: FaultyProxy,
    behind: redis.Redis,
    log: redis.Redis,
    settings: Settings,
) -> None:
    """It is answered as it was the first time, and stands in the log once; another finds none."""
    documents = Documents(behind, settings, kind)
    first = documents.put([{f"{kind}_id": "x-1"}])
    link.lose_answer()
    assert documents.delete("x-1") == first + 1
    entries = [one for one in EventStream(log, settings).entries() if one.kind == f"delete_{kind}"]
    assert [one.revision for one in entries] == [first + 1]
    with pytest.raises(NotFoundError):
        documents.delete("x-1")


def test_a_put_whose_answer_was_lost_replaces_nothing_newer(
    link: FaultyProxy, behind: redis.Redis, items: Documents, settings: Settings
) -> None:
    """What somebody else puts between the loss and the retry stays."""
    documents = Documents(behind, settings, "item")
    link.lose_answer(lambda: items.put([{"item_id": "i-1", "title": "newer"}]))
    revision = documents.put([{"item_id": "i-1", "title": "older"}])
    assert items.get("i-1")["title"] == "newer"
    assert items.revision("i-1") == revision + 1


def test_a_patch_whose_answer_was_lost_is_no_conflict_with_itself(
    link: FaultyProxy, behind: redis.Redis, items: Documents, settings: Settings
) -> None:
    """It is made once, and not again on top of what somebody else made of it."""
    documents = Documents(behind, settings, "item")
    first = items.put([{"item_id": "i-1", "title": "as it was"}])
    made: list[Document] = []

    def change(document: Document) -> Document:
        made.append(document)
        link.lose_answer(lambda: items.patch("i-1", lambda found: found | {"title": "newer"}))
        return document | {"title": "patched", "hidden": True}

    assert documents.patch("i-1", change)["title"] == "patched"
    assert len(made) == 1
    assert items.get("i-1") == {"item_id": "i-1", "title": "newer", "hidden": True}
    assert items.revision("i-1") == first + 2


def test_a_write_that_filled_the_log_is_not_refused_by_its_own_entries(
    link: FaultyProxy, behind: redis.Redis, settings: Settings
) -> None:
    """The retry finds the log full of what it wrote, and is answered that it was written."""
    documents = Documents(behind, settings.model_copy(update={"max_log_entries": 3}), "item")
    link.lose_answer()
    assert documents.put([{"item_id": "i-1"}, {"item_id": "i-2"}]) == 2


@pytest.mark.parametrize("recalled", [False, True])
def test_events_whose_answer_was_lost_are_new(
    link: FaultyProxy,
    behind: redis.Redis,
    log: redis.Redis,
    settings: Settings,
    make_event: MakeEvent,
    *,
    recalled: bool,
) -> None:
    """They were sent once: nothing is a duplicate, and what was flagged is named."""
    events, store = EventStream(behind, settings), ApiKeyStore(log)
    token = store.create(["events:write"])
    assert store.recall(token)
    key = store.check(token) if recalled else None
    events.accept([make_event("e-0")], key)
    sent = [make_event("e-1"), make_event("e-2", event_type="rate", value=1e10), make_event("e-0")]
    link.lose_answer()
    accepted = events.accept(sent, key)
    assert not link.losing
    assert (accepted.accepted, accepted.duplicates) == (2, 1)
    assert accepted.flags == ("", "value", "")
    assert events.accept(sent).duplicates == 3
    assert events.length() == 4


@pytest.mark.parametrize("what", ["replay", "drop"])
def test_a_dead_letter_whose_answer_was_lost_is_counted(
    what: str, link: FaultyProxy, behind: redis.Redis, log: redis.Redis, settings: Settings
) -> None:
    """It is sent again, or dropped, once, and the answer says so; the next call finds it gone."""
    fields = {b"kind": b"delete_user", b"payload": b"u-1", b"reason": b"told to"}
    first, second = (bytes(log.xadd(keys.DEAD_LETTERS, fields)).decode() for _ in range(2))
    act = getattr(DeadLetters(behind, settings), what)
    act([first])  # Redis has the script now
    length = EventStream(log, settings).length()
    link.lose_answer(after=1 if what == "replay" else 0)  # a replay looks at the letter first
    assert act([second]) == 1
    assert not link.losing
    assert EventStream(log, settings).length() - length == (what == "replay")
    assert act([second]) == 0


def test_answers_are_kept_for_seconds(
    behind: redis.Redis, log: redis.Redis, settings: Settings, make_event: MakeEvent
) -> None:
    """Every kept answer ends, and what changed nothing leaves none."""
    with pytest.raises(NotFoundError):
        Documents(behind, settings, "item").delete("i-none")
    before = len(log.keys(keys.answer_key("*")))
    Documents(behind, settings, "user").put([{"user_id": "u-1"}])
    for _ in range(2):
        EventStream(behind, settings).accept([make_event("e-1")])
    found = log.keys(keys.answer_key("*"))
    assert len(found) == before + 2
    assert all(0 < log.ttl(key) <= keys.answer_kept_s(settings) < 60 for key in found)
