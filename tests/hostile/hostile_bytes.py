"""Bytes that nobody should send, made of bytes that somebody might, from a seed."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import TYPE_CHECKING, Any

from tests.hostile.raw_client import head, post

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

VALUES = (
    *(
        b"null",
        b"true",
        b"[]",
        b"{}",
        b'""',
        b"0",
        b"-0",
        b"1e999",
        b"-1e-999",
        b"NaN",
        b"Infinity",
    ),
    *(b"9223372036854775808", b"1" * 400, b"0.1e", b"1.", b"01", b'"\\ud800"', b'"\\udfff\\ud800"'),
    *(b'"\\u0000"', b'"\x00"', b'"\xff\xfe"', b'"\xed\xa0\x80"', b'"\xc0\xaf"', b'"\\x41"', b"'a'"),
    *(b'"' + b"a" * 70_000 + b'"', b"[" * 500 + b"]" * 500, b'{"a":' * 300 + b"1" + b"}" * 300),
    *(b'"2024-02-30T00:00:00Z"', b'"9999-12-31T23:59:59-23:59"', b'"1970-01-01T00:00:00Z"'),
)
PATHS = ("/v1/events", "/v1/items", "/v1/users")
ROUTES = (
    *("/v1/items", "/v1/users", "/v1/items/{}", "/v1/users/{}", "/v1/users/{}/recommendations"),
    *("/v1/users/u-1/recommendations/{}/explanation", "/v1/users/{}/interests", "/metrics"),
    *("/v1/items/{}/similar", "/v1/items/popular", "/v1/dead-letters/{}", "/v1/health/ready"),
    *("/docs/assets/{}", "/docs", "/v1/openapi.json", "/v1/health/live"),
)
SEGMENTS = (
    *(
        "..%2f..%2fetc%2fpasswd",
        "..%5c..",
        "%00",
        "%ff",
        "%C0%AF",
        "%ED%A0%80",
        "%",
        "%zz",
        "a%2Fb",
    ),
    *("%E2%80%AE", "a" * 129, "a" * 8000, "'%20OR%201=1", "%0d%0aX-Injected:%201", "%F0%9F%92%A9"),
    *(
        "..",
        ".",
        "*",
        "~",
        "u-1;v=1",
        "u-1%3Fk=1",
        "{{7*7}}",
        "${jndi:ldap://x}",
        "%25%32%66",
        "-1",
    ),
)
QUERIES = (
    *("", "?k=1", "?k=0", "?k=-1", "?k=1e9", "?k=" + "9" * 500, "?k=1&k=2", "?k[]=1", "?%00=1"),
    *("?limit=1001", "?cursor=%ff", "?cursor=MTo", "?cursor=" + "A" * 5000, "?for=everything"),
    *("?exclude=" + "&exclude=".join("abcdefgh"), "?category=%00", "?category=" + "a" * 2001),
    *("?exclude_seen=maybe", "?recommendation_id=../..", "?" + "a&" * 2000, "?k=%F0%28%8C%28"),
)
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "BREW", "get")
ENCODINGS = ("gzip", "deflate", "br", "gzip, gzip", "identity, gzip", "x-gzip", "")
TYPES = (
    *("application/json", "application/x-ndjson", "application/merge-patch+json", "text/plain"),
    *("application/json; charset=utf-16", "application/json;" + "a" * 200, "multipart/form-data"),
    *("application/xml", "application/x-www-form-urlencoded", "*/*", "", "application/JSON"),
)


def entry(number: int, path: str) -> dict[str, Any]:
    """A valid entry of a body."""
    if path == "/v1/events":
        fields = {"value": 1.5, "session_id": "s", "properties": {"a": 1}}
        ids = {"event_id": f"raw-{number}", "user_id": "u-raw", "item_id": "item-00"}
        return {**ids, "event_type": "view", "occurred_at": "2026-01-01T00:00:00Z", **fields}
    if path == "/v1/items":
        return {"item_id": f"raw-{number}", "title": "T", "price": 1.0, "categories": [["A"]]}
    return {"user_id": f"raw-{number}", "categories": [["A"]], "properties": {"a": "b"}}


def bad_value(rng: random.Random, body: bytes) -> bytes:
    """Another value in place of one."""
    places = [at for at, byte in enumerate(body) if byte == ord(":")]
    at = rng.choice(places or [len(body)]) + 1
    end = min((i for i in (body.find(b",", at), body.find(b"}", at)) if i > 0), default=len(body))
    return body[:at] + rng.choice(VALUES) + body[end:]


def bad_bytes(rng: random.Random, body: bytes) -> bytes:
    """A few bytes changed, anywhere."""
    changed = bytearray(body)
    for _ in range(rng.randint(1, 8) if body else 0):
        changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


def half(rng: random.Random, body: bytes) -> bytes:
    """The body up to somewhere: half a line, half a character."""
    return body[: rng.randrange(len(body) + 1)]


def twice(_rng: random.Random, body: bytes) -> bytes:
    """A key twice, and the whole body twice."""
    return body.replace(b"{", b'{"user_id":"u-other","item_id":[],', 1) + body


def squeezed(rng: random.Random, body: bytes) -> bytes:
    """Compressed, or what pretends to be."""
    return rng.choice((gzip.compress, zlib.compress, lambda raw: b"\x1f\x8b" + raw))(body)


CHANGES: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    bad_value,
    bad_bytes,
    half,
    twice,
    squeezed,
)


def hostile_body(rng: random.Random, key: str) -> bytes:
    """A POST with a body at fault, framed as HTTP wants it."""
    path = rng.choice(PATHS)
    entries = [
        json.dumps(entry(rng.randrange(99), path)).encode() for _ in range(rng.randint(1, 4))
    ]
    ndjson = rng.random() < 0.5
    body = b"\n".join(entries) if ndjson else b"[" + b",".join(entries) + b"]"
    for change in rng.sample(CHANGES, rng.randint(1, 2)):
        body = change(rng, body)
    fields = {"Content_Type": "application/x-ndjson" if ndjson else "application/json"}
    if rng.random() < 0.1:
        fields["Content_Type"] = rng.choice(TYPES)
    if rng.random() < 0.1:
        fields["Content_Encoding"] = rng.choice(ENCODINGS)
    if rng.random() < 0.2:
        fields["Idempotency_Key"] = "k" * rng.choice((1, 255, 256, 5000))
    if rng.random() < 0.3:
        chunked = head("POST", path, key, **fields, Transfer_Encoding="chunked")
        return chunked + in_chunks(rng, body)
    return post(path, key, body, **fields)


def in_chunks(rng: random.Random, body: bytes) -> bytes:
    """The body in chunks of any size."""
    raw, at = b"", 0
    while at < len(body):
        size = rng.randint(1, max(1, len(body) // 3))
        part = body[at : at + size]
        raw, at = raw + b"%x\r\n%s\r\n" % (len(part), part), at + size
    return raw + b"0\r\n\r\n"


def hostile_request(rng: random.Random, key: str) -> bytes:
    """A request whose method, path, query or fields are at fault."""
    path = rng.choice(ROUTES).replace("{}", rng.choice(SEGMENTS)) + rng.choice(QUERIES)
    fields = {
        "Accept": "\xff",
        "X_Request_Id": rng.choice(("r-1", "a\tb", "\xe9" * 20, "a" * 6000, "'; DROP")),
        "traceparent": "00-" + "z" * 32,
        "Cookie": "a=" + "b" * rng.choice((1, 4000)),
        "Forwarded": "for=127.0.0.1;host=evil",
        "X_Forwarded_Host": "evil",
    }
    token = rng.choice((key, key, key, "", "ig_", "\xff\xfe", key[:-1] + "\xe9", "a" * 5000))
    return head(rng.choice(METHODS), path, token, **fields)
