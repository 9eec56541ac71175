"""Users as the shop sends them."""

import pytest
from pydantic import ValidationError

from interest_graph.field_types import faults_of
from interest_graph.user import UserInput, UserPatch, patched


@pytest.mark.parametrize(
    ("field", "value", "pointer"),
    [
        ("user_id", "", "/user_id"),
        ("user_id", "x" * 129, "/user_id"),
        ("user_id", "\ud800", "/user_id"),
        ("categories", [[]], "/categories/0"),
        ("categories", [["Home", 4]], "/categories/0/1"),
        ("properties", {"mixed": [1, "a"]}, "/properties"),
        ("email", "a@example.org", "/email"),
    ],
)
def test_what_is_out_of_bounds_is_named(field: str, value: object, pointer: str) -> None:
    """A value out of bounds is refused, and the fault points at it."""
    with pytest.raises(ValidationError) as caught:
        UserInput.model_validate({"user_id": "u-1"} | {field: value})
    assert {fault.pointer for fault in faults_of(caught.value)} == {pointer}


def test_a_patch_changes_what_it_names_and_null_clears() -> None:
    """What a patch leaves out stays, null takes away."""
    document = UserInput.model_validate(
        {"user_id": "u", "categories": [["Home"]], "properties": {"plan": "free"}}
    ).document
    changed = patched(document, UserPatch.model_validate({"properties": {"plan": "gold"}}))
    assert changed == {**document, "properties": {"plan": "gold"}}
    assert patched(changed, UserPatch.model_validate({"categories": None})) == {
        "user_id": "u",
        "properties": {"plan": "gold"},
    }
