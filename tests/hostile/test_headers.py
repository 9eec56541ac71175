"""Header fields and errors of real processes: nothing to sniff, to keep, to frame or to learn."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from api.app import create_app
from api.body import MAX_BODY_BYTES
from tests.hostile.raw_client import head, post

if TYPE_CHECKING:
    from tests.hostile.conftest import ApiProcesses, HostileShop
    from tests.hostile.raw_client import RawAnswer

EVENT = {"user_id": "u", "item_id": "item-00", "event_type": "view"}
LIST = "/v1/users/u-1/recommendations"
ALWAYS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}
REQUESTS = {
    "a list": lambda key: head("GET", LIST, key),
    "its head": lambda key: head("HEAD", LIST, key),
    "an item": lambda key: head("GET", "/v1/items/item-00", key),
    "accepted": lambda key: post("/v1/events", key, json.dumps(EVENT).encode()),
    "refused": lambda key: post("/v1/events", key, b'{"user_id": 1}'),
    "malformed": lambda key: post("/v1/events", key, b"{"),
    "no key": lambda _: head("GET", LIST),
    "no route": lambda key: head("GET", "/console?__debugger__=yes&cmd=resource&f=style.css", key),
    "no method": lambda key: head("TRACE", LIST, key),
    "metrics": lambda key: head("GET", "/metrics", key),
    "too large": lambda key: head("POST", "/v1/events", key, Content_Length="99999999"),
}
PAGES = ("/docs", "/docs/page.js", "/docs/assets/js/swagger-ui-bundle.js", "/v1/openapi.json")


def assert_tells_nothing(answer: RawAnswer) -> None:
    """No version of anything, no stack, no path of this machine."""
    banner = " ".join(answer.headers.get(name, "") for name in ("server", "via", "x-powered-by"))
    assert not re.search(r"\d", banner), banner
    for word in (b"Traceback", b"site-packages", b"/home/", b"Werkzeug", b"SECRET"):
        assert answer.status == 200 or word not in answer.body


@pytest.mark.parametrize("what", REQUESTS)
def test_every_answer_is_safe_to_receive(api_processes: ApiProcesses, what: str) -> None:
    """Not to be sniffed, framed, kept by a cache or run, whatever its status."""
    answer = api_processes.send(REQUESTS[what](api_processes.shop.keys["admin"]))
    assert answer.status
    assert ALWAYS.items() <= answer.headers.items(), answer
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert "set-cookie" not in answer.headers
    assert "access-control-allow-origin" not in answer.headers
    assert_tells_nothing(answer)


@pytest.mark.parametrize("path", PAGES)
def test_the_documentation_runs_its_own_scripts_alone(
    api_processes: ApiProcesses, path: str
) -> None:
    """Nothing from outside, nothing in line but styles; it holds nothing personal to keep."""
    answer = api_processes.send(head("GET", path))
    assert answer.status == 200
    assert ALWAYS.items() <= answer.headers.items(), answer
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    script = re.search(r"script-src ([^;]*)", policy)
    assert script is None or script[1] == "'self'"
    assert_tells_nothing(answer)


def test_the_application_neither_debugs_nor_reads_without_end(hostile_shop: HostileShop) -> None:
    """Flask's debugger and test mode are off, and its own bound on bodies is set."""
    app = create_app(hostile_shop.services)
    assert not app.debug
    assert not app.testing
    assert app.config["MAX_CONTENT_LENGTH"] == MAX_BODY_BYTES + 1
    assert app.config["PROPAGATE_EXCEPTIONS"] is None
