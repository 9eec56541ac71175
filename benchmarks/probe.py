"""Events followed through the service: to the next list, into the graph, to a refresh."""

from __future__ import annotations

import random
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from concurrent.futures import Future
    from types import TracebackType
    from typing import Self

    from .target import Target

UNDER_WAY = """
UNWIND $asked AS one
MATCH (user:User {user_id: one.user_id})-[:CLICKED {event_id: one.event_id}]->()
RETURN one.event_id AS event_id, user.facts_revision AS facts,
       coalesce(user.refreshed_revision, -1) AS refreshed"""
PATIENCE_S = 60.0
POLL_S = 0.02
POLL_SHARE = 0.05
SENDERS = 16


@dataclass(slots=True)
class Probe:
    """What became of an event; times are of `time.perf_counter`.

    Args:
        event_id: Its id.
        user_id: Whose it is.
        due: When it was to be sent.
        accepted: When its 202 was there.
        listed: When the next list was there.
        reflected: Whether the list was as new as the event.
        in_graph: When it was first seen as a fact.
        facts_revision: That of its user at that moment.
        refreshed: When its user was first seen refreshed up to that revision.
        next_look: When it is asked about again.
    """

    event_id: str
    user_id: str
    due: float
    accepted: float
    listed: float
    reflected: bool
    in_graph: float = 0.0
    facts_revision: int = 0
    refreshed: float = 0.0
    next_look: float = 0.0

    @property
    def pair_s(self) -> float:
        """Seconds from when the event was due to the next list."""
        return self.listed - self.due

    @property
    def listed_s(self) -> float:
        """Seconds from its 202 to the next list."""
        return self.listed - self.accepted

    @property
    def in_graph_s(self) -> float:
        """Seconds from its 202 until it was a fact."""
        return self.in_graph - self.accepted

    @property
    def refreshed_s(self) -> float:
        """Seconds from its 202 until its user was refreshed."""
        return self.refreshed - self.accepted


class Watch:
    """Looks in the graph for all events that are under way, with one question every 20 ms.

    So a slow moment brings no more questions than a quick one. Nor does a backlog make them much
    longer: an event is asked about again after 20 ms or a twentieth of its age, whichever is more,
    by which what is found may be late. Closed, it waits for what is left.

    Args:
        ask: Rows with `event_id`, `facts` and `refreshed` of those of the given `event_id` and
            `user_id` that are facts.
        patience_s: Seconds that an event is waited for.
    """

    def __init__(
        self,
        ask: Callable[[list[dict[str, str]]], Iterable[Mapping[str, Any]]],
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._ask, self._patience_s, self._closed = ask, patience_s, False
        self._lock, self._under_way = Lock(), dict[str, Probe]()
        self._error: Exception | None = None
        self._thread = Thread(target=self._run, daemon=True)

    def add(self, probe: Probe) -> None:
        """Follow an event as well."""
        with self._lock:
            self._under_way[probe.event_id] = probe

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wait for all.

        Raises:
            TimeoutError: An event did not arrive in time.
        """
        self._closed = True
        self._thread.join()
        if self._error is not None and error is None:
            raise self._error

    def _run(self) -> None:
        try:
            closed = False
            while self._look() or not closed:
                time.sleep(POLL_S)
                closed = self._closed  # before the next look, which sees all that was added
        except Exception as error:  # noqa: BLE001 told by the thread that waits
            self._error = error

    def _look(self) -> bool:
        """Ask once; whether something is still under way."""
        began = time.perf_counter()
        with self._lock:
            asked = [one for one in self._under_way.values() if one.next_look <= began]
        if not asked:
            return bool(self._under_way)
        rows = self._ask([{"event_id": one.event_id, "user_id": one.user_id} for one in asked])
        now = time.perf_counter()
        for one in asked:
            one.next_look = began + max(POLL_S, POLL_SHARE * (now - one.accepted))
        for row in rows:
            probe = self._under_way[row["event_id"]]
            if not probe.in_graph:
                probe.in_graph, probe.facts_revision = now, row["facts"]
            if row["refreshed"] >= probe.facts_revision:
                probe.refreshed = now
                with self._lock:
                    del self._under_way[probe.event_id]
        late = sum(now - one.accepted > self._patience_s and not one.refreshed for one in asked)
        if late:
            message = f"{late} events did not arrive within {self._patience_s:.0f} s"
            raise TimeoutError(message)
        return bool(self._under_way)


def probe(stack: Target, seed: int) -> Probe:
    """One event, followed until its user is refreshed; as `probes`."""
    with _watch(stack) as watch:
        return _send(stack, seed, time.perf_counter(), watch)


def probes(
    stack: Target, seconds: float, rate: float, report: Callable[[float, int], None]
) -> list[Probe]:
    """Clicks at a constant rate, each followed to its user's next list and until a refresh.

    Args:
        stack: The service.
        seconds: How long.
        rate: Clicks a second, due whatever became of those before.
        report: Called with seconds and clicks, every hundred clicks.

    Raises:
        TimeoutError: One did not arrive within a minute.
        requests.HTTPError: One was refused.
    """
    sent: list[Future[Probe]] = []
    with _watch(stack) as watch, ThreadPoolExecutor(SENDERS) as pool:
        began = time.perf_counter()
        for seed in range(round(seconds * rate)):
            due = began + seed / rate
            time.sleep(max(0.0, due - time.perf_counter()))
            sent.append(pool.submit(_send, stack, seed, due, watch))
            if len(sent) % 100 == 0:
                report(time.perf_counter() - began, len(sent))
    return [one.result() for one in sent]


def _watch(stack: Target) -> Watch:
    """A watch of a service's graph."""
    driver = stack.driver
    return Watch(lambda asked: driver.execute_query(UNDER_WAY, {"asked": asked}).records)


def _send(stack: Target, seed: int, due: float, watch: Watch) -> Probe:
    """Send a click of some user, by the seed, ask for the user's list, and have it followed."""
    chance, event_id = random.Random(seed), uuid.uuid4().hex
    user, item = chance.choice(stack.users[:300]), chance.choice(stack.items[:2000])
    body = {"event_id": event_id, "user_id": user, "item_id": item, "event_type": "click"}
    sent = stack.session.post(f"{stack.url}/v1/events", json=body, timeout=30)
    accepted = time.perf_counter()
    answer = stack.session.get(f"{stack.url}/v1/users/{user}/recommendations", timeout=30)
    listed = time.perf_counter()
    sent.raise_for_status()
    answer.raise_for_status()
    reflected = answer.json()["history_revision"] >= sent.json()["history_revision"]
    found = Probe(event_id, user, due, accepted, listed, reflected)
    watch.add(found)
    return found
