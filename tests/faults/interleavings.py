"""A seeded scheduler for the revision protocol: workers and facts take steps in a given order.

A step is one call to the graph. The graph is one in memory, which says to the statements of a
refresh what their text says, or the real one: both are held to the same checks.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from cypher.statement import load, load_for_all
from interest_graph.refresh_users import refresh_users
from interest_graph.serving_state import Manifest
from interest_graph.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from interest_graph.graph.store import GraphStore

USER = "u-1"
RELATIONSHIPS = tuple(Settings().relationships)
MODEL = "m-1"
WORKERS, WORKER_STEPS, FACTS = 2, 4, 3
PATIENCE_S = 30.0


def orders(counts: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Every order in which program i takes counts[i] steps.

    >>> [*orders((1, 2))]
    [(0, 1, 1), (1, 0, 1), (1, 1, 0)]
    """
    if not any(counts):
        yield ()
    for program, left in enumerate(counts):
        if left:
            rest = (*counts[:program], left - 1, *counts[program + 1 :])
            yield from ((program, *later) for later in orders(rest))


class Turns:
    """Programs that take a step only when it is their turn."""

    def __init__(self, programs: Sequence[Callable[[Callable[[], None]], object]]) -> None:
        self._go = [threading.Semaphore(0) for _ in programs]
        self._done = threading.Semaphore(0)
        self._over = [False] * len(programs)
        self.errors: list[BaseException] = []
        self._threads = [
            threading.Thread(target=self._run, args=(number, program), daemon=True)
            for number, program in enumerate(programs)
        ]
        for thread in self._threads:
            thread.start()

    def step(self, number: int) -> None:
        """Let a program take its next step; nothing when it is over."""
        if self._over[number]:
            return
        self._go[number].release()
        assert self._done.acquire(timeout=PATIENCE_S), "a step did not end"

    def finish(self) -> None:
        """Let all programs end."""
        for number in range(len(self._over)):
            while not self._over[number]:
                self.step(number)

    def _run(self, number: int, program: Callable[[Callable[[], None]], object]) -> None:
        self._go[number].acquire()

        def stepped() -> None:
            self._done.release()
            self._go[number].acquire()

        try:
            program(stepped)
        except BaseException as error:  # noqa: BLE001 the test must see it
            self.errors.append(error)
        self._over[number] = True
        self._done.release()


@dataclass
class MemoryGraph:
    """The revision protocol of one user, in memory."""

    events: list[str] = field(default_factory=list)
    facts_revision: int = 0
    refreshed_revision: int = 0
    stale: bool = False
    embedding: list[float] | None = None

    def run(self, text: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
        """Rows of the statement of that text."""
        return {
            load("read/fetch_user_revisions").text: self._revisions,
            load_for_all("read/fetch_user_events", RELATIONSHIPS): self._events,
            load("read/fetch_item_categories").text: lambda _: [],
            load("write/write_user_interests").text: self._write,
        }[text](parameters)

    def add_fact(self, name: str) -> None:
        """A new event, in its own transaction."""
        self.events.append(name)
        self.facts_revision += 1
        self.stale = True

    def state(self) -> dict[str, Any]:
        """What the checks look at."""
        return {
            "facts": self.facts_revision,
            "refreshed": self.refreshed_revision,
            "stale": self.stale,
            "embedding": self.embedding,
        }

    def read(self, work: Callable[[Any], Any]) -> Any:
        """A transaction."""
        return work(self)

    write = read

    def _revisions(self, _: dict[str, Any]) -> list[dict[str, Any]]:
        row = {"facts_revision": self.facts_revision, "refreshed_revision": self.refreshed_revision}
        return [{"user_id": USER, "stale_since_ms": 0, **row}] if self.events else []

    def _events(self, _: dict[str, Any]) -> list[dict[str, Any]]:
        rows = [[number, name, "item", "VIEWED"] for number, name in enumerate(self.events)]
        return [{"user_id": USER, "events": rows}]

    def _write(self, parameters: dict[str, Any]) -> list[dict[str, Any]]:
        (row,) = parameters["users"]
        if self.refreshed_revision >= row["read_revision"]:
            return [{"written": 0}]
        self.embedding, self.refreshed_revision = row["embedding"], row["read_revision"]
        self.stale = self.facts_revision > row["read_revision"]
        return [{"written": 1}]


class SteppingTransaction:
    """A transaction of which each statement is a step."""

    def __init__(self, tx: Any, stepped: Callable[[], None]) -> None:
        self._tx, self._stepped = tx, stepped

    def run(self, text: str, parameters: dict[str, Any]) -> list[Any]:
        """A step that reads."""
        rows = list(self._tx.run(text, parameters))
        self._stepped()
        return rows


class Stepping:
    """A graph of which each statement that reads is a step, and each transaction that writes.

    A statement sees all that was committed before it, even in the middle of a transaction.
    """

    def __init__(self, graph: Any, stepped: Callable[[], None]) -> None:
        self._graph, self._stepped = graph, stepped

    def read(self, work: Callable[[Any], Any]) -> Any:
        """As many steps as statements."""
        return self._graph.read(lambda tx: work(SteppingTransaction(tx, self._stepped)))

    def write(self, work: Callable[[Any], Any]) -> Any:
        """A step that writes."""
        found = self._graph.write(work)
        self._stepped()
        return found


class Everything:
    """An item matrix that knows every item."""

    def __contains__(self, _: object) -> bool:
        """Yes."""
        return True


def counted_interest(_encoder: object, _matrix: object, history: Any, _as_of: int) -> Any:
    """An interest that says how many events it is of: by that the test knows what was read."""
    return SimpleNamespace(
        events=history,
        alpha=[1 / len(history)] * len(history),
        embedding=np.array([float(len(history))]),
    )


def refresh(graph: Any, settings: Settings | None = None) -> None:
    """One refresh of the user, by the code that the workers run."""
    matrix = SimpleNamespace(row_of=Everything())
    encoder = SimpleNamespace(max_events=FACTS, event_types=len(RELATIONSHIPS))
    model = SimpleNamespace(model_version=MODEL, encoder=encoder, matrix=matrix)
    refresh_users(
        [USER],
        cast("GraphStore", graph),
        cast("Any", SimpleNamespace(head=lambda: (Manifest(MODEL, 0), 0))),
        cast("Any", SimpleNamespace(current=lambda _: model)),
        settings or Settings(),
        as_of=0,
    )


def play(
    graph: Any,
    order: Sequence[int],
    add_fact: Callable[[str], None],
    state: Callable[[], dict[str, Any]],
    settings: Settings | None = None,
) -> None:
    """Two workers and three facts take their steps in an order; the checks hold after each.

    Raises:
        AssertionError: A mark was lost, or something older replaced something newer.
    """

    def facts(stepped: Callable[[], None]) -> None:
        for number in range(FACTS):
            add_fact(f"e-{number}")
            stepped()

    def worker(stepped: Callable[[], None]) -> None:
        refresh(Stepping(graph, stepped), settings)

    turns = Turns([*([worker] * WORKERS), facts])
    newest = 0
    for program in order:
        turns.step(program)
        newest = check(state(), newest, order)
    turns.finish()
    assert not turns.errors, (order, turns.errors)
    while state()["refreshed"] < state()["facts"]:
        refresh(graph, settings)
        newest = check(state(), newest, order)
    assert state()["embedding"] == [float(FACTS)], order
    assert not state()["stale"], order


def check(now: dict[str, Any], newest: int, order: Sequence[int]) -> int:
    """What holds at every moment; returns the refreshed revision."""
    assert newest <= now["refreshed"] <= now["facts"], (order, now)
    assert now["stale"] == (now["refreshed"] < now["facts"]), (order, now)
    if now["refreshed"]:
        assert now["embedding"][0] >= now["refreshed"], (order, now)
    return int(now["refreshed"])
