"""Clients of a shop: events that are sent until they are answered, and lists that are checked."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import redis
import requests

SENDERS, BATCH, EVENTS_PER_S = 4, 10, 200
READERS, READS_PER_S = 4, 100
DUPLICATES, TWINS, LATE, CONFLICTS, POISON = 0.2, 0.05, 0.05, 0.01, 0.01
USERS = 200
VISITORS = 0.1
TIMEOUT_S = 8.0
PATIENCE_S = 0.2
SERVER_ERROR = 500
EXCUSED = {503, 429}
TYPES = ("view", "view", "view", "click", "add_to_cart", "purchase")


@dataclass
class Ledger:
    """What clients were told, and what was wrong.

    Args:
        accepted: Ids of events under a 202.
        revisions: By user the highest `history_revision` of a 202.
        hidden: Items that are hidden for certain.
        poison: Payloads put into the log that can never be written.
        server_errors: (when, status, what) of answers of 500 and above.
        wrong: Broken promises.
        unanswered: When requests got no answer in time, or lost their connection.
        answers: (when, status, whether it was a degraded list) of every answer.
        accepted_at: When events were answered with 202.
        new: How many events of a batch, named by its first, answers said were new.
        counts: What was done how often.
    """

    accepted: set[str] = field(default_factory=set)
    revisions: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    hidden: set[str] = field(default_factory=set)
    poison: list[str] = field(default_factory=list)
    server_errors: list[tuple[float, int, str]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    unanswered: list[float] = field(default_factory=list)
    answers: list[tuple[float, int, bool]] = field(default_factory=list)
    accepted_at: list[float] = field(default_factory=list)
    new: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)


class Load:
    """The load of one run, in threads.

    Args:
        url: Where the API answers.
        key: A key with all scopes.
        log_url: The log's Redis, for poison.
        prefix: Begins every id.
        items: Items of the catalogue, the most popular first.
        versions: Model versions that an answer may name.
        seed: Of everything random.
    """

    def __init__(
        self,
        url: str,
        key: str,
        log_url: str,
        prefix: str,
        items: list[str],
        versions: set[str],
        seed: int,
    ) -> None:
        self._url, self._key, self._prefix = url, key, prefix
        self._log_url, self._items, self._versions, self._seed = log_url, items, versions, seed
        self.ledger = Ledger()
        self._stop = threading.Event()
        self._threads = [
            *(
                threading.Thread(target=self._guarded(self._send), args=(n,))
                for n in range(SENDERS)
            ),
            *(
                threading.Thread(target=self._guarded(self._read), args=(n,))
                for n in range(READERS)
            ),
            threading.Thread(target=self._guarded(self._hide), args=(0,)),
            threading.Thread(target=self._guarded(self._poison), args=(0,)),
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End; what was sent is answered first."""
        self._stop.set()
        for thread in self._threads:
            thread.join(180)

    def users(self) -> list[str]:
        """Everybody of whom an event was accepted."""
        with self.ledger.lock:
            return [user for user, revision in self.ledger.revisions.items() if revision]

    def _guarded(self, work: Any) -> Any:
        """What a thread does not expect is a broken promise too."""

        def run(number: int) -> None:
            try:
                work(number)
            except Exception as error:  # noqa: BLE001 whatever it is, the test must see it
                self.ledger.wrong.append(f"{work.__name__} {number}: {error!r}")

        return run

    def _session(self) -> requests.Session:
        session = requests.Session()
        session.headers["Authorization"] = f"Bearer {self._key}"
        return session

    def _answered(
        self, session: requests.Session, method: str, path: str, body: Any
    ) -> tuple[requests.Response, bool]:
        """Send until there is an answer that stands; and whether every try had one.

        What was sent without an answer may still be on its way, and act whenever it arrives.
        """
        certain = True
        while True:
            try:
                answer = session.request(method, self._url + path, json=body, timeout=TIMEOUT_S)
            except requests.RequestException:
                self.ledger.unanswered.append(time.time())
                certain = False
            else:
                self._note(answer, path)
                if answer.status_code < SERVER_ERROR and answer.status_code not in EXCUSED:
                    return answer, certain
            time.sleep(PATIENCE_S)

    def _note(self, answer: requests.Response, path: str) -> None:
        degraded = answer.ok and bool(answer.json().get("degraded"))
        self.ledger.answers.append((time.time(), answer.status_code, degraded))
        if answer.status_code >= SERVER_ERROR:
            what = f"{path}: {answer.text[:200]}"
            self.ledger.server_errors.append((time.time(), answer.status_code, what))

    def _send(self, sender: int) -> None:
        """Events in batches at a steady rate, some sent again, some late, some in conflict."""
        chance, sessions = random.Random(self._seed * 100 + sender), [self._session()]
        sent: list[list[dict[str, Any]]] = []
        number, due = 0, time.monotonic()
        while not self._stop.is_set():
            if sent and chance.random() < DUPLICATES:
                batch = chance.choice(sent)
            else:
                batch = [self._event(chance, f"{sender}-{number + n}") for n in range(BATCH)]
                number += BATCH
                sent = [*sent[-50:], batch]
            conflicts = set()
            if chance.random() < CONFLICTS * BATCH:
                batch = [*batch, {**chance.choice(batch), "value": 99.0}]
                conflicts = {len(batch) - 1}
            if chance.random() < TWINS:  # a client that does not wait for the first answer
                sessions = [*sessions[:1], self._session()]
            self._deliver(sessions, batch, conflicts)
            sessions = sessions[:1]
            due += SENDERS * BATCH / EVENTS_PER_S
            time.sleep(max(0.0, due - time.monotonic()))

    def _deliver(
        self, sessions: list[requests.Session], batch: list[dict[str, Any]], conflicts: set[int]
    ) -> None:
        """Send a batch by each session, all at once."""
        with ThreadPoolExecutor(len(sessions)) as pool:
            asked = [
                pool.submit(self._answered, session, "POST", "/v1/events", batch)
                for session in sessions
            ]
        for one in asked:
            self._account(one.result()[0], batch, conflicts)

    def _event(self, chance: random.Random, name: str) -> dict[str, Any]:
        moment = datetime.now(UTC)
        if chance.random() < LATE:
            moment -= timedelta(hours=chance.uniform(1, 48))
        rank = min(int(chance.paretovariate(0.7)), len(self._items)) - 1
        return {
            "event_id": f"{self._prefix}-{name}",
            "user_id": f"{self._prefix}-{self._who(chance)}",
            "item_id": self._items[rank],
            "event_type": chance.choice(TYPES),
            "occurred_at": moment.isoformat(),
        }

    def _who(self, chance: random.Random) -> str:
        """A user who comes again, or the visitor of this second.

        What a refresh has missed of a visitor no later event repairs.
        """
        if chance.random() < VISITORS:
            return f"visitor-{int(time.time())}"
        return f"user-{chance.randrange(USERS)}"

    def _account(
        self, answer: requests.Response, batch: list[dict[str, Any]], conflicts: set[int]
    ) -> None:
        """Write down a 202, and see that exactly the conflicts were refused."""
        if answer.status_code != 202:
            self.ledger.wrong.append(f"events: {answer.status_code} {answer.text[:200]}")
            return
        self.ledger.accepted_at.append(time.time())
        body = answer.json()
        refused = {fault["index"] for fault in body["rejected"]}
        if refused != conflicts:
            self.ledger.wrong.append(f"refused {body['rejected']} instead of {conflicts}")
        with self.ledger.lock:
            self.ledger.new[batch[0]["event_id"]] += body["accepted"]
            self.ledger.counts["events"] += body["accepted"]
            self.ledger.counts["duplicates"] += body["duplicates"]
            self.ledger.counts["conflicts"] += len(refused)
            for place, event in enumerate(batch):
                if place not in refused:
                    self.ledger.accepted.add(event["event_id"])
                    user = event["user_id"]
                    known = self.ledger.revisions[user]
                    self.ledger.revisions[user] = max(known, body["history_revision"])

    def _read(self, reader: int) -> None:
        """Ask for lists and check what may never be wrong about them."""
        chance, session = random.Random(self._seed * 100 + 50 + reader), self._session()
        due = time.monotonic()
        while not self._stop.is_set():
            user = f"{self._prefix}-user-{chance.randrange(USERS)}"
            with self.ledger.lock:
                floor, hidden = self.ledger.revisions[user], set(self.ledger.hidden)
            try:
                answer = session.get(
                    f"{self._url}/v1/users/{user}/recommendations?k=20", timeout=TIMEOUT_S
                )
            except requests.RequestException:
                self.ledger.unanswered.append(time.time())
            else:
                self._note(answer, "recommendations")
                if answer.ok:
                    self._check(answer.json(), floor, hidden & self.ledger.hidden)
            due = max(due + READERS / READS_PER_S, time.monotonic() - 1.0)
            time.sleep(max(0.0, due - time.monotonic()))

    def _check(self, body: dict[str, Any], floor: int, hidden: set[str]) -> None:
        """No forbidden item, one known version, and nothing older than what was answered."""
        self.ledger.counts["lists"] += 1
        shown = {item["item_id"] for item in body["items"]}
        if body["degraded"]:
            self.ledger.counts["degraded lists"] += 1
            return
        if shown & hidden:
            self.ledger.wrong.append(f"hidden items were shown: {shown & hidden}")
        if body["model_version"] not in self._versions:
            self.ledger.wrong.append(f"a list of model {body['model_version']}")
        if body["history_revision"] < floor:
            self.ledger.wrong.append(f"revision {body['history_revision']} after {floor}")

    def _hide(self, _: int) -> None:
        """Hide popular items and show them again.

        An item is left alone once a try to show it had no answer: a frozen process may carry that
        out long after the item was hidden again.
        """
        chance, session = random.Random(self._seed + 1), self._session()
        uncertain: set[str] = set()
        while not self._stop.wait(0.2):
            item = self._items[chance.randrange(40)]
            if item in uncertain:
                continue
            hide = item not in self.ledger.hidden
            if not hide:
                with self.ledger.lock:
                    self.ledger.hidden.discard(item)
            path = f"/v1/items/{item}"
            answer, certain = self._answered(session, "PATCH", path, {"hidden": hide})
            if not certain and not hide:
                uncertain.add(item)
            if not answer.ok:
                self.ledger.wrong.append(f"hide: {answer.status_code} {answer.text[:200]}")
            elif hide:
                with self.ledger.lock:
                    self.ledger.hidden.add(item)
            self.ledger.counts["hidden or shown"] += 1

    def _poison(self, _: int) -> None:
        """Put entries into the log that can never be written."""
        client = redis.Redis.from_url(self._log_url, socket_timeout=2)
        number = 0
        while not self._stop.wait(1 / (EVENTS_PER_S * POISON)):
            payload = f"{self._prefix}: no event {number}"
            number += 1  # in any case: what failed may have been written all the same
            try:
                client.xadd("ig:log:0", {"kind": "event", "payload": payload})
            except redis.RedisError:
                self.ledger.counts["poison in doubt"] += 1
                continue
            self.ledger.poison.append(payload)
