"""A peer under the same load: gorse, loaded and asked through its REST API.

https://gorse.io/docs/api/restful-api.html
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import requests

from interest_graph.settings import Settings

from .graph_import import item_body, item_id, user_id
from .load import Requests

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterable, Iterator, Sequence

    from .made_events import MadeEvents

BATCH, CLIENTS = 100, 8
K = 10
TIMEOUT_S = 60
PATIENCE_S = 3600.0
SAMPLE = 50
"""Users whose lists are waited for, at least."""
BETWEEN_TRIES_S = 5.0
EVENT_TYPES = tuple(Settings().event_types)


def add_peer_options(parser: ArgumentParser) -> None:
    """Options that name a peer."""
    parser.add_argument("--peer-url", help="a running gorse, empty, to load and measure as well")
    parser.add_argument("--peer-key", default="", help="its API key")
    parser.add_argument(
        "--peer-loaded", action="store_true", help="it has the data: wait for its lists alone"
    )


def peer_options(asked: Namespace) -> tuple[str, ...]:
    """What `add_peer_options` understood, as options again; none without an address."""
    if asked.peer_url is None:
        return ()
    key = ("--peer-key", asked.peer_key) if asked.peer_key else ()
    return ("--peer-url", asked.peer_url, *key, *(("--peer-loaded",) if asked.peer_loaded else ()))


def address(url: str) -> str:
    """A peer's address without what may follow it."""
    return url.rstrip("/")


class Peer:
    """A running gorse.

    Its feedback types are our event types: name those that count as positive in its configuration.

    Args:
        url: Where it answers.
        key: Its API key.
    """

    def __init__(self, url: str, key: str = "") -> None:
        self.url = address(url)
        self._headers = {"X-API-Key": key}

    def lists(self, users: Sequence[str]) -> Requests:
        """Lists of users."""
        paths = [f"/api/recommend/{user}?n={K}" for user in users]
        return Requests(self.url, paths, self._headers)

    def events(self, bodies: Sequence[str]) -> Requests:
        """Our events as its feedback."""
        lines = []
        for body in map(orjson.loads, bodies):
            one = _feedback(body["event_type"], body["user_id"], body["item_id"], time.time())
            lines.append(orjson.dumps([one]).decode())
        return Requests(self.url, ["/api/feedback"], self._headers, lines)

    def load(self, events: MadeEvents) -> float:
        """Send items, users and events.

        Returns:
            Rows of feedback a second.

        Raises:
            requests.RequestException: It does not answer, or refuses.
        """
        self._send("/api/items", _items(events))
        self._send("/api/users", ({"UserId": user_id(row)} for row in range(events.users)))
        began = time.perf_counter()
        self._send("/api/feedback", _feedbacks(events))
        return len(events.user) / (time.perf_counter() - began)

    def wait(self, events: MadeEvents) -> None:
        """Wait until it has computed lists of users with events.

        Raises:
            requests.RequestException: It does not answer, or refuses.
            TimeoutError: It has none within an hour.
        """
        active = np.unique(events.user)
        deadline = time.monotonic() + PATIENCE_S
        for user in active[:: max(1, len(active) // SAMPLE)].tolist():
            self._wait_for_list(user_id(user), deadline)

    def _send(self, path: str, rows: Iterable[dict[str, Any]]) -> None:
        """Rows in batches, by several clients at once."""
        batches, turn = _batches(rows), Lock()

        def client() -> None:
            with requests.Session() as session:
                session.headers.update({**self._headers, "Content-Type": "application/json"})
                while True:
                    with turn:
                        batch = next(batches, None)
                    if batch is None:
                        return
                    answer = session.post(self.url + path, orjson.dumps(batch), timeout=TIMEOUT_S)
                    answer.raise_for_status()

        with ThreadPoolExecutor(CLIENTS) as pool:
            for done in [pool.submit(client) for _ in range(CLIENTS)]:
                done.result()

    def _wait_for_list(self, user: str, deadline: float) -> None:
        """Wait until it has computed a list; asked for one before, it answers with what is new."""
        url = f"{self.url}/api/intermediate/recommend/{user}?n={K}"
        while time.monotonic() < deadline:
            answer = requests.get(url, headers=self._headers, timeout=TIMEOUT_S)
            answer.raise_for_status()
            if answer.json():
                return
            time.sleep(BETWEEN_TRIES_S)
        message = f"{self.url} has no list for {user}"
        raise TimeoutError(message)


def _items(events: MadeEvents) -> Iterator[dict[str, Any]]:
    for row, group in enumerate(events.group_of_item.tolist()):
        item = item_body(row, group)
        yield {
            "ItemId": item["item_id"],
            "Labels": item["categories"][0],  # by category it would compute every list again
            "Comment": item["title"],
            "Timestamp": _time(events.time_ms[0] / 1000),
        }


def _feedbacks(events: MadeEvents) -> Iterator[dict[str, Any]]:
    columns = (events.kind, events.user, events.item, events.time_ms)
    for kind, user, item, ms in zip(*(column.tolist() for column in columns), strict=True):
        yield _feedback(EVENT_TYPES[kind], user_id(user), item_id(item), ms / 1000)


def _feedback(kind: str, user: str, item: str, seconds: float) -> dict[str, Any]:
    return {"FeedbackType": kind, "UserId": user, "ItemId": item, "Timestamp": _time(seconds)}


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def _batches(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    for row in rows:
        batch.append(row)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
