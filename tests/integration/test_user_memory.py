"""What a process remembers of users: its answers are those of a process that knows nobody."""

from __future__ import annotations

import gc
import random
import weakref
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from interest_graph import redis_client as keys
from interest_graph.errors import NotFoundError
from interest_graph.field_types import category_id
from interest_graph.kept_user import KeptUsers
from interest_graph.recommendation import Query
from interest_graph.redis_client import connect
from interest_graph.serving_state import ServingState
from interest_graph.user_memory import UserMemory
from tests.integration.published_directory import FIRST, SECOND
from tests.integration.shop import ITEMS, Shop, rfc3339
from tests.integration.test_recommend import delta

if TYPE_CHECKING:
    import redis

    from interest_graph.recommend import Recommender
    from interest_graph.settings import Settings

USERS = ["u-1", "u-2", "u-3"]
KINDS = ["view", "click", "add_to_cart", "purchase"]
LATER = ["item-later", "item-latest"]


def answers(process: Recommender, user_id: str) -> list[object]:
    """Everything of a user's lists but the id, whose last part is random."""
    found = []
    for query in (
        Query(k=6),
        Query(k=20, exclude_seen=False),
        Query(k=3, category="Home", exclude=(ITEMS[0], ITEMS[5])),
    ):
        answer = process.recommend(user_id, query)
        found.append(replace(answer, recommendation_id=answer.recommendation_id[:30]))
    return found


class Walk:
    """Everything that can happen to what a list depends on, in a random order."""

    def __init__(self, shop: Shop, seed: int) -> None:
        self.shop = shop
        self.random = random.Random(seed)
        self.kept = KeptUsers(shop.client)
        self.sent = 0
        self.version = FIRST

    def step(self) -> str:
        """One change; returns which."""
        steps = [
            *[self._event] * 6,
            self._late_event,
            self._event_of_an_item_to_come,
            self._delete,
            self._describe_user,
            self._rebuild,
            self._hide,
            *[self._refresh] * 3,
            self._time_goes_on,
            self._swap,
        ]
        chosen = self.random.choice(steps)
        chosen()
        return chosen.__name__

    def _event(self, at: float | None = None, item_id: str | None = None) -> None:
        self.sent += 1
        self.shop.events.accept(
            [
                self.shop.event(
                    f"e-{self.sent}",
                    self.random.choice(USERS),
                    item_id or self.random.choice(ITEMS),
                    self.random.choice(KINDS),
                    occurred_at=rfc3339(at or self.shop.now - 100 + self.sent / 100),
                )
            ]
        )

    def _late_event(self) -> None:
        self._event(self.shop.now - self.random.randrange(3600, 10**6))

    def _event_of_an_item_to_come(self) -> None:
        self._event(item_id=self.random.choice(LATER))

    def _delete(self) -> None:
        user_id = self.random.choice(USERS)
        try:
            self.shop.users.delete(user_id)
        except NotFoundError:
            pass
        else:
            self.shop.users.put([{"user_id": user_id}])

    def _describe_user(self) -> None:
        categories = self.random.choice([[["Home"]], [["Garden", "Tools"]], []])
        document = {"user_id": self.random.choice(USERS), "categories": categories}
        self.shop.users.put([document])

    def _rebuild(self) -> None:
        """The revision stays, history and seen items do not."""
        user_id = self.random.choice(USERS)
        held = self.kept.read([user_id])[user_id]
        wish = replace(held, history=held.history[1:], seen=frozenset(list(held.seen)[1:]))
        assert self.kept.write(user_id, held, wish)

    def _hide(self) -> None:
        hidden = self.random.random() < 0.5
        self.shop.items.patch(self.random.choice(ITEMS), lambda d: {**d, "hidden": hidden})

    def _refresh(self) -> None:
        item_ids = self.random.sample([*ITEMS, *LATER], 2)
        self.shop.serving.publish(delta(item_ids, self.version, self.random.randrange(10**6)))

    def _time_goes_on(self) -> None:
        self.shop.now += self.random.choice([1, 59, 3600])

    def _swap(self) -> None:
        self.version = SECOND if self.version == FIRST else FIRST
        self.shop.serving.roll_out(self.version)


@pytest.mark.parametrize("seed", range(3))
def test_a_process_that_remembers_answers_as_one_that_knows_nobody(shop: Shop, seed: int) -> None:
    """After any sequence of events, deletes, rebuilds, deltas and models lists are the same."""
    shop.publish(SECOND, seed=2)
    shop.serving.roll_out(FIRST)
    walk, remembering = Walk(shop, seed), shop.recommender()
    for _ in range(100):
        step = walk.step()
        user_id = walk.random.choice(USERS)
        expected = answers(shop.recommender(), user_id)
        assert answers(remembering, user_id) == expected, step


def test_what_is_known_is_not_sent_again(shop: Shop) -> None:
    """A user who did nothing since is read as the very state that is remembered."""
    shop.send("u-1", ("purchase", ITEMS[1]), ("view", ITEMS[2]))
    first = shop.serving.read("u-1")
    again = shop.serving.read("u-1", first.user)
    assert again.user is first.user
    shop.send("u-1", ("view", ITEMS[3]))
    changed = shop.serving.read("u-1", first.user)
    assert [event.item_id for event in changed.user.history] == [ITEMS[1], ITEMS[2], ITEMS[3]]
    assert changed.user.stamp != first.user.stamp


def test_a_lost_redis_leaves_no_memory_that_passes_for_true(shop: Shop, log: redis.Redis) -> None:
    """With revisions numbered anew another history has another stamp."""
    process = shop.recommender()
    shop.send("u-1", ("view", ITEMS[1]))
    process.recommend("u-1", Query())
    log.flushdb()
    shop.serving.roll_out(FIRST)
    shop.stock()
    assert shop.send("u-1", ("view", ITEMS[2])) == 1
    because = process.recommend("u-1", Query()).items[0].because
    assert because
    assert because.item_id == ITEMS[2]


def test_a_user_of_an_earlier_version_is_read_every_time(shop: Shop, log: redis.Redis) -> None:
    """Without a stamp nothing tells whether what is remembered is true, so nothing is."""
    shop.send("u-1", ("view", ITEMS[1]))
    log.hdel(keys.user_key("u-1"), "v")
    state = shop.serving.read("u-1")
    memory = UserMemory(2**20)
    model = shop.recommender().shelf.current(state.manifest)
    memory.take_each({"u-1": state.user}, model)
    assert memory.get("u-1") is None
    assert shop.serving.read("u-1", state.user).user is not state.user


def test_memory_is_bounded_and_the_longest_unasked_goes_first(shop: Shop) -> None:
    """Users are forgotten in the order in which they were last asked about."""
    for user_id in USERS:
        shop.send(user_id, ("view", ITEMS[1]))
    states = {user_id: shop.serving.read(user_id) for user_id in USERS}
    model = shop.recommender().shelf.current(states["u-1"].manifest)
    one = UserMemory(2**20).take_each({"u-1": states["u-1"].user}, model)["u-1"].size_bytes
    memory = UserMemory(2 * one)
    for user_id in ("u-1", "u-2", "u-1", "u-3"):
        memory.take_each({user_id: states[user_id].user}, model)
    assert [user_id for user_id in USERS if memory.get(user_id)] == ["u-1", "u-3"]


def test_a_long_document_takes_no_memory(shop: Shop) -> None:
    """Of what the shop says of a user the declared categories are kept, however much it is."""
    described = {"user_id": "u-1", "categories": [["Home"]]}
    shop.users.put([described])
    short = shop.serving.read("u-1").user
    shop.users.put([described | {"properties": {"notes": ["x" * 20_000] * 100}}])
    long = shop.serving.read("u-1").user
    assert replace(long, stamp=b"", seen=[]) == replace(short, stamp=b"", seen=[])  # type: ignore[arg-type] # arrays have no equality
    assert long.declared == (category_id(["Home"]),)


def test_no_user_keeps_a_replaced_model_in_memory(shop: Shop) -> None:
    """With the first list after a swap the item matrix before is let go of, whoever asked it."""
    shop.publish(SECOND, seed=2)
    shop.serving.roll_out(FIRST)
    process = shop.recommender()
    for user_id in USERS:
        shop.send(user_id, ("view", ITEMS[1]))
        process.recommend(user_id, Query())
    replaced = weakref.ref(process.shelf.current(shop.serving.head()[0]).matrix)
    shop.serving.roll_out(SECOND)
    process.recommend(USERS[0], Query())
    gc.collect()
    assert replaced() is None


def test_a_read_survives_a_dropped_connection_and_a_forgotten_script(
    shop: Shop, log: redis.Redis, settings: Settings
) -> None:
    """The short way to Redis fails over to the client's own, which tries again."""
    serving = ServingState(connect(settings.serving_url, settings), settings)
    shop.send("u-1", ("view", ITEMS[1]))
    assert len(serving.read("u-1").user.history) == 1
    log.client_kill_filter(_type="normal", skipme=True)
    assert len(serving.read("u-1").user.history) == 1
    log.script_flush()
    assert len(serving.read("u-1").user.history) == 1
    assert serving.read("u-1").history_revision == 1
