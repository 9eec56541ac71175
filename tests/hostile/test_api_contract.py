"""Whatever is sent by whomever, the API answers as its OpenAPI document says: schemathesis.

Every route, for every caller: without a key, with a wrong one, with each scope. All of
schemathesis' checks. `INTEREST_GRAPH_TEST_CONTRACT_CASES` says how many cases are generated; those
who are refused at the door get a small share.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest
import schemathesis
from hypothesis import HealthCheck, assume, given, seed
from hypothesis import settings as settings_of
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from api.app import create_app, openapi_document
from interest_graph.api_key import SCOPES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from schemathesis import Case
    from schemathesis.schemas import BaseSchema

    from tests.hostile.conftest import HostileShop

CASES = int(os.environ.get("INTEREST_GRAPH_TEST_CONTRACT_CASES", "5000"))
SEED = int(os.environ.get("INTEREST_GRAPH_TEST_CONTRACT_SEED", "0"))
WRONG_KEY = f"ig_{'0' * 16}_{'A' * 43}"
ITEM = "/v1/items/{item_id}"
CALLERS = ("no key", "wrong key", *SCOPES)
REFUSED_SHARE = 0.1
"""Cases of a caller who is refused at the door, in those of one who is let in."""

KNOWN = {"user_id": "u-1", "item_id": "item-00"}
"""What a generated path is sometimes about; made-up ids are nearly always unknown."""
UNSAYABLE = re.compile(
    r"must be one of: |there is no such category|available_until must be after|"
    r"must not be (before 1990|after the year 9999|more than five minutes ahead)|"
    r"must be `next` of an earlier answer|must carry an offset|must be an RFC 3339 string|"
    r".*: a list must have at most 100 elements of one kind|.*must (fit in 64 bits|be finite)|"
    r".*must not contain NUL|must have at most 65536 bytes as JSON|"
    r"was sent before with another body in this place",
    re.DOTALL,  # names of properties stand in reasons, and may have more than one line
)
"""Rules that a JSON schema cannot say, or that schemathesis does not read."""


def _is_one_of_a_list(query: Mapping[str, object]) -> bool:
    """Whether a number or word stands for a parameter that may be repeated."""
    return isinstance(query.get("exclude", []), str | int | float)


def _let_in(caller: str, operation: dict[str, object]) -> bool:
    """Whether the document lets the caller in."""
    needed = {scope for entry in operation["security"] for scope in entry["key"]}  # type: ignore[attr-defined]
    return not needed or caller in needed | {"admin"}


ROUTES = [
    (method, path, caller, mode, _let_in(caller, operation))
    for path, item in openapi_document()["paths"].items()
    for method, operation in item.items()
    for caller in CALLERS
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    # What takes nothing cannot be given anything wrong.
    if mode is GenerationMode.POSITIVE or {"parameters", "requestBody"} & operation.keys()
]
SHARES = [1.0 if let_in else REFUSED_SHARE for *_, let_in in ROUTES]
PER_SHARE = CASES / sum(SHARES)


@pytest.fixture(scope="module")
def described(hostile_shop: HostileShop) -> BaseSchema:
    """The document as the application on real servers gives it."""
    app = create_app(hostile_shop.services)
    return schemathesis.openapi.from_wsgi("/v1/openapi.json", app)


@pytest.mark.parametrize(("method", "path", "caller", "mode", "let_in"), ROUTES)
def test_answers_are_as_documented(
    described: BaseSchema,
    hostile_shop: HostileShop,
    method: str,
    path: str,
    caller: str,
    mode: GenerationMode,
    let_in: bool,  # noqa: FBT001 a parameter of the table
) -> None:
    """Every answer passes every check; whoever may not is refused and told so."""
    token = {"no key": "", "wrong key": WRONG_KEY, **hostile_shop.keys}[caller]
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    count = round(PER_SHARE * (1.0 if let_in else REFUSED_SHARE))

    @seed(SEED)
    @settings_of(
        max_examples=max(1, count),
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=described[path][method].as_strategy(generation_mode=mode), known=st.booleans())
    def check(case: Case, known: bool) -> None:  # noqa: FBT001 hypothesis names it
        if known and mode is GenerationMode.POSITIVE:
            case.path_parameters.update(
                {name: KNOWN[name] for name in case.path_parameters if name in KNOWN}
            )
        # That path is the list of popular items.
        assume((case.path_parameters or {}).get("item_id") != "popular" or path != ITEM)
        answer = case.call(headers=headers)
        if not let_in:
            assert answer.status_code in {401, 403}, answer.text
        unsayable = answer.status_code == 422 and all(
            UNSAYABLE.match(fault["reason"]) for fault in answer.json()["errors"]
        )
        excluded = [positive_data_acceptance] if unsayable else []
        # In an address an empty list or map is nothing at all, and one value is a list of one.
        query = case.query or {}
        if any(value in ([], {}) for value in query.values()) or _is_one_of_a_list(query):
            excluded.append(negative_data_rejection)
        case.validate_response(answer, headers=headers, excluded_checks=excluded)

    check()
