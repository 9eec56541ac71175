"""What holds for a key and an `Idempotency-Key` holds over all API processes at once."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
from typing import TYPE_CHECKING

import pytest

from interest_graph.api_key import SCOPES, ApiKeyStore, key_id_of
from tests.hostile.raw_client import connect, head, post, receive, send

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from tests.hostile.conftest import ApiProcesses

EVENT = {"user_id": "u-key", "item_id": "item-00", "event_type": "view"}
REQUESTS = {
    "a list": ("read", lambda key: head("GET", "/v1/users/u-key/recommendations", key)),
    "an event": (
        "events:write",
        lambda key: post("/v1/events", key, json.dumps(EVENT).encode()),
    ),
    "an item": (
        "catalog:write",
        lambda key: post("/v1/items", key, b'{"item_id":"item-key"}'),
    ),
    "metrics": ("read", lambda key: head("GET", "/metrics", key)),
}


@pytest.fixture
def store(api_processes: ApiProcesses) -> ApiKeyStore:
    """The keys, as an operator's command reaches them."""
    return ApiKeyStore(api_processes.shop.services.log)


@pytest.fixture
def connections(api_processes: ApiProcesses) -> Iterator[list[socket.socket]]:
    """Connections enough that every process has some: the system deals them out."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(connect(api_processes.port)) for _ in range(24)]


def statuses(connections: list[socket.socket], raw: bytes) -> set[int]:
    """What the same request gets on every connection, that is of every process."""
    found = set()
    for connection in connections:
        connection.sendall(raw)
        found.add(receive(connection).status)
    return found


@pytest.mark.parametrize("what", REQUESTS)
def test_a_revoked_key_is_refused_by_every_process_at_once(
    store: ApiKeyStore, connections: list[socket.socket], what: str
) -> None:
    """Every process has just used the key; the next request of each is refused."""
    scope, request = REQUESTS[what]
    key = store.create([scope])
    assert statuses(connections, request(key)) <= {200, 202}
    store.revoke(key_id_of(key) or "")
    assert statuses(connections, request(key)) == {401}


def test_a_rotated_key_works_at_once_and_the_old_one_as_long_as_stated(
    store: ApiKeyStore, connections: list[socket.socket]
) -> None:
    """On every process both work in the overlap; without one the old key is refused at once."""
    request = REQUESTS["a list"][1]
    first = store.create(["read"])
    second = store.rotate(key_id_of(first) or "", overlap_s=3600)
    for key in (first, second):
        assert statuses(connections, request(key)) == {200}
    third = store.rotate(key_id_of(first) or "")
    assert statuses(connections, request(third)) == {200}
    for key in (first, second):
        assert statuses(connections, request(key)) == {401}


def test_a_limit_of_its_own_holds_over_all_processes(
    store: ApiKeyStore, connections: list[socket.socket]
) -> None:
    """A key with twelve requests a minute has them once, however many processes it asks."""
    key = store.create(["read"], rate_limit_per_minute=12)
    raw = REQUESTS["a list"][1](key)
    found = []
    for connection in connections:
        connection.sendall(raw)
        found.append(receive(connection))
    assert sorted(answer.status for answer in found) == [200] * 12 + [429] * 12
    refused = next(answer for answer in found if answer.status == 429)
    assert refused.problem["code"] == "rate_limited"
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert refused.headers["ratelimit-policy"] == '"key";q=12;w=60'


def test_a_retry_with_the_same_idempotency_key_counts_once(
    api_processes: ApiProcesses, store: ApiKeyStore
) -> None:
    """Twenty clients send the same at the same moment: one acceptance, and the same ids for all."""
    key = store.create(["events:write"])
    events = [{**EVENT, "user_id": "u-once", "value": number} for number in range(5)]
    raw = post("/v1/events", key, json.dumps(events).encode(), Idempotency_Key="order 7/é")
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        answers = [*pool.map(lambda _: send(api_processes.port, raw), range(20))]
    bodies = [json.loads(answer.body) for answer in answers]
    assert {answer.status for answer in answers} == {202}
    assert sorted(body["accepted"] for body in bodies) == [0] * 19 + [5]
    assert {body["accepted"] + body["duplicates"] for body in bodies} == {5}
    assert len({tuple(body["event_ids"]) for body in bodies}) == 1
    state = api_processes.shop.services.serving.read("u-once")
    assert len(state.user.history) == 5


def test_another_body_under_the_same_idempotency_key_is_a_conflict(
    api_processes: ApiProcesses, store: ApiKeyStore
) -> None:
    """What differs is rejected and the header named; what is the same is a duplicate."""
    key = store.create(["events:write"])
    first, other = {**EVENT, "user_id": "u-other"}, {**EVENT, "user_id": "u-other", "value": 2}
    fields = {"Idempotency_Key": "order-8"}

    def sent(body: object, token: str = key) -> tuple[int, dict[str, object]]:
        raw = post("/v1/events", token, json.dumps(body).encode(), **fields)
        answer = api_processes.send(raw)
        return answer.status, json.loads(answer.body)

    assert sent([first, first])[1]["accepted"] == 2
    status, body = sent([first, other, other])
    assert (status, body["duplicates"], body["accepted"]) == (202, 1, 1)
    assert body["rejected"] == [
        {
            "index": 1,
            "field": "Idempotency-Key",
            "reason": "was sent before with another body in this place",
            "pointer": "/1",
        }
    ]
    status, problem = sent(other)
    assert (status, problem["code"]) == (422, "invalid_input")
    # Another key may use the same words for something else.
    assert sent(other, store.create(["events:write"]))[0] == 202


def test_an_idempotency_key_is_bounded(api_processes: ApiProcesses) -> None:
    """255 characters are taken, one more is refused with the field's name."""
    key = api_processes.shop.keys["events:write"]
    body = json.dumps({**EVENT, "user_id": "u-long"}).encode()
    answers = [
        api_processes.send(post("/v1/events", key, body, Idempotency_Key="k" * length))
        for length in (255, 256)
    ]
    assert [answer.status for answer in answers] == [202, 422]
    fault = answers[1].problem["errors"][0]
    assert (fault["in"], fault["field"]) == ("header", "Idempotency-Key")


def test_no_key_reaches_the_log(api_processes: ApiProcesses, store: ApiKeyStore) -> None:
    """Good, wrong, misplaced and revoked keys, and ids of users: none stands in a log."""
    keys = [store.create([scope]) for scope in SCOPES]
    store.revoke(key_id_of(keys[0]) or "")
    user = "u-must-not-be-logged"
    for key in [*keys, keys[0][:-1] + "A", "ig_not_a_key_at_all_0123456789"]:
        for path in (f"/v1/users/{user}", f"/v1/users/{user}/interests", f"/v1/{key}?key={key}"):
            api_processes.send(head("GET", path, key))
            api_processes.send(head("DELETE", path, key, X_Request_Id=key, Cookie=key))
        body = json.dumps([{**EVENT, "user_id": user, "event_type": key}]).encode()
        api_processes.send(post("/v1/events", key, body))
        api_processes.send(post("/v1/events", key, body[:-20]))
    logged = api_processes.log()
    assert '"request"' in logged
    for secret in [*keys, *(key.split("_", 2)[2] for key in keys), "not_a_key_at_all", user]:
        assert secret not in logged
