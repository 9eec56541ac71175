"""`POST /v1/events`."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from interest_graph.errors import StreamFullError, StreamUnavailableError

if TYPE_CHECKING:
    from flask.testing import FlaskClient

    from tests.unit.api.fakes import FakeServices

Auth = dict[str, dict[str, str]]
URL = "/v1/events"


def event(**changes: Any) -> dict[str, Any]:
    return {"user_id": "u", "item_id": "lamp", "event_type": "view", **changes}


def test_one_event_is_accepted_with_an_id(client: FlaskClient, auth: Auth) -> None:
    """One event as an object is accepted, and gets an id when it brings none."""
    answer = client.post(URL, json=event(), headers=auth["events:write"])
    assert answer.status_code == 202
    body = answer.json
    assert (body["accepted"], body["duplicates"], body["rejected"]) == (1, 0, [])
    assert len(body["event_ids"]) == 1
    assert body["event_ids"][0]


def test_one_bad_event_does_not_sink_the_others(client: FlaskClient, auth: Auth) -> None:
    """A batch with bad events loses these alone and says which, with every fault of each."""
    batch = [event(event_id="a"), event(item_id="no space", value="x"), 7, event(event_id="d")]
    answer = client.post(URL, json=batch, headers=auth["events:write"])
    assert answer.status_code == 202
    body = answer.json
    assert body["accepted"] == 2
    assert body["event_ids"] == ["a", None, None, "d"]
    assert [(r["index"], r["pointer"]) for r in body["rejected"]] == [
        (1, "/1/item_id"),
        (1, "/1/value"),
        (2, "/2"),
    ]


def test_none_accepted_is_422_with_every_fault(client: FlaskClient, auth: Auth) -> None:
    """A request in which every event is at fault is refused with all faults at once."""
    batch = [event(event_type="fly"), event(user_id="")]
    answer = client.post(URL, json=batch, headers=auth["events:write"])
    assert answer.status_code == 422
    assert answer.mimetype == "application/problem+json"
    assert answer.json["code"] == "invalid_input"
    assert [fault["pointer"] for fault in answer.json["errors"]] == ["/0/event_type", "/1/user_id"]


def test_a_resend_is_a_duplicate_and_another_body_a_fault(client: FlaskClient, auth: Auth) -> None:
    """The same event again is reported as duplicate; the same id with another body is refused."""
    headers = auth["events:write"]
    client.post(URL, json=event(event_id="a"), headers=headers)
    again = client.post(URL, json=event(event_id="a"), headers=headers)
    assert (again.status_code, again.json["duplicates"]) == (202, 1)
    other = client.post(URL, json=event(event_id="a", value=2), headers=headers)
    assert other.status_code == 422
    assert other.json["errors"][0]["pointer"] == "/event_id"


def test_an_idempotency_key_makes_ids_that_a_retry_gets_again(
    client: FlaskClient, auth: Auth
) -> None:
    """Two requests with the same Idempotency-Key and body count once."""
    headers = auth["events:write"] | {"Idempotency-Key": "order-7"}
    first = client.post(URL, json=[event(), event()], headers=headers).json
    second = client.post(URL, json=[event(), event()], headers=headers).json
    assert first["event_ids"] == second["event_ids"]
    assert (first["accepted"], second["accepted"], second["duplicates"]) == (2, 0, 2)


def test_ndjson_keeps_the_good_lines(client: FlaskClient, auth: Auth) -> None:
    """One event a line; a malformed line is rejected with its number, empty lines do not count."""
    lines = orjson.dumps(event(event_id="a")) + b"\n\n{oops\n" + orjson.dumps(event(event_id="b"))
    headers = auth["events:write"]
    answer = client.post(URL, data=lines, content_type="application/x-ndjson", headers=headers)
    assert answer.status_code == 202
    assert answer.json["event_ids"] == ["a", None, "b"]
    assert answer.json["rejected"][0]["reason"].startswith("line 3, column 2")


def test_malformed_json_says_where(client: FlaskClient, auth: Auth) -> None:
    """A body that is not JSON is refused with line and column."""
    headers = auth["events:write"]
    answer = client.post(
        URL, data=b'{"a":\n nope}', content_type="application/json", headers=headers
    )
    assert (answer.status_code, answer.json["code"]) == (400, "malformed_json")
    assert answer.json["detail"].startswith("line 2, column")


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_another_content_type_is_415(client: FlaskClient, auth: Auth, content_type: str) -> None:
    """A body that is not declared as JSON is refused, whatever it holds."""
    headers = auth["events:write"]
    answer = client.post(URL, data=b"{}", content_type=content_type, headers=headers)
    assert (answer.status_code, answer.json["code"]) == (415, "unsupported_media_type")


def test_a_compressed_body_is_415(client: FlaskClient, auth: Auth) -> None:
    """A compressed body is refused: its bound could not be kept."""
    headers = auth["events:write"] | {"Content-Encoding": "gzip"}
    answer = client.post(URL, data=b"{}", content_type="application/json", headers=headers)
    assert answer.status_code == 415


@pytest.mark.parametrize("count", [0, 1001])
def test_none_and_more_than_a_thousand_events_are_422(
    client: FlaskClient, auth: Auth, count: int
) -> None:
    """A request holds between 1 and 1,000 events."""
    answer = client.post(URL, json=[event()] * count, headers=auth["events:write"])
    assert (answer.status_code, answer.json["code"]) == (422, "invalid_input")


def test_a_body_over_five_mebibytes_is_413(client: FlaskClient, auth: Auth) -> None:
    """A body over 5 MiB is refused."""
    body = b" " * (5 * 1024 * 1024 + 1)
    headers = auth["events:write"]
    answer = client.post(URL, data=body, content_type="application/json", headers=headers)
    assert (answer.status_code, answer.json["code"]) == (413, "body_too_large")


def test_a_body_without_a_length_keeps_the_bound(client: FlaskClient, auth: Auth) -> None:
    """A chunked body beyond 5 MiB is refused whole, not cut off and taken for less."""
    line = orjson.dumps(event()) + b"\n"
    body = BytesIO(line + b" " * (5 * 1024 * 1024))
    answer = client.post(
        URL,
        input_stream=body,
        headers=auth["events:write"] | {"Content-Type": "application/x-ndjson"},
        environ_overrides={"wsgi.input_terminated": True},
    )
    assert (answer.status_code, answer.json["code"]) == (413, "body_too_large")


def test_a_full_log_is_429_and_a_missing_one_503(
    client: FlaskClient, auth: Auth, services: FakeServices
) -> None:
    """A full log asks to come back; one that does not answer is a 503 that tells no cause."""
    services.events.error = StreamFullError(5)
    full = client.post(URL, json=event(), headers=auth["events:write"])
    assert (full.status_code, full.json["code"], full.headers["Retry-After"]) == (
        429,
        "log_full",
        "5",
    )
    services.events.error = StreamUnavailableError("redis://secret-host")
    away = client.post(URL, json=event(), headers=auth["events:write"])
    assert (away.status_code, away.json["code"]) == (503, "log_unavailable")
    assert "secret-host" not in away.text
    assert "Retry-After" in away.headers


def test_the_sender_is_told_what_was_flagged(client: FlaskClient, auth: Auth) -> None:
    """It is accepted, with an id like the others, and its index in the request and reason stand."""
    batch = [event(item_id="no space"), event(), event(event_type="purchase", value=-1)]
    body = client.post(URL, json=batch, headers=auth["events:write"]).json
    assert (body["accepted"], body["flagged"]) == (2, [{"index": 2, "reason": "value"}])
    assert body["event_ids"][2]
    assert client.post(URL, json=event(), headers=auth["events:write"]).json["flagged"] == []
