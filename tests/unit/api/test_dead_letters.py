"""`/v1/dead-letters` on the core's ports in memory."""

from __future__ import annotations

import pytest

from api.cursor import encode_cursor
from interest_graph.dead_letters import DeadLetter
from tests.unit.api.fakes import FakeServices

ADMIN = {"Authorization": "Bearer ig-admin"}


@pytest.fixture
def buried() -> FakeServices:
    """Three dead letters."""
    fakes = FakeServices()
    fakes.dead_letters.letters = [
        DeadLetter(f"17672256000{n:02}-0", "event", {"event_id": f"e-{n}"}, "because", 0)
        for n in range(3)
    ]
    return fakes


def test_letters_are_listed_in_pages(buried: FakeServices) -> None:
    """Page by page, oldest first, none twice and none left out."""
    client, found, query = buried.client(), [], "?limit=2"
    while True:
        body = client.get(f"/v1/dead-letters{query}", headers=ADMIN).json
        assert body is not None
        found += [letter["payload"]["event_id"] for letter in body["items"]]
        if body["next"] is None:
            break
        query = f"?limit=2&cursor={body['next']}"
    assert found == ["e-0", "e-1", "e-2"]


def test_a_cursor_of_another_list_is_refused(buried: FakeServices) -> None:
    """It holds an id of something else."""
    answer = buried.client().get(f"/v1/dead-letters?cursor={encode_cursor('lamp')}", headers=ADMIN)
    assert answer.status_code == 422


def test_a_letter_says_what_and_why(buried: FakeServices) -> None:
    """The payload, the reason and when it was given up."""
    body = buried.client().get("/v1/dead-letters/1767225600001-0", headers=ADMIN).json
    assert body == {
        "letter_id": "1767225600001-0",
        "kind": "event",
        "payload": {"event_id": "e-1"},
        "reason": "because",
        "buried_at": "2026-01-01T00:00:00.001000Z",
    }


def test_a_letter_is_replayed_or_dropped_once(buried: FakeServices) -> None:
    """Afterwards it is not there any more."""
    client = buried.client()
    first, second = "/v1/dead-letters/1767225600000-0", "/v1/dead-letters/1767225600001-0"
    assert client.post(f"{first}/replay", headers=ADMIN).json == {"replayed": 1}
    assert client.delete(second, headers=ADMIN).json == {"dropped": 1}
    for gone in (first, second):
        assert client.get(gone, headers=ADMIN).status_code == 404
    assert [one.letter_id for one in buried.dead_letters.replayed] == ["1767225600000-0"]


@pytest.mark.parametrize("scope", ["read", "events:write", "catalog:write"])
def test_no_other_scope_sees_them(buried: FakeServices, scope: str) -> None:
    """What users did may stand in them."""
    headers = {"Authorization": f"Bearer ig-{scope}"}
    assert buried.client().get("/v1/dead-letters", headers=headers).status_code == 403
