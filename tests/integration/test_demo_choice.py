"""The demo announces what the service then really does."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from cli.demo_choice import Candidate, choose
from interest_graph.errors import ModelNotReadyError
from interest_graph.recommendation import Query
from interest_graph.services import Services, build_services
from tests.integration.shop import ITEMS, rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterator

    from interest_graph.settings import Settings
    from tests.integration.shop import Shop

K = 4


@pytest.fixture
def services(shop: Shop) -> Iterator[Services]:
    """The services on the shop's Redis; the clock shows today."""
    shop.now = time.time()
    with closing(build_services(shop.settings)) as built:
        yield built


def _list(services: Services, user_id: str) -> set[str]:
    answer = services.recommender.recommend(user_id, Query(k=K))
    return {item.item_id for item in answer.items}


def test_the_choice_changes_the_real_list_most(shop: Shop, services: Services) -> None:
    """No other candidate's purchase brings more new items, and this one brings as many as said."""
    shop.send("u-1", ("purchase", ITEMS[0]), ("purchase", ITEMS[1]))
    shop.send("u-2", ("purchase", ITEMS[2]))
    surprises = tuple(ITEMS[5:9])
    candidates = [Candidate(user_id, surprises) for user_id in ("u-1", "u-2")]
    choice = choose(services, candidates, "purchase", K)
    fresh = {}
    for user_id in ("u-1", "u-2"):
        for item_id in surprises:
            twin = f"twin-{user_id}-{item_id}"
            bought = [(ITEMS[0], ITEMS[1]), (ITEMS[2],)][user_id == "u-2"]
            shop.send(twin, *(("purchase", item) for item in bought))
            before = _list(services, twin)
            now = rfc3339(shop.now)
            shop.events.accept([shop.event(twin, twin, item_id, "purchase", occurred_at=now)])
            fresh[user_id, item_id] = len(_list(services, twin) - before)
    assert choice.event_type == "purchase"
    assert fresh[choice.user_id, choice.item_id] == max(fresh.values())


def test_what_was_bought_already_is_no_surprise(shop: Shop, services: Services) -> None:
    """An item of the household's history is passed over."""
    shop.send("u-1", ("purchase", ITEMS[5]))
    choice = choose(services, [Candidate("u-1", (ITEMS[5], ITEMS[6]))], "purchase", K)
    assert choice.item_id == ITEMS[6]


def test_without_a_model_there_is_no_story(settings: Settings) -> None:
    """The demo trains before it tells."""
    with closing(build_services(settings)) as services, pytest.raises(ModelNotReadyError):
        choose(services, [Candidate("u-1", ("i",))], "purchase", K)
