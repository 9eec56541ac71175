"""Four API processes are as one: what any of them answered, every other one knows.

`INTEREST_GRAPH_TEST_PAIRS`, `…_TEST_ANSWERS` and `…_TEST_WRITES` change how much is tried.
"""

from __future__ import annotations

import os
import random
import sys
import time
import uuid
import zlib
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.api_processes import Client, Tally, api_processes, at_once

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.running_service import RunningService

PROCESSES = 4
CLIENTS, WRITERS = 4, 2
PAIRS = int(os.environ.get("INTEREST_GRAPH_TEST_PAIRS", "1000"))
ANSWERS = int(os.environ.get("INTEREST_GRAPH_TEST_ANSWERS", "1000"))
WRITES = int(os.environ.get("INTEREST_GRAPH_TEST_WRITES", "100"))
EVENTS_A_USER = 50
MOST_AWAY = 10
MOST_AT_ONCE = 1000
K = 20

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.timeout(300 + (2 * PAIRS + ANSWERS + WRITES) // 20),
]


@pytest.fixture(scope="module")
def urls(running_service: RunningService) -> Iterator[list[str]]:
    with api_processes(running_service, PROCESSES) as found:
        yield found


def client(service: RunningService, urls: list[str]) -> Client:
    return Client(urls, str(service.session.headers["Authorization"]))


def tell(began: float, tally: Tally) -> None:
    """Say what was done, for who reads the log of a run."""
    sys.stderr.write(f"\n{time.monotonic() - began:.0f} s: {tally}\n")


def test_a_list_of_any_process_counts_the_event_that_another_one_accepted(
    running_service: RunningService, urls: list[str]
) -> None:
    """Write at one process, read at the next: nothing bought is listed, and no list is stale."""
    began, tally = time.monotonic(), Tally()
    prefix = f"pairs-{uuid.uuid4().hex[:6]}"

    def write_and_read(number: int) -> None:
        asked, chance = client(running_service, urls), random.Random(number)
        user = 0
        while tally["begun"] < PAIRS:
            one_user(asked, f"{prefix}-{number}-{user}", chance, tally)
            user += 1

    at_once([partial(write_and_read, number) for number in range(CLIENTS)])
    tell(began, tally)
    assert tally["pairs"] == PAIRS


def one_user(asked: Client, user: str, chance: random.Random, tally: Tally) -> None:
    """A user's events, each followed by a list of another process than the one that took it."""
    path = f"/v1/users/{user}/recommendations?k=10"
    before = asked.ask(chance.randrange(PROCESSES), "GET", path)
    bought: set[str] = set()
    for number in range(EVENTS_A_USER):
        if tally.add("begun") >= PAIRS:
            return
        process = chance.randrange(PROCESSES)
        item = chance.choice(before["items"])["item_id"]
        kind = chance.choice(("view", "add_to_cart", "purchase"))
        event = {"user_id": user, "item_id": item, "event_type": kind}
        event["event_id"] = f"{user}-{number}"
        accepted = asked.ask(process, "POST", "/v1/events", event)
        after = asked.ask(process + chance.randrange(1, PROCESSES), "GET", path)
        bought |= {item} if kind == "purchase" else set()
        assert after["history_revision"] >= accepted["history_revision"], (user, number)
        assert not bought & {one["item_id"] for one in after["items"]}, (user, number)
        assert scores(after) != scores(before), f"{user}: event {number} changed no score"
        assert not after["degraded"]
        before = after
        tally.add("pairs")


def scores(answer: Any) -> list[tuple[str, float]]:
    """What an answer lists."""
    return [(one["item_id"], one["score"]) for one in answer["items"]]


class Shelf:
    """Items that come and go, and which of them must not be shown now.

    What is taken away was in a list that somebody was just given: otherwise a process that does not
    know of it would be caught by nothing, since an item that is created again is soon listed less.

    Args:
        listed: Items that are listed.
    """

    def __init__(self, listed: list[str]) -> None:
        self.listed = listed
        self.documents: dict[str, dict[str, Any]] = {}
        self.forbidden: dict[str, int] = {}
        self.tally = Tally()

    def write(self, asked: Client, writer: int, chance: random.Random) -> None:
        """Hide, show, delete and create again items that nobody else writes, spread over a run."""
        gone: set[str] = set()
        while (number := self.tally.add("writes")) < WRITES:
            while self.tally["readers"] and self.tally["answers"] < number * ANSWERS // WRITES:
                time.sleep(0.001)
            away = [item for item in list(self.forbidden) if writer_of(item) == writer]
            there = [item for item in self.listed if writer_of(item) == writer and item not in away]
            process = chance.randrange(PROCESSES)
            if away and (not there or len(away) == MOST_AWAY or chance.random() < 0.5):
                item = chance.choice(away)
                del self.forbidden[item]  # from now on it may be shown
                self._show(asked, process, item, created=item in gone)
                gone.discard(item)
            elif there:
                item, delete = chance.choice(there), chance.random() < 0.5
                self._keep_document(asked, item)
                gone |= {item} if delete else set()
                self._take_away(asked, process, item, delete=delete)
                self.forbidden[item] = number  # since the answer

    def _keep_document(self, asked: Client, item: str) -> None:
        """Read what an item is created again from."""
        if item not in self.documents:
            self.documents[item] = asked.ask(0, "GET", f"/v1/items/{item}")

    def _show(self, asked: Client, process: int, item: str, *, created: bool) -> None:
        if created:
            asked.ask(process, "POST", "/v1/items", self.documents[item])
        else:
            asked.ask(process, "PATCH", f"/v1/items/{item}", {"hidden": False})
        self.tally.add("created again" if created else "shown again")

    def _take_away(self, asked: Client, process: int, item: str, *, delete: bool) -> None:
        if delete:
            asked.ask(process, "DELETE", f"/v1/items/{item}")
        else:
            asked.ask(process, "PATCH", f"/v1/items/{item}", {"hidden": True})
        self.tally.add("deleted" if delete else "hidden")

    def read(self, asked: Client, users: list[str], chance: random.Random) -> None:
        """Ask for lists until there are enough, or one is wrong."""
        self.tally.add("readers")
        try:
            while self.tally.add("asked") < ANSWERS:
                self._read_one(asked, chance.choice(users), chance.randrange(PROCESSES))
        finally:
            self.tally.add("readers", -1)

    def _read_one(self, asked: Client, user: str, process: int) -> None:
        """What was forbidden when a list was asked for, and still is, is not in it."""
        before = dict(self.forbidden)
        path = f"/v1/users/{user}/recommendations?k={K}&exclude_seen=false"
        answer = asked.ask(process, "GET", path)
        shown = {one["item_id"] for one in answer["items"]}
        wrong = {one for one in shown & set(before) if self.forbidden.get(one) == before[one]}
        assert not wrong, f"shown although hidden or deleted: {wrong}"
        assert not answer["degraded"]
        self.listed = list(shown)
        self.tally.add("answers")
        self.tally.add("of these items shown in them", len(shown & self.documents.keys()))
        self.tally.add("of these items forbidden to them", len(before))


def writer_of(item: str) -> int:
    """Who of the writers writes an item."""
    return zlib.crc32(item.encode()) % WRITERS


def test_no_process_shows_what_another_one_hid_or_deleted(
    running_service: RunningService, urls: list[str]
) -> None:
    """Random hiding, showing, deleting and creating again against lists of all processes."""
    began, service = time.monotonic(), running_service
    users = [row["id"] for row in service.graph("MATCH (u:User) RETURN u.user_id AS id LIMIT 40")]
    listed = service.get(f"/v1/users/{users[0]}/recommendations", k=K, exclude_seen=False)
    shelf = Shelf([one["item_id"] for one in listed["items"]])
    asked = [client(service, urls) for _ in range(CLIENTS + WRITERS)]
    works = [
        *(partial(shelf.read, asked.pop(), users, random.Random(n)) for n in range(CLIENTS)),
        *(partial(shelf.write, asked.pop(), n, random.Random(-1 - n)) for n in range(WRITERS)),
    ]
    try:
        at_once(works)
    finally:
        documents = list(shelf.documents.values())
        for first in range(0, len(documents), MOST_AT_ONCE):
            service.post("/v1/items", documents[first : first + MOST_AT_ONCE])
    tell(began, shelf.tally)
    assert shelf.tally["answers"] == ANSWERS
    # Or nothing would be shown by it.
    assert shelf.tally["hidden"] + shelf.tally["deleted"] > WRITES // 4
    assert shelf.tally["of these items shown in them"] > ANSWERS // 4
    while service.stale():  # what comes next begins with nothing stale
        time.sleep(0.5)
