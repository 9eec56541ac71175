"""Bytes that no client library sends, to real API processes: refused with a reason, each time.

`INTEREST_GRAPH_TEST_RAW_CASES` says how many requests are made up, `INTEREST_GRAPH_TEST_RAW_SEED`
from which seed.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import zlib
from typing import TYPE_CHECKING

import pytest

from tests.hostile.hostile_bytes import entry, hostile_body, hostile_request
from tests.hostile.raw_client import head, post

if TYPE_CHECKING:
    from tests.hostile.conftest import ApiProcesses
    from tests.hostile.raw_client import RawAnswer

CASES = int(os.environ.get("INTEREST_GRAPH_TEST_RAW_CASES", "1500"))
SEED = int(os.environ.get("INTEREST_GRAPH_TEST_RAW_SEED", "1"))
MEBIBYTE = 1024 * 1024
LIMIT = 5 * MEBIBYTE
GROWTH_MB = 150
BY_THE_SERVER = {400, 414, 431}
"""What granian answers by itself, with an empty body, to what is not HTTP."""


def assert_refused_with_a_reason(answer: RawAnswer, sent: bytes) -> None:
    """No failure of ours; whatever is refused is a problem document, or was not HTTP."""
    where = f"{sent[:300]!r} → {answer}"
    assert 200 <= answer.status < 500, where
    if answer.status < 400:
        return
    if answer.status in BY_THE_SERVER and "x-request-id" not in answer.headers:
        assert answer.body == b"", where
        return
    if sent.startswith(b"HEAD"):
        return
    problem = answer.problem
    assert problem["status"] == answer.status, where
    assert {"type", "title", "code", "detail", "request_id", "errors"} <= problem.keys(), where
    assert "Traceback" not in problem["detail"], where


def test_made_up_requests_are_refused_with_a_reason(api_processes: ApiProcesses) -> None:
    """Bodies, paths, queries and fields at fault: no 5xx, a problem each, memory bounded."""
    rng = random.Random(SEED)
    key = api_processes.shop.keys["admin"]
    before = api_processes.memory_mb()
    seen: dict[int, int] = {}
    for _ in range(CASES):
        raw = hostile_body(rng, key) if rng.random() < 0.7 else hostile_request(rng, key)
        answer = api_processes.send(raw)
        assert_refused_with_a_reason(answer, raw)
        seen[answer.status] = seen.get(answer.status, 0) + 1
    assert {202, 400, 404, 405, 415, 422} <= seen.keys(), seen
    api_processes.assert_alive()
    grown = [now - was for now, was in zip(api_processes.peak_mb(), before, strict=True)]
    print(f"{CASES} requests of seed {SEED}: {dict(sorted(seen.items()))}, grown by {grown} MiB")  # noqa: T201 shown with -s
    assert max(grown) < GROWTH_MB, grown


@pytest.mark.parametrize(
    ("size", "status"), [(LIMIT, 202), (LIMIT + 1, 413), (LIMIT + 2, 413), (3 * LIMIT, 413)]
)
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_has_at_most_five_mebibytes(
    api_processes: ApiProcesses,
    size: int,
    status: int,
    chunked: bool,  # noqa: FBT001 a parameter of the table
) -> None:
    """Exactly 5 MiB are accepted, a byte more is not, with a length or in chunks."""
    key = api_processes.shop.keys["events:write"]
    body = json.dumps([entry(0, "/v1/events")]).encode()
    body += b" " * (size - len(body))
    raw = post("/v1/events", key, body)
    if chunked:
        fields = {"Content_Type": "application/json", "Transfer_Encoding": "chunked"}
        raw = head("POST", "/v1/events", key, **fields) + b"%x\r\n%s\r\n0\r\n\r\n" % (size, body)
    answer = api_processes.send(raw)
    # The refusal may be lost when the connection is closed while the rest is still being sent.
    assert answer.status in ({status, 0} if status == 413 else {status}), answer
    api_processes.assert_alive()


@pytest.mark.parametrize(("count", "status"), [(1000, 202), (1001, 422)])
@pytest.mark.parametrize("ndjson", [False, True])
def test_a_request_has_at_most_a_thousand_entries(
    api_processes: ApiProcesses,
    count: int,
    status: int,
    ndjson: bool,  # noqa: FBT001 a parameter of the table
) -> None:
    """A thousand events are accepted, one more is not, as a list or as lines."""
    key = api_processes.shop.keys["events:write"]
    events = [json.dumps(entry(number, "/v1/events")).encode() for number in range(count)]
    body = b"\n".join(events) if ndjson else b"[" + b",".join(events) + b"]"
    kind = "application/x-ndjson" if ndjson else "application/json"
    answer = api_processes.send(post("/v1/events", key, body, Content_Type=kind))
    assert answer.status == status, answer
    if status != 202:
        assert answer.problem["errors"][0]["field"] == "body"


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "gzip, gzip", "br"])
def test_a_bomb_is_not_unpacked(api_processes: ApiProcesses, encoding: str) -> None:
    """A megabyte that would become a gigabyte is refused as it is, and so is one in another."""
    bomb = _bomb(encoding)
    assert len(bomb) < 2 * MEBIBYTE
    before = api_processes.memory_mb()
    for path, scope in (("/v1/events", "events:write"), ("/v1/items", "catalog:write")):
        raw = post(path, api_processes.shop.keys[scope], bomb, Content_Encoding=encoding)
        answer = api_processes.send(raw)
        assert (answer.status, answer.problem["code"]) == (415, "unsupported_media_type")
    grown = [now - was for now, was in zip(api_processes.memory_mb(), before, strict=True)]
    assert max(grown) < 20, grown


def _bomb(encoding: str) -> bytes:
    """A gigabyte of blanks, packed: 64 times the same block of 16 MiB."""
    if "gzip" in encoding:
        bomb = gzip.compress(b" " * 16 * MEBIBYTE) * 64
        return gzip.compress(bomb) if encoding == "gzip, gzip" else bomb
    packer = zlib.compressobj(wbits=-15)
    block = packer.compress(b" " * 16 * MEBIBYTE) + packer.flush(zlib.Z_FULL_FLUSH)
    return block * 64 + packer.flush()


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":', b'{"properties":{"a":['])
def test_a_hundred_thousand_levels_are_refused(api_processes: ApiProcesses, opening: bytes) -> None:
    """Depth takes no stack: the body is refused as what is not JSON."""
    key = api_processes.shop.keys["events:write"]
    closing = opening.translate(bytes.maketrans(b"[{", b"]}"), b'"a:properties')[::-1]
    for body in (opening * 100_000, opening * 100_000 + b"1" + closing * 100_000):
        for kind in ("application/json", "application/x-ndjson"):
            answer = api_processes.send(post("/v1/events", key, body, Content_Type=kind))
            assert answer.status in {400, 422}, answer
            assert answer.problem["code"] in {"malformed_json", "invalid_input"}
    api_processes.assert_alive()


def test_one_bad_line_does_not_sink_the_others(api_processes: ApiProcesses) -> None:
    """Of ten lines, half of them cut or worse, the good are accepted, the bad named."""
    key = api_processes.shop.keys["events:write"]
    good = [json.dumps(entry(number, "/v1/events")).encode() for number in range(900, 905)]
    bad = [good[0][:30], b'{"user_id":"\xff"}', b"[" * 9999, b"\x00", b'{"user_id":"\\ud800"}']
    lines = [line for pair in zip(good, bad, strict=True) for line in pair]
    raw = post("/v1/events", key, b"\n".join(lines), Content_Type="application/x-ndjson")
    answer = api_processes.send(raw)
    assert answer.status == 202, answer
    body = json.loads(answer.body)
    assert sorted({fault["index"] for fault in body["rejected"]}) == [1, 3, 5, 7, 9]
    assert [bool(event_id) for event_id in body["event_ids"]] == [True, False] * 5


@pytest.mark.parametrize(
    "raw",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /v1/health/live HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET /v1/health/live HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET /v1/health/live HTTP/1.1\r\nHost : x\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v1/health/live HTTP/1.1\r\nX: " + b"a" * 1_000_000 + b"\r\n\r\n",
        b"GET /v1/health/live HTTP/1.1\r\n" + b"X-A: b\r\n" * 200 + b"\r\n",
        b"POST /v1/events HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"\x00" * 5000,
        b"\r\n" * 5000,
    ],
    ids=lambda raw: repr(raw[:40]),
)
def test_what_is_not_http_is_refused(api_processes: ApiProcesses, raw: bytes) -> None:
    """It gets a 4xx of the server or no answer, and the next client is served."""
    answer = api_processes.send(raw)
    assert answer.status == 0 or 400 <= answer.status < 500, answer
    assert api_processes.send(head("GET", "/v1/health/live")).status == 200
    api_processes.assert_alive()


def test_no_process_logged_a_failure(api_processes: ApiProcesses) -> None:
    """After all of the above no process has an unexpected error in its log."""
    lines = [line for line in api_processes.log().splitlines() if line.startswith("{")]
    failures = [line for line in lines if json.loads(line)["event"] == "request_failed"]
    assert not failures, failures[:3]
    assert "Traceback" not in api_processes.log()
    assert "ERROR" not in api_processes.log()
