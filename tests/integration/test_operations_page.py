"""What `docs/operations.md` tells people to run does what it says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from redis import Redis

from interest_graph.event import parse_event
from interest_graph.event_stream import EventStream
from interest_graph.redis_client import DEAD_LETTERS, LOG
from interest_graph.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).resolve().parents[2] / "docs" / "operations.md"


@pytest.fixture
def client(redis_server: Any, empty_redis: None) -> Iterator[Redis]:
    """An empty Redis."""
    with Redis.from_url(redis_server.url) as client:
        yield client


def test_the_replay_moves_dead_letters_back_to_the_log(client: Redis) -> None:
    """A buried event is handed out again as it was, and no dead letter is left."""
    shown = re.search(
        r'EVAL "\n(.*?)" 2 (\S+) (\S+)\n', PAGE.read_text(encoding="utf-8"), re.DOTALL
    )
    assert shown
    stream = EventStream(client, Settings())
    stream.ensure_group()
    body = {"event_id": "e-1", "user_id": "anna", "item_id": "lamp", "event_type": "view"}
    stream.accept([parse_event(body, Settings())])
    (entry,) = stream.read("one", 10, 10)
    stream.bury(entry, "because")
    assert (stream.length(), stream.dead_letters()) == (0, 1)

    assert (shown[2], shown[3]) == (DEAD_LETTERS, LOG)
    assert client.eval(shown[1], 2, shown[2], shown[3]) == 1

    (again,) = stream.read("two", 10, 10)
    assert (again.kind, again.payload, again.revision) == (entry.kind, entry.payload, 0)
    assert stream.dead_letters() == 0
