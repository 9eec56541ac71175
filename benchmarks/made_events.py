"""Events of a shop that never was, as skewed as those of real ones, seeded, of any number."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]

GENERATOR = 2
"""Of what is made of a seed; graphs that are kept name it."""
DAYS = 365
DAY_MS = 86_400_000
END_MS = 1_767_225_600_000  # 2026-01-01
MONTHS = 12
EVENTS_PER_USER = 50
EVENTS_PER_ITEM = 200
FEWEST_ITEMS = 1000
ITEMS_PER_GROUP = 50
ACTIVITY_POWER = 0.7
POPULARITY_POWER = 0.9
FIRST_RANK = 10.0
"""Ranks are counted from here: nobody, and nothing, is everything."""
OWN_GROUP = 0.6
TASTE_MONTHS = 3
TASTE_CHANGES = 0.3
"""How likely a user's category is another one after so many months."""
SESSION_EVENTS = 5.0
GAP_MS = 60_000.0
FADES_IN_MONTHS = 2.0
SHARES = (0.70, 0.10, 0.10, 0.07, 0.02, 0.01)
"""Of views, clicks, carts, purchases, ratings and reviews."""


@dataclass(frozen=True, slots=True)
class MadeEvents:
    """E events of U users with I items, oldest first.

    Args:
        user: (E,) int64.
        item: (E,) int64.
        kind: (E,) int64, place in `SHARES`.
        time_ms: (E,) int64, milliseconds since 1970, ascending.
        group_of_item: (I,) int64, the category of each item.
        users: U.
    """

    user: Ints
    item: Ints
    kind: Ints
    time_ms: Ints
    group_of_item: Ints
    users: int

    @property
    def items(self) -> int:
        """I."""
        return len(self.group_of_item)


def make_events(count: int, seed: int = 0) -> MadeEvents:
    """Make events over a year.

    Users differ in how much they do and items in how often they are taken by power laws. A user
    comes in sessions of five events on average and has one category that most of them are of, now
    and then another than before. Items appear in the course of the year and fade from then on.

    Args:
        count: E; every fifty have a user of their own, every two hundred an item.
        seed: Of everything random.
    """
    rng = np.random.default_rng(seed)
    users = max(1, count // EVENTS_PER_USER)
    items = max(FEWEST_ITEMS, count // EVENTS_PER_ITEM)
    groups = max(1, items // ITEMS_PER_GROUP)
    group_of_item = np.sort(rng.integers(groups, size=items))
    user = rng.choice(users, size=count, p=_power_law(users, ACTIVITY_POWER, rng))
    user.sort()
    time_ms = _session_times(user, rng)
    month = np.clip((time_ms - (END_MS - DAYS * DAY_MS)) * MONTHS // (DAYS * DAY_MS), 0, MONTHS - 1)
    favourite = _favourites(users, groups, rng)[user, month // TASTE_MONTHS]
    group = np.where(rng.random(count) < OWN_GROUP, favourite, -1)
    item = _choose_items(month, group, group_of_item, rng)
    order = np.argsort(time_ms, kind="stable")
    kind = rng.choice(len(SHARES), size=count, p=SHARES)
    return MadeEvents(
        user[order], item[order], kind, time_ms[order], group_of_item.astype(np.int64), users
    )


def _power_law(size: int, power: float, rng: np.random.Generator) -> Doubles:
    """Shares that fall with a rank, which is drawn."""
    shares = (rng.permutation(size) + FIRST_RANK) ** -power
    return np.asarray(shares / shares.sum())


def _favourites(users: int, groups: int, rng: np.random.Generator) -> Ints:
    """Each user's category, (users, periods of `TASTE_MONTHS`)."""
    found = rng.integers(groups, size=(users, MONTHS // TASTE_MONTHS))
    for period in range(1, found.shape[1]):
        stays = rng.random(users) >= TASTE_CHANGES
        found[stays, period] = found[stays, period - 1]
    return found


def _session_times(user: Ints, rng: np.random.Generator) -> Ints:
    """When events happen, given their users, ascending: in sessions."""
    count = len(user)
    begins = rng.random(count) < 1 / SESSION_EVENTS
    begins[0] = True
    begins[1:] |= user[1:] != user[:-1]
    session = np.cumsum(begins) - 1
    start = END_MS - DAYS * DAY_MS * rng.random(session[-1] + 1) ** 1.5  # more and more of them
    gaps = np.where(begins, 0.0, rng.exponential(GAP_MS, count))
    since_first = np.cumsum(gaps)
    since_begin = since_first - since_first[begins][session]
    return np.asarray(start[session] + since_begin, dtype=np.int64)


def _choose_items(month: Ints, group: Ints, group_of_item: Ints, rng: np.random.Generator) -> Ints:
    """Items by popularity in a month, of a group or of all for -1."""
    items = len(group_of_item)
    popularity = _power_law(items, POPULARITY_POWER, rng)
    born = np.where(rng.random(items) < 1 / 2, 0, rng.integers(MONTHS, size=items))
    groups = int(group_of_item.max()) + 1
    first = np.searchsorted(group_of_item, np.arange(groups))
    last = np.searchsorted(group_of_item, np.arange(groups), side="right")
    chosen = np.empty(len(month), dtype=np.int64)
    for number in range(MONTHS):
        age = number - born
        weight = np.where(age < 0, 0.0, popularity * 0.5 ** (age / FADES_IN_MONTHS))
        reached = np.concatenate([[0.0], np.cumsum(weight)])
        here = np.flatnonzero(month == number)
        low = np.where(group[here] < 0, 0.0, reached[first[group[here]]])
        high = np.where(group[here] < 0, reached[-1], reached[last[group[here]]])
        empty = high <= low  # nothing of that group is there yet
        low, high = np.where(empty, 0.0, low), np.where(empty, reached[-1], high)
        wanted = low + rng.random(len(here)) * (high - low)
        chosen[here] = np.clip(np.searchsorted(reached, wanted, side="right") - 1, 0, items - 1)
    return chosen
