"""Lists that are asked for at once are those that each would be alone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

import pytest
import redis

from interest_graph.errors import (
    InterestGraphError,
    InvalidInputError,
    ModelNotReadyError,
    RevokedKeyError,
)
from interest_graph.recommendation import Asked, Query, Recommendations
from interest_graph.redis_client import call
from tests.integration.shop import ITEMS, Shop

if TYPE_CHECKING:
    from collections.abc import Sequence

    from interest_graph.settings import Settings

Answer = Recommendations | InterestGraphError
USERS = [f"u-{number}" for number in range(7)]


class Refusing:
    """A rider that refuses whatever it hears."""

    field = ("ig:nothing", "nothing")

    def hear(self, _answer: bytes | None) -> None:
        """Refuse.

        Raises:
            RevokedKeyError: Always.
        """
        message = "revoked"
        raise RevokedKeyError(message)


def busy(shop: Shop) -> None:
    """Everybody but the last two has done something."""
    for number, user_id in enumerate(USERS[:-2]):
        kinds = ("view", "purchase", "click")
        shop.send(user_id, *((kinds[n % 3], ITEMS[(number + n) % 16]) for n in range(number + 1)))
    shop.users.put([{"user_id": USERS[-1], "categories": [["Garden"]]}])


def unnamed(answer: Answer) -> object:
    """What can be compared: an id is another one each time, an error is its class and its text."""
    if isinstance(answer, InterestGraphError):
        return type(answer), str(answer)
    return replace(answer, recommendation_id="")


def alone(shop: Shop, asked: Sequence[Asked]) -> list[object]:
    """Each by a process that knows nobody; scores are those of others but for rounding."""
    return [but_for_rounding(shop.recommender().recommend_each([one])[0]) for one in asked]


def but_for_rounding(answer: Answer) -> object:
    """As `unnamed`, for a comparison in which scores need only be the same to five digits."""
    if isinstance(answer, InterestGraphError):
        return unnamed(answer)
    items = [
        replace(one, score=cast("float", pytest.approx(one.score, abs=1e-5)))
        for one in answer.items
    ]
    return replace(answer, recommendation_id="", items=items)


def test_together_is_as_alone(shop: Shop) -> None:
    """Whoever it is, whatever is asked, on a process that knows them and on one that does not."""
    busy(shop)
    shop.items.patch(ITEMS[3], lambda document: document | {"hidden": True})
    queries = (Query(), Query(k=3), Query(exclude_seen=False), Query(category="Home"))
    asked = [Asked(user, query) for query in queries for user in [*USERS, *USERS[:2]]]
    expected, process = alone(shop, asked), shop.recommender()
    for _ in range(2):
        assert [unnamed(one) for one in process.recommend_each(asked)] == expected
    shop.send(USERS[1], ("click", ITEMS[9]))
    expected = alone(shop, asked)
    assert [unnamed(one) for one in process.recommend_each(asked)] == expected


def test_an_error_is_one_request_s_own(shop: Shop) -> None:
    """A key that was revoked, a category that is none: the others have their lists."""
    busy(shop)
    asked = [
        Asked(USERS[0], Query()),
        Asked(USERS[1], Query(), Refusing()),
        Asked(USERS[2], Query(category="Nowhere")),
        Asked(USERS[3], Query()),
    ]
    found = shop.recommender().recommend_each(asked)
    assert [type(one) for one in found] == [
        Recommendations,
        RevokedKeyError,
        InvalidInputError,
        Recommendations,
    ]
    assert [unnamed(one) for one in found] == alone(shop, asked)


def test_all_lists_are_of_one_moment(shop: Shop) -> None:
    """One call of one script reads all of it, and nothing else happens in Redis meanwhile."""
    busy(shop)
    process, asked = shop.recommender(), [Asked(user, Query()) for user in USERS]
    process.recommend_each(asked)

    def calls() -> int:
        commands: dict[str, dict[str, int]] = shop.client.info("commandstats")  # type: ignore[assignment] # sync client
        return commands["cmdstat_evalsha"]["calls"]

    before = calls()
    process.recommend_each(asked)
    assert calls() == before + 1


def test_without_a_model_nobody_has_a_list(settings: Settings, log: redis.Redis) -> None:
    """The error is everybody's."""
    found = (
        Shop(settings, log).recommender().recommend_each([Asked(user, Query()) for user in USERS])
    )
    assert {type(one) for one in found} == {ModelNotReadyError}


def test_a_server_that_lost_the_script_is_told_it_again(shop: Shop) -> None:
    """All answers come, in order, whether or not the server knew the script before."""
    busy(shop)
    process, asked = shop.recommender(), [Asked(user, Query()) for user in USERS]
    expected = alone(shop, asked)
    shop.client.script_flush()
    assert [unnamed(one) for one in process.recommend_each(asked)] == expected
    connections = shop.client.info("clients")["connected_clients"]  # type: ignore[index] # sync client
    for _ in range(3):
        assert [unnamed(one) for one in process.recommend_each(asked)] == expected
    assert shop.client.info("clients")["connected_clients"] == connections  # type: ignore[index]


def test_a_script_that_fails_spoils_no_later_answer(log: redis.Redis) -> None:
    """When a call fails, the next one on that client has its own answer."""
    program = log.register_script("if ARGV[1] == 'x' then return redis.error_reply('no') end "
                                  "return ARGV[1]")  # fmt: skip
    assert call(program, (), ("1",)) == b"1"
    with pytest.raises(redis.ResponseError):
        call(program, (), ("x",))
    assert call(program, (), ("3",)) == b"3"
