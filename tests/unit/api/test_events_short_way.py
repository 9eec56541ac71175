"""The short way of single events answers what the application answers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from api.events_short_way import ROUTE, EventsShortWay
from api.rate_limit import RateLimiter
from api.wiring import wiring_of
from interest_graph.errors import (
    RevokedKeyError,
    StreamFullError,
    StreamUnavailableError,
)
from tests.unit.api.asgi import NAME, Answer, gateway_of, scope, told
from tests.unit.api.fakes import NOBODY, FakeServices

if TYPE_CHECKING:
    from api.gateway import Gateway

EVENT = {"event_id": "e-1", "user_id": "u", "item_id": "i", "event_type": "view"}
FIELDS = {"authorization": "Bearer ig-events:write", "content-type": "application/json"}


def body(**fields: Any) -> bytes:
    """An event as JSON; fields that are None are left out."""
    return orjson.dumps({k: v for k, v in {**EVENT, **fields}.items() if v is not None})


def sent(said: bytes, query: str = "", **fields: str) -> tuple[Any, bytes]:
    """A request with a key and its body; `_` in a field's name stands for `-`."""
    named = {**FIELDS, **{name.replace("_", "-"): value for name, value in fields.items()}}
    named.setdefault("content-length", str(len(said)))
    kept = [(name, value) for name, value in named.items() if value]
    return scope(ROUTE, query, "POST", *kept), said


PLAIN = {
    "an event": sent(body()),
    "all that it may say": sent(
        body(
            occurred_at="2026-01-02T03:04:05+01:00",
            value=4.5,
            session_id="s",
            recommendation_id="r",
            properties={"colour": "red"},
        )
    ),
    "its own name": sent(body(), x_request_id="checkout-17"),
    "a key that may do everything": sent(body(), authorization="bearer  ig-admin"),
    "what is flagged at once": sent(body(event_type="rate", value=1e9)),
}
UNUSUAL = {
    "no key": sent(body(), authorization=""),
    "an unknown key": sent(body(), authorization="Bearer ig-nobody"),
    "another scope": sent(body(), authorization="Bearer ig-read"),
    "a list": sent(b"[" + body() + b"]"),
    "lines": sent(body(), content_type="application/x-ndjson"),
    "another type": sent(body(), content_type="text/plain"),
    "a type with a parameter": sent(body(), content_type="application/json; charset=utf-8"),
    "no type": sent(body(), content_type=""),
    "no JSON": sent(b"{"),
    "a field at fault": sent(body(user_id="two words")),
    "a field too many": sent(body(colour="red")),
    "an unknown type of event": sent(body(event_type="sing")),
    "a key of its own": sent(body(event_id=None), idempotency_key="once"),
    "compressed": sent(body(), content_encoding="gzip"),
    "a parameter": sent(body(), "dry=1"),
    "nothing": sent(b""),
}


def long_way(
    services: FakeServices, monkeypatch: pytest.MonkeyPatch, request: tuple[Any, bytes]
) -> Answer:
    """What the application alone answers."""
    with monkeypatch.context() as patched:
        patched.setattr(EventsShortWay, "answer", lambda *_: None)
        return told(gateway_of(services), *request)


def in_chunks(request: tuple[Any, bytes]) -> tuple[Any, bytes]:
    """The same without a length."""
    head, said = request
    fields = [one for one in head["headers"] if one[0] != b"content-length"]
    return {**head, "headers": [*fields, (b"transfer-encoding", b"chunked")]}, said


@pytest.mark.parametrize("name", PLAIN)
def test_a_plain_request_is_answered_alike(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Status, header fields and body are the application's, which is not asked; a resend too."""
    long, short = FakeServices(), FakeServices()
    application, gateway = gateway_of(long), gateway_of(short)
    monkeypatch.setattr(application._events_short_way, "answer", lambda *_: None)
    monkeypatch.setattr(gateway, "_answer", lambda _: pytest.fail("the application was asked"))
    for duplicates in (0, 1):
        expected = told(application, *PLAIN[name])
        assert told(gateway, *PLAIN[name]) == expected
        assert (expected[0], orjson.loads(expected[2])["duplicates"]) == (202, duplicates)
    assert short.events.sent.keys() == long.events.sent.keys()
    assert all(short.events.keys), "the key is confirmed when the event is accepted"


def test_an_event_without_an_id_gets_one(services: FakeServices) -> None:
    """A new one each time."""
    gateway = gateway_of(services)
    answers = [orjson.loads(told(gateway, *sent(body(event_id=None)))[2]) for _ in range(2)]
    assert len({one["event_ids"][0] for one in answers} & services.events.sent.keys()) == 2


@pytest.mark.parametrize("name", [*UNUSUAL, "in chunks", "two keys", "another method"])
def test_whatever_is_unusual_is_left_to_the_application(
    services: FakeServices, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Refusals and everything that is rare have one implementation."""
    head, said = sent(body())
    twice = {**head, "headers": head["headers"] + head["headers"][:1]}
    more = {
        "in chunks": in_chunks((head, said)),
        "two keys": (twice, said),
        "another method": ({**head, "method": "PUT"}, said),
    }
    request = (UNUSUAL | more)[name]
    way = gateway_of(FakeServices())._events_short_way
    assert way.answer({**request[0]}, request[1]) is None
    expected = long_way(FakeServices(), monkeypatch, request)
    assert told(gateway_of(services), *request) == expected


def test_a_conflict_is_told_by_the_application(
    services: FakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing was accepted, so it can be asked again."""
    gateway = gateway_of(services)
    assert told(gateway, *sent(body()))[0] == 202
    other = sent(body(item_id="another"))
    status, _, problem = told(gateway, *other)
    expected, _, same = long_way(services, monkeypatch, other)
    assert (status, problem) == (expected, same)
    assert status == 422


@pytest.mark.parametrize("error", [StreamFullError(5), StreamUnavailableError("away")])
def test_the_log_is_asked_once_when_it_does_not_take_an_event(
    services: FakeServices, monkeypatch: pytest.MonkeyPatch, error: Any
) -> None:
    """It may have the event all the same: another try would have another id."""
    services.events.error = error
    gateway = gateway_of(services)
    found = told(gateway, *sent(body(event_id=None)))
    assert len(services.events.keys) == 1
    assert found[0] in {429, 503}
    assert found == long_way(services, monkeypatch, sent(body(event_id=None)))


def test_a_key_that_was_only_recalled_is_read_again(services: FakeServices) -> None:
    """When the log says that it is another now, the application decides by what is there."""
    services.events.error = RevokedKeyError("changed")
    asked_for: list[str] = []
    right = services.keys.verify

    def verify(token: str) -> Any:
        asked_for.append(token)
        if len(asked_for) > 2:  # the gateway, the short way
            services.events.error = None
        return right(token)

    services.keys.verify = verify  # type: ignore[method-assign] # the fake recalls by it
    assert told(gateway_of(services), *sent(body()))[0] == 202
    assert len(asked_for) == 3
    assert [bool(key) for key in services.events.keys] == [True, False]


def test_a_limit_counts_on_both_ways(
    services: FakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One request a minute: the second is refused, whichever way the first went."""

    def two(gateway: Gateway, first: tuple[Any, bytes]) -> list[int]:
        wiring = wiring_of(gateway._app.extensions)
        object.__setattr__(wiring, "limiter", RateLimiter(NOBODY, 1))
        return [told(gateway, *first)[0], told(gateway, *sent(body()))[0]]

    gateway = gateway_of(services)
    assert two(gateway, sent(body())) == [202, 429]
    assert two(gateway, sent(b"[" + body() + b"]")) == [202, 429]
    refused = told(gateway, *sent(body()))
    monkeypatch.setattr(EventsShortWay, "answer", lambda *_: None)
    assert refused == told(gateway, *sent(body()))
    assert refused[0] == 429


def test_events_are_counted_and_logged_alike(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same series of the metrics, and the same line of the log but for its times."""

    def line() -> str:
        text = NAME.sub(b"", capsys.readouterr().err.splitlines()[-1].encode()).decode()
        return re.sub(r'"(duration_ms|timestamp)":[^,}]+', "", text)

    def counted(gateway: Gateway) -> set[tuple[str, float]]:
        registry = wiring_of(gateway._app.extensions).metrics.registry
        samples = [one for family in registry.collect() for one in family.samples]
        return {
            (f"{one.name}{sorted(one.labels.items())}", one.value)
            for one in samples
            if one.value and not one.name.endswith(("_created", "_sum", "_bucket"))
        }

    short, long = gateway_of(FakeServices()), gateway_of(FakeServices())
    told(short, *sent(body(), traceparent=f"00-{'a' * 32}-{'b' * 16}-01"))
    first = line()
    monkeypatch.setattr(EventsShortWay, "answer", lambda *_: None)
    told(long, *sent(body(), traceparent=f"00-{'a' * 32}-{'b' * 16}-01"))
    assert first == line()
    assert counted(short) == counted(long)
    assert any("events_accepted" in name for name, _ in counted(short))
