"""Every error is a problem document."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from api.problems import CODE_OF, KINDS, Code, code_of
from interest_graph import errors

if TYPE_CHECKING:
    from flask.testing import FlaskClient

    from tests.unit.api.fakes import FakeServices

Auth = dict[str, dict[str, str]]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "no_such_route"),
        ("GET", "/v1/items/", 404, "no_such_route"),
        ("GET", "//v1/items", 404, "no_such_route"),
        ("DELETE", "/v1/events", 405, "method_not_allowed"),
        ("OPTIONS", "/v1/events", 405, "method_not_allowed"),
        ("GET", "/v1/items/absent", 404, "not_found"),
        ("GET", "/v1/items/not%20an%20id", 422, "invalid_input"),
        ("GET", "/v1/items?limit=0", 422, "invalid_input"),
        ("GET", "/v1/items?page=2", 422, "invalid_input"),
        ("GET", "/v1/items?cursor=nonsense", 422, "invalid_input"),
    ],
)
def test_every_refusal_has_the_same_shape(
    client: FlaskClient, auth: Auth, *, method: str, path: str, status: int, code: str
) -> None:
    """Unknown routes, methods, things and parameters are refused with the same document."""
    answer = client.open(path, method=method, headers=auth["read"])
    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")
    body = answer.json
    assert body["code"] == code
    assert body["status"] == status
    assert body["type"] == f"urn:interest-graph:{code}"
    assert body["request_id"] == answer.headers["X-Request-Id"]


def test_a_wrong_method_names_the_right_ones(client: FlaskClient) -> None:
    """A 405 says what is allowed."""
    assert client.delete("/v1/events").headers["Allow"] == "POST"


def test_all_faults_of_a_query_come_at_once(client: FlaskClient, auth: Auth) -> None:
    """Every parameter at fault is named, with its place."""
    answer = client.get("/v1/users/u/recommendations?k=0&exclude_seen=maybe", headers=auth["read"])
    faults = [(fault["in"], fault["pointer"]) for fault in answer.json["errors"]]
    assert faults == [("query", "/k"), ("query", "/exclude_seen")]
    answer = client.get("/v1/users/a%20b/recommendations", headers=auth["read"])
    assert [fault["in"] for fault in answer.json["errors"]] == ["path"]


def test_an_unexpected_error_tells_nothing(
    capsys: pytest.CaptureFixture[str], auth: Auth, services: FakeServices
) -> None:
    """A fault of ours is a 500 with a request id; its trace is in the log, its values nowhere."""
    client = services.client()
    services.recommender.error = ZeroDivisionError("user u-secret")
    answer = client.get("/v1/users/u-secret/recommendations", headers=auth["read"])
    assert (answer.status_code, answer.json["code"]) == (500, "internal_error")
    assert "secret" not in answer.text
    logged = capsys.readouterr().err
    assert "ZeroDivisionError" in logged
    assert answer.json["request_id"] in logged
    assert "secret" not in logged
    assert "ig-read" not in logged


def test_every_error_of_the_core_has_a_code() -> None:
    """Each class of the core's tree maps to a code of its own or of its parent."""
    every = [cls for cls in vars(errors).values() if isinstance(cls, type)]
    ours = [cls for cls in every if issubclass(cls, errors.InterestGraphError)]
    for cls in ours:
        error = cls.__new__(cls)
        assert code_of(error) in Code
    assert set(KINDS) == set(Code)
    assert CODE_OF[errors.InterestGraphError] is Code.INTERNAL_ERROR
