"""Prequential evaluation: events in order, a list asked for before each is learned from.

Dawid 1984, and Vinagre et al. 2015 (arXiv:1504.08175) for recommenders.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from time import perf_counter
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from interest_graph.interaction_graph import DAY_S

from .cases import Cases, Ints, items_by_user, wanted_events
from .metrics import Ranking, rank

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    import numpy.typing as npt

    from interest_graph.interaction_graph import InteractionGraph

    from .cases import Ranker

DEEP_K = 20


class LiveRanker(Protocol):
    """A model that can be brought up to date with what has happened since it was fitted."""

    def ranker_at(self, graph: InteractionGraph, time: float) -> Ranker:
        """What ranks from now on.

        Args:
            graph: The events before `time`.
            time: The moment, in seconds since 1970.
        """
        ...


@dataclass(frozen=True, slots=True)
class Regime:
    """How a model follows events.

    Args:
        name: As in tables.
        live: The model.
        refresh: When it is brought up to date: never after the start, at the beginning of a day or
            at that of a block.
        histories: Whether a user's events are seen up to the moment, or up to the last midnight.
        every_days: Of `day`: days from one time to the next.
    """

    name: str
    live: LiveRanker
    refresh: Literal["never", "day", "block"]
    histories: Literal["now", "midnight"] = "now"
    every_days: int = 1


def refresh_on(live: LiveRanker) -> Regime:
    """Histories are current; what is known of items is brought up to date at every block."""
    return Regime("refresh on", live, "block")


def refresh_off(live: LiveRanker) -> Regime:
    """Histories are current; everything else stays as it was at the start."""
    return Regime("refresh off", live, "never")


def nightly(refit: LiveRanker, every_days: int = 1) -> Regime:
    """Histories and model are those of the last midnight, or the model of an earlier one."""
    return Regime("nightly", refit, "day", "midnight", every_days)


@dataclass(frozen=True, slots=True)
class Moments:
    """What is asked for: all that a user wants at one moment, a basket say, at a time.

    Ascending by time; users who have no earlier event are not asked about.

    Args:
        user: (M,) int64, row of the user.
        time: (M,) float64, seconds since 1970.
        block: (M,) int64, ascending. A block lies within a day; moments of equal time are in one.
        wave: (M,) int64, how many moments of the same user are earlier in the block.
    """

    user: Ints
    time: npt.NDArray[np.float64]
    block: Ints
    wave: Ints

    def __len__(self) -> int:
        """Number of moments."""
        return len(self.user)


@dataclass(frozen=True, slots=True)
class Stream:
    """The events of a test in order.

    Args:
        graph: All events, those before the test too.
        start: When the test begins.
        moments: What is asked for.
        wanted: (events,) bool, what can be wanted.
        exclude_seen: Leave out of the ranking what the user has seen.
    """

    graph: InteractionGraph
    start: float
    moments: Moments
    wanted: npt.NDArray[np.bool_]
    exclude_seen: bool = False

    def waves(self, *, midnight: bool) -> Iterator[tuple[float, Cases]]:
        """When a block begins, and cases of it, no two of one user; all blocks in order.

        Of a user asked about, a case's history holds all events before the moment; of everybody
        else, those before the block. With `midnight`, of everybody those before the day.
        """
        graph, moments = self.graph, self.moments
        for block in np.unique(moments.block).tolist():
            in_block = moments.block == block
            began = float(moments.time[in_block].min())
            day = graph.before(np.floor(began / DAY_S) * DAY_S) if midnight else None
            for wave in range(int(moments.wave[in_block].max()) + 1):
                places = np.flatnonzero(in_block & (moments.wave == wave))
                cases = self._cases(places[np.argsort(moments.user[places])], began)
                yield began, cases if day is None else replace(cases, history=day)

    def _cases(self, places: Ints, began: float) -> Cases:
        """Cases at some moments of different users, ascending by user."""
        graph, moments = self.graph, self.moments
        users, time = moments.user[places], moments.time[places]
        until = np.full(len(graph.user_ids), began)
        until[users] = time
        asked = np.full(len(graph.user_ids), np.nan)
        asked[users] = time
        history = graph.where(graph.event_time < until[graph.event_user])
        now = self.wanted & (graph.event_time == asked[graph.event_user])
        targets = items_by_user(graph.event_user[now], graph.event_item[now], users)
        return Cases(history, users, time, targets, self.exclude_seen)


def make_stream(
    graph: InteractionGraph,
    start: float,
    target_types: Collection[str] | None = None,
    *,
    exclude_seen: bool = False,
    block_events: int = 500,
    max_moments: int = 0,
    seed: int = 0,
) -> Stream:
    """The events from `start` on as a stream of moments in blocks.

    Args:
        graph: All events.
        start: When the test begins, in seconds since 1970; moved on to the next midnight (UTC), so
            that what is done nightly is done at its beginning.
        target_types: The event types that can be wanted; see `wanted_events`.
        exclude_seen: Leave out of the ranking what the user has seen.
        block_events: About how many wanted events a block holds; a day has at least one block.
        max_moments: Of more moments a seeded sample is asked about; 0 for all.
        seed: Of the sample.
    """
    start = float(np.ceil(start / DAY_S) * DAY_S)
    wanted = wanted_events(graph, target_types)
    began = graph.event_time[np.searchsorted(graph.event_user, graph.event_user, side="left")]
    asked = wanted & (graph.event_time >= start) & (graph.event_time > began)
    pairs = np.unique(np.stack([graph.event_time[asked], graph.event_user[asked]]), axis=1)
    time, user = pairs[0], pairs[1].astype(np.int64)
    if 0 < max_moments < len(user):
        drawn = np.random.default_rng(seed).permutation(len(user))[:max_moments]
        time, user = time[np.sort(drawn)], user[np.sort(drawn)]
    events = np.sort(graph.event_time[asked])
    day = np.floor(time / DAY_S)
    earlier = np.searchsorted(events, time) - np.searchsorted(events, day * DAY_S)
    parts = np.stack([day, np.floor(earlier / block_events)], axis=1)
    block = np.unique(parts, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)
    moments = Moments(user, time, block, _occurrence(block * len(graph.user_ids) + user))
    return Stream(graph, start, moments, wanted, exclude_seen)


def run_regime(
    stream: Stream, regime: Regime, report: Callable[[int, int], None] = lambda *_: None
) -> tuple[Ranking, float, float]:
    """Ask for a list at every moment of the stream.

    Args:
        stream: The events.
        regime: The model and how it follows.
        report: Called with the number of cases done and of all cases.

    Returns:
        The ranking of all cases, in order of block, wave and user; the seconds in which the model
        was brought up to date; and those in which it ranked.
    """
    seconds = {"refresh": 0.0, "rank": 0.0}
    parts: list[Ranking] = []
    ranker, last, done = None, stream.start, 0
    for start, cases in stream.waves(midnight=regime.histories == "midnight"):
        began = perf_counter()
        moment = _due(regime, start, last)
        if ranker is None or moment > last:
            ranker, last = regime.live.ranker_at(stream.graph.before(moment), moment), moment
        ranking_began = perf_counter()
        parts.append(rank(ranker, cases, DEEP_K))
        seconds["refresh"] += ranking_began - began
        seconds["rank"] += perf_counter() - ranking_began
        done += len(cases)
        report(done, len(stream.moments))
    return merged(parts), seconds["refresh"], seconds["rank"]


def _due(regime: Regime, start: float, last: float) -> float:
    """As of when a block that begins at `start` is ranked, when `last` is how it was before."""
    if regime.refresh == "never":
        return last
    if regime.refresh == "block":
        return start
    midnight = float(np.floor(start / DAY_S) * DAY_S)
    return midnight if midnight - last >= regime.every_days * DAY_S else last


def merged(parts: list[Ranking]) -> Ranking:
    """One ranking of the cases of all parts, in order."""
    first = np.cumsum([0, *(part.cases for part in parts)])
    return Ranking(
        int(first[-1]),
        np.concatenate([part.case + start for part, start in zip(parts, first, strict=False)]),
        np.concatenate([part.item for part in parts]),
        np.concatenate([part.rank for part in parts]),
        np.concatenate([part.new_rank for part in parts]),
        np.concatenate([part.top for part in parts]),
    )


def _occurrence(keys: Ints) -> Ints:
    """How many equal keys come before each key, (N,) int64.

    >>> _occurrence(np.array([5, 7, 5, 5])).tolist()
    [0, 0, 1, 2]
    """
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    counts = np.empty(len(keys), dtype=np.int64)
    counts[order] = np.arange(len(keys)) - np.searchsorted(ordered, ordered, side="left")
    return counts
