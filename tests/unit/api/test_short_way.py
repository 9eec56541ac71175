"""A list's short way answers what the application answers."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from api import callers, short_way
from api.cores import CoreWatch
from api.rate_limit import RateLimiter
from api.short_way import ROUTE, ShortWay
from api.wiring import wiring_of
from interest_graph.errors import ModelNotReadyError, RevokedKeyError, StreamUnavailableError
from tests.unit.api.asgi import NAME, Answer, gateway_of, scope, told
from tests.unit.api.fakes import NOBODY, FakeServices

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from api.gateway import Gateway
    from interest_graph.recommendation import Asked

LIST = "/v1/users/u/recommendations"
READ = {"authorization": "Bearer ig-read"}


def asked(query: str = "", path: str = LIST, method: str = "GET", **fields: str) -> Any:
    """A request with a key; `_` in a field's name stands for `-`."""
    named = {**READ, **{name.replace("_", "-"): value for name, value in fields.items()}}
    return scope(path, query, method, *named.items())


PLAIN = {
    "no parameters": asked(),
    "a length": asked("k=7"),
    "the longest": asked("k=200"),
    "every character of an id": asked(path="/v1/users/a.B_1:x@y-2/recommendations"),
    "its own name": asked(x_request_id="checkout-17"),
    "a name that is none": asked(x_request_id="two words"),
    "a name that looks like a key": asked(x_request_id="ig_0011223344556677_abc"),
    "a trace": asked(traceparent=f"00-{'a' * 32}-{'b' * 16}-01"),
    "fields that mean nothing here": asked(accept="text/html", cookie="a=b", accept_encoding="br"),
    "a key that may do everything": asked(authorization="bearer  ig-admin"),
}
UNUSUAL = {
    "no key": scope(LIST),
    "an unknown key": asked(authorization="Bearer ig-nobody"),
    "no bearer": asked(authorization="Basic aWctcmVhZA=="),
    "another scope": asked(authorization="Bearer ig-events:write"),
    "two keys": scope(LIST, "", "GET", *READ.items(), *READ.items()),
    "a length of none": asked("k=0"),
    "a length too long": asked("k=201"),
    "a length that is none": asked("k=ten"),
    "a length twice": asked("k=7&k=8"),
    "another parameter": asked("k=7&exclude_seen=false"),
    "an unknown parameter": asked("limit=7"),
    "a category": asked("category=c1"),
    "an encoded id": asked(path="/v1/users/%75/recommendations"),
    "an id that is none": asked(path="/v1/users/a%20b/recommendations"),
    "an id too long": asked(path=f"/v1/users/{'u' * 129}/recommendations"),
    "a slash at the end": asked(path=f"{LIST}/"),
    "another method": asked(method="HEAD"),
    "no such method": asked(method="POST"),
    "a body": asked(content_length="2"),
    "another protocol": asked(upgrade="websocket", connection="Upgrade"),
}


async def nothing(*_: object) -> None:
    """A short way that answers nothing."""


def long_way(services: FakeServices, monkeypatch: pytest.MonkeyPatch, request: Any) -> Answer:
    """What the application alone answers."""
    with monkeypatch.context() as patched:
        patched.setattr(ShortWay, "answer", nothing)
        return told(gateway_of(services), request)


@pytest.mark.parametrize("name", PLAIN)
def test_a_plain_request_is_answered_alike(
    services: FakeServices, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Status, every header field and the body are the application's, which is not asked."""
    expected = long_way(services, monkeypatch, PLAIN[name])
    gateway = gateway_of(services)
    monkeypatch.setattr(gateway, "_answer", lambda _: pytest.fail("the application was asked"))
    assert told(gateway, PLAIN[name]) == expected
    assert expected[0] == 200
    first, second = services.recommender.asked
    assert first == second


@pytest.mark.parametrize("name", UNUSUAL)
def test_whatever_is_unusual_is_left_to_the_application(
    services: FakeServices, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Refusals and everything that is rare have one implementation."""
    expected = long_way(services, monkeypatch, UNUSUAL[name])
    gateway = gateway_of(services)
    assert asyncio.run(gateway._short_way.answer(UNUSUAL[name])) is None
    assert told(gateway, UNUSUAL[name]) == expected


@pytest.mark.parametrize(
    "error", [ModelNotReadyError("train first"), RevokedKeyError("revoked"), RuntimeError("ours")]
)
def test_an_error_is_told_by_the_application(
    services: FakeServices, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """A problem document for each, as on every other route."""
    services.recommender.error = error
    assert told(gateway_of(services), asked()) == long_way(services, monkeypatch, asked())


def test_an_empty_list_says_why(services: FakeServices, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty list is no special case."""
    services.recommender.items = []
    assert told(gateway_of(services), asked()) == long_way(services, monkeypatch, asked())


def test_a_limit_counts_on_both_ways(
    services: FakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One request a minute: the second is refused, whichever way the first went."""

    def two(gateway: Gateway, first: Callable[[], Answer]) -> list[int]:
        wiring = wiring_of(gateway._app.extensions)
        object.__setattr__(wiring, "limiter", RateLimiter(NOBODY, 1))
        return [first()[0], told(gateway, asked("k=7&exclude_seen=true"))[0]]

    gateway = gateway_of(services)
    assert two(gateway, lambda: told(gateway, asked())) == [200, 429]
    assert two(gateway, lambda: told(gateway, asked("exclude_seen=true"))) == [200, 429]
    refused = told(gateway, asked())
    monkeypatch.setattr(ShortWay, "answer", nothing)
    assert refused == told(gateway, asked())
    assert refused[0] == 429


def test_lists_are_counted_and_logged_alike(
    services: FakeServices, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same series of the metrics, and the same line of the log but for its times."""

    def line() -> str:
        text = capsys.readouterr().err.splitlines()[-1]
        return re.sub(
            r'"(duration_ms|timestamp)":[^,}]+', "", NAME.sub(b"", text.encode()).decode()
        )

    gateway = gateway_of(services)
    counted = wiring_of(gateway._app.extensions).metrics.http_requests.labels("GET", ROUTE, "200")
    told(gateway, asked(traceparent=f"00-{'a' * 32}-{'b' * 16}-01"))
    short = line()
    monkeypatch.setattr(ShortWay, "answer", nothing)
    told(gateway, asked(traceparent=f"00-{'a' * 32}-{'b' * 16}-01"))
    assert short == line()
    assert '"event":"request"' in short
    assert counted._value.get() == 2


def test_what_waits_together_is_asked_for_at_once(
    services: FakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One call for all that are there, at most sixteen; each gets its own list and its own name."""
    calls: list[int] = []
    right = services.recommender.recommend_each

    def each(wanted: Sequence[Asked]) -> list[Any]:
        calls.append(len(wanted))
        return [
            replace(found, history_revision=int(one.user_id))
            for one, found in zip(wanted, right(wanted), strict=True)
        ]

    monkeypatch.setattr(services.recommender, "recommend_each", each)
    way = gateway_of(services)._short_way

    async def everybody() -> list[Any]:
        return await asyncio.gather(
            *(
                way.answer(asked(path=f"/v1/users/{n}/recommendations", x_request_id=f"n-{n}"))
                for n in range(40)
            )
        )

    answers = asyncio.run(everybody())
    assert calls == [16, 16, 8]
    for number, (status, headers, body) in enumerate(answers):
        assert (status, orjson.loads(body)["history_revision"]) == (200, number)
        assert (b"x-request-id", b"n-%d" % number) in headers


@pytest.fixture
def together(services: FakeServices, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many lists were asked for at once each time.

    Cores are scarce, and a rest lasts as long as a test.
    """
    calls: list[int] = []
    right = services.recommender.recommend_each

    def each(wanted: Sequence[Asked]) -> list[Any]:
        calls.append(len(wanted))
        return right(wanted)

    monkeypatch.setattr(services.recommender, "recommend_each", each)
    monkeypatch.setattr(CoreWatch, "scarce", lambda *_: True)
    monkeypatch.setattr(short_way, "REST", 1e9)
    monkeypatch.setattr(short_way, "LONGEST_REST_S", 3600.0)
    monkeypatch.setattr(callers, "LATELY_S", 3600.0)
    return calls


def asked_by(connection: int) -> Any:
    """A request of one of several connections."""
    return asked() | {"client": ("127.0.0.1", connection)}


def test_who_asks_alone_waits_for_nobody(services: FakeServices, together: list[int]) -> None:
    """One connection has each of its lists at once, however long a process would rest."""
    way = gateway_of(services)._short_way

    async def one_after_the_other() -> None:
        for _ in range(5):
            await asyncio.wait_for(way.answer(asked_by(1)), 10)

    asyncio.run(one_after_the_other())
    assert together == [1] * 5


def test_a_list_waits_for_those_who_lately_asked(
    services: FakeServices, together: list[int]
) -> None:
    """And no longer than until they are there."""
    way = gateway_of(services)._short_way

    async def two_connections() -> bool:
        await asyncio.gather(way.answer(asked_by(1)), way.answer(asked_by(2)))
        first = asyncio.ensure_future(way.answer(asked_by(1)))
        await asyncio.sleep(0.05)
        waited = not first.done()
        await asyncio.wait_for(asyncio.gather(first, way.answer(asked_by(2))), 10)
        return waited

    assert asyncio.run(two_connections())
    assert together == [2, 2]


def test_where_cores_are_free_nobody_waits(
    services: FakeServices, together: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever else may come, a list is made at once: what a rest saves, nobody needs."""
    monkeypatch.setattr(CoreWatch, "scarce", lambda *_: False)
    way = gateway_of(services)._short_way

    async def one_stays_away() -> None:
        await asyncio.gather(way.answer(asked_by(1)), way.answer(asked_by(2)))
        await asyncio.wait_for(way.answer(asked_by(1)), 10)

    asyncio.run(one_stays_away())
    assert together == [2, 1]


@pytest.mark.parametrize("ends", ["the rest", "lately"])
def test_a_list_waits_no_longer_than_a_rest_for_those_who_lately_asked(
    services: FakeServices, together: list[int], monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    """Whoever does not come again keeps nobody waiting."""
    if ends == "the rest":
        monkeypatch.setattr(short_way, "LONGEST_REST_S", 0.05)
    else:
        monkeypatch.setattr(callers, "LATELY_S", 0.05)
    way = gateway_of(services)._short_way

    async def one_stays_away() -> None:
        await asyncio.gather(way.answer(asked_by(1)), way.answer(asked_by(2)))
        if ends == "lately":
            await asyncio.sleep(0.1)
        await asyncio.wait_for(way.answer(asked_by(1)), 10)

    asyncio.run(one_stays_away())
    assert together == [2, 1]


def test_sixteen_wait_for_nobody(services: FakeServices, together: list[int]) -> None:
    """There are as many as are computed at once, however many more have lately asked."""
    way = gateway_of(services)._short_way

    async def many() -> None:
        for count in (32, 16):
            wanted = (way.answer(asked_by(number)) for number in range(count))
            await asyncio.wait_for(asyncio.gather(*wanted), 10)

    asyncio.run(many())
    assert together == [16] * 3


@pytest.mark.parametrize("fault", [RuntimeError("ours"), None])
def test_whatever_happens_to_a_batch_each_is_answered(
    services: FakeServices, monkeypatch: pytest.MonkeyPatch, fault: Exception | None
) -> None:
    """An exception, or too few lists, and each request is asked of the application by itself."""

    def each(wanted: Sequence[Asked]) -> list[Any]:
        if fault:
            raise fault
        return right(wanted)[:-1]

    right = services.recommender.recommend_each
    monkeypatch.setattr(services.recommender, "recommend_each", each)
    gateway = gateway_of(services)
    way = gateway._short_way

    async def both() -> list[Any]:
        return await asyncio.gather(*(way.answer(asked()) for _ in range(20)))

    answers = asyncio.run(both())
    assert sum(answer is None for answer in answers) == (20 if fault else 2)
    assert told(gateway, asked())[0] == 200


def test_a_key_is_looked_up_once(services: FakeServices, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was found of a key, or that it cannot be told, goes with the request."""
    asked_for: list[str] = []
    right = services.keys.verify

    def verify(token: str) -> Any:
        asked_for.append(token)
        return right(token)

    monkeypatch.setattr(services.keys, "verify", verify)  # the fake recalls by it
    gateway = gateway_of(services)
    assert told(gateway, asked(authorization="Bearer ig-nobody"))[0] == 401
    services.recommender.error = RevokedKeyError("revoked")
    assert told(gateway, asked())[0] == 401
    services.keys.error = StreamUnavailableError("away")
    assert told(gateway, asked())[0] == 503
    assert asked_for == ["ig-nobody", "ig-read", "ig-read"]


def test_who_is_gone_keeps_nobody_waiting(services: FakeServices) -> None:
    """A client that goes away while it waits takes nothing from the others."""
    way = gateway_of(services)._short_way

    async def one_of_two() -> Any:
        gone = asyncio.ensure_future(way.answer(asked()))
        stays = asyncio.ensure_future(way.answer(asked()))
        await asyncio.sleep(0)
        gone.cancel()
        return await stays

    assert asyncio.run(one_of_two())[0] == 200
