"""What a recommendation_id says, and what is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interest_graph.errors import NotFoundError
from interest_graph.history import HistoryEvent, pack
from interest_graph.recommendation_id import AnswerContext, context_digest, read_id

contexts = st.builds(
    AnswerContext,
    model_version=st.from_regex(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}", fullmatch=True),
    epoch=st.integers(0, 2**32 - 1),
    as_of=st.integers(0, 2**32 - 1),
    history_revision=st.integers(0, 2**63),
    catalog_revision=st.integers(0, 2**63),
    digest=st.binary(min_size=8, max_size=8),
    declared=st.lists(st.from_regex(r"[0-9a-f]{16}", fullmatch=True), max_size=8).map(tuple),
)


@given(contexts)
def test_an_id_says_what_an_answer_was_computed_from(context: AnswerContext) -> None:
    """Whatever the context, its id reads back as the same, fits, and is never used twice."""
    identifier = context.new_id()
    assert read_id(identifier) == context
    assert len(identifier) <= 200
    assert context.new_id() != identifier


@given(st.text(max_size=120))
def test_what_is_no_id_is_not_found(text: str) -> None:
    """Anything else is an answer that does not exist, never an exception of another kind."""
    with pytest.raises(NotFoundError):
        read_id(text)


def test_an_id_names_no_path() -> None:
    """A model version that would leave the models' directory is refused."""
    for version in ("../../etc", "a/b", "..", ""):
        with pytest.raises(NotFoundError):
            read_id(AnswerContext(version, 0, 0, 0, 0, bytes(8)).new_id())


def test_the_digest_tells_users_and_events_apart() -> None:
    """Another user or another event has another digest."""
    event = HistoryEvent(5, "e-1", "lamp", 0)
    digests = {
        context_digest("u-1", pack([event])),
        context_digest("u-2", pack([event])),
        context_digest("u-1", b""),
        context_digest("u-1", pack([HistoryEvent(5, "e-2", "lamp", 0)])),
    }
    assert len(digests) == 4
