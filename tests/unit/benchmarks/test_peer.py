"""A peer is loaded and asked through its REST API, and fills columns that are empty without it."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
import requests

from benchmarks import peer as peer_module
from benchmarks.made_events import make_events
from benchmarks.peer import Peer
from benchmarks.serving import BARE, OURS, PEER, ready, rows_of

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "secret"


class FakeGorse:
    """Remembers what it was sent; has lists from the second time it is asked."""

    def __init__(self) -> None:
        self.rows: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        self.asked: list[str] = []
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                fake.rows[self.path] += sent
                self._answer({"RowAffected": len(sent)})

            def do_GET(self) -> None:
                fake.asked.append(self.path)
                self._answer(["item-1"] if len(fake.asked) > 1 else [])

            def _answer(self, body: object) -> None:
                known = self.headers["X-API-Key"] == KEY
                self.send_response(200 if known else 401)
                self.end_headers()
                self.wfile.write(json.dumps(body).encode())

            def log_message(self, *_: object) -> None:
                """Be quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def gorse(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGorse]:
    monkeypatch.setattr(peer_module, "BETWEEN_TRIES_S", 0.0)
    fake = FakeGorse()
    thread = threading.Thread(target=fake.server.serve_forever, args=(0.01,))
    thread.start()
    yield fake
    fake.server.shutdown()
    thread.join()
    fake.server.server_close()


def test_a_peer_is_loaded_with_the_same_data(gorse: FakeGorse) -> None:
    """Every item, user and event once, with its type and time; then it is waited for lists."""
    events = make_events(1_050)
    peer = Peer(gorse.url + "/", KEY)
    assert peer.load(events) > 0
    peer.wait(events)
    assert len({row["ItemId"] for row in gorse.rows["/api/items"]}) == events.items
    assert len({row["UserId"] for row in gorse.rows["/api/users"]}) == events.users
    found = sorted(
        (row["UserId"], row["ItemId"], row["FeedbackType"]) for row in gorse.rows["/api/feedback"]
    )
    kinds = ("view", "click", "add_to_cart", "purchase", "rate", "review")
    assert found == sorted(
        (f"user-{user}", f"item-{item}", kinds[kind])
        for user, item, kind in zip(events.user, events.item, events.kind, strict=True)
    )
    first, again, *others = gorse.asked
    assert first == again == f"/api/intermediate/recommend/user-{min(events.user)}?n=10"
    assert len({again, *others}) == len(gorse.asked) - 1 > 1


def test_a_peer_is_asked_as_we_are(gorse: FakeGorse) -> None:
    """Its lists and events are the same requests in its own words, with its key."""
    peer = Peer(gorse.url, KEY)
    lists = peer.lists(["user-1"])
    assert (lists.paths, lists.headers) == (["/api/recommend/user-1?n=10"], {"X-API-Key": KEY})
    event = '{"user_id": "user-1", "item_id": "item-2", "event_type": "view"}'
    one = json.loads(peer.events([event]).bodies[0])[0]
    assert (one["FeedbackType"], one["UserId"], one["ItemId"]) == ("view", "user-1", "item-2")


def test_a_peer_that_refuses_stops_the_run(gorse: FakeGorse) -> None:
    """A wrong key is an error and not an empty column."""
    with pytest.raises(requests.HTTPError, match="401"):
        Peer(gorse.url, "wrong").load(make_events(100))


def test_without_a_peer_its_columns_are_empty_with_a_message(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The same rows and columns, with or without one; ratios are by round."""
    ours = [{"requests_per_s": rate, "p50_ms": 2.0, "p99_ms": 9.0} for rate in (300, 100)]
    ours = [{**one, "errors": 1, "failed_events": 0} for one in ours]
    theirs = [{**one, "requests_per_s": 50} for one in ours]
    what = "closed loop, connections: 8"
    alone = rows_of({what: {OURS: ours, BARE: theirs}})[0]
    beside = rows_of({what: {OURS: ours, BARE: theirs, PEER: theirs}})[0]
    assert list(alone) == list(beside)
    assert alone["of_bare_route"] == {"median": 4.0, "low": 2.0, "high": 6.0}
    assert (alone["peer_p50_ms"], alone["of_peer"], alone["errors"]) == (None, None, 2)
    assert beside["of_peer"] == alone["of_bare_route"]
    assert "--peer-url" in ready(None, "small", load=True)
    assert "--peer-url" in capsys.readouterr().err
