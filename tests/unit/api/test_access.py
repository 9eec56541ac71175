"""Keys, scopes and rates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from flask import Flask

from api.access import require_declared_scopes
from api.rate_limit import RateLimiter
from interest_graph.errors import StreamUnavailableError
from interest_graph.settings import Settings
from tests.unit.api.fakes import FakeServices

if TYPE_CHECKING:
    from flask.testing import FlaskClient

Auth = dict[str, dict[str, str]]
URL = "/v1/users/u/recommendations"
NOBODY = "redis://127.0.0.1:1/0"


def test_no_key_is_401_with_a_challenge(client: FlaskClient) -> None:
    """A request without a key is told how to send one."""
    answer = client.get(URL)
    assert (answer.status_code, answer.json["code"]) == (401, "missing_key")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("value", ["Bearer nonsense", "bearer  nonsense"])
def test_a_wrong_key_is_401(client: FlaskClient, value: str) -> None:
    """A key that does not exist opens nothing."""
    answer = client.get(URL, headers={"Authorization": value})
    assert (answer.status_code, answer.json["code"]) == (401, "invalid_key")


def test_a_key_without_the_scope_is_403(client: FlaskClient, auth: Auth) -> None:
    """A key opens the routes of its scopes alone; admin opens all."""
    assert client.get(URL, headers=auth["events:write"]).json["code"] == "missing_scope"
    assert client.get(URL, headers=auth["read"]).status_code == 200
    assert client.get(URL, headers=auth["admin"]).status_code == 200


def test_the_key_is_checked_before_the_input(client: FlaskClient) -> None:
    """Without a key nobody learns what the route thinks of its input."""
    assert client.get(f"{URL}?k=many").status_code == 401
    assert client.post("/v1/events", data=b"{").status_code == 401


def test_keys_that_cannot_be_read_are_503(
    client: FlaskClient, auth: Auth, services: FakeServices
) -> None:
    """While the key store is away an unknown key is neither accepted nor refused."""
    services.keys.error = StreamUnavailableError("away")
    assert client.get(URL, headers=auth["read"]).status_code == 503


def test_a_view_without_a_scope_does_not_start() -> None:
    """Nothing is public by accident."""
    app = Flask("open", static_folder=None)
    app.add_url_rule("/open", view_func=lambda: "")
    with pytest.raises(LookupError):
        require_declared_scopes(app)


def test_a_limit_holds_while_its_store_is_away(auth: Auth) -> None:
    """With Redis away each process counts for itself: answers go on, the limit too."""
    services = FakeServices(settings=Settings(log_url=NOBODY, rate_limit_per_minute=3))
    client = services.client()
    answers = [client.get(URL, headers=auth["read"]) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[0].headers["RateLimit-Policy"] == '"key";q=3;w=60'
    assert answers[0].headers["RateLimit"].startswith('"key";r=2;t=')
    assert int(answers[3].headers["Retry-After"]) >= 1
    assert answers[3].json["code"] == "rate_limited"


def test_keys_do_not_share_a_limit() -> None:
    """One key at its limit takes nothing from another."""
    limiter = RateLimiter(NOBODY, 1)
    assert [limiter.take(key).allowed for key in ("a", "a", "b")] == [True, False, True]


def test_a_process_takes_permits_in_blocks() -> None:
    """A large limit is taken a thousandth at a time, and the headers still count every request."""
    limiter = RateLimiter(NOBODY, 10_000)
    assert [limiter.take("a").remaining for _ in range(3)] == [9999, 9998, 9997]
