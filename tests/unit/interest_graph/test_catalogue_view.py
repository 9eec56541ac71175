"""The catalogue in memory follows the item matrix row by row."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from interest_graph.catalogue_view import CatalogueView
from interest_graph.item_matrix import ItemDelta, ItemMatrix
from interest_graph.redis_client import seen_member

NAMES = [f"i-{number}" for number in range(6)]


def matrix_of(item_ids: list[str], version: str = "v1") -> ItemMatrix:
    """A matrix of these items."""
    count = len(item_ids)
    return ItemMatrix(
        version,
        list(item_ids),
        np.zeros((count, 2), np.float32),
        np.zeros(count, np.float32),
        np.full((count, 1), -1, np.int32),
        np.zeros((count, 1), np.float32),
    )


def append(matrix: ItemMatrix, item_ids: list[str]) -> None:
    """Let a delta bring items."""
    zeros = np.zeros((len(item_ids), 2), np.float32)
    none: list[Any] = [[] for _ in item_ids]
    matrix.apply(
        ItemDelta(matrix.epoch + 1, matrix.model_version, item_ids, zeros, zeros[:, 0], none, none)
    )


def eligible(view: CatalogueView, matrix: ItemMatrix, now: float = 0) -> set[str]:
    """Ids of the eligible rows."""
    return {matrix.item_ids[row] for row in np.flatnonzero(view.eligible(now))}


steps = st.one_of(
    st.tuples(st.just("put"), st.sampled_from(NAMES)),
    st.tuples(st.just("hide"), st.sampled_from(NAMES)),
    st.tuples(st.just("delete"), st.sampled_from(NAMES)),
    st.tuples(st.just("delta"), st.sampled_from(NAMES)),
    st.tuples(st.just("model"), st.sampled_from(NAMES)),
)


@given(st.lists(steps, max_size=25))
def test_any_sequence_of_changes_leaves_what_a_fresh_view_says(
    sequence: list[tuple[str, str]],
) -> None:
    """Documents, deltas and models in any order: the view equals one that is built at the end."""
    view, matrix = CatalogueView(), matrix_of(NAMES[:2])
    documents: dict[str, dict[str, Any]] = {}
    for revision, (kind, item_id) in enumerate(sequence, 1):
        changes: dict[str, dict[str, Any] | None] = {}
        if kind in {"put", "hide"}:
            documents[item_id] = {"hidden": kind == "hide", "categories": [["Home", item_id]]}
            changes[item_id] = documents[item_id]
        elif kind == "delete":
            documents.pop(item_id, None)
            changes[item_id] = None
        elif kind == "delta":
            append(matrix, [item_id])
        else:
            matrix = matrix_of(list(dict.fromkeys([item_id, *NAMES[:2]])), f"v{revision}")
        view.update(changes)
        view.align(matrix, list(changes))
    fresh = CatalogueView()
    fresh.update(documents)
    fresh.align(matrix)
    shown = {item_id for item_id, document in documents.items() if not document["hidden"]}
    assert eligible(view, matrix) == eligible(fresh, matrix) == shown & set(matrix.item_ids)
    for item_id in documents:
        rows = view.in_category(f"Home > {item_id}")
        assert rows.tolist() == fresh.in_category(f"Home > {item_id}").tolist()
        assert {matrix.item_ids[row] for row in np.flatnonzero(rows)} == {item_id} & set(
            matrix.item_ids
        )


@given(
    st.sets(st.tuples(st.sampled_from(NAMES), st.integers(0, 15)), max_size=10),
    st.sets(st.integers(0, 15), max_size=4),
)
def test_seen_is_told_by_item_and_type(seen: set[tuple[str, int]], types: set[int]) -> None:
    """An item counts as seen by the event types that were asked for, and by no other."""
    view, matrix = CatalogueView(), matrix_of(NAMES)
    view.align(matrix)
    members = np.array([seen_member(*one) for one in sorted(seen)], dtype=np.int64)
    rows = view.seen(members, sorted(types))
    found = {matrix.item_ids[row] for row in rows}
    assert found == {item_id for item_id, code in seen if code in types}


def test_a_category_is_named_by_path_or_id() -> None:
    """A category and everything below it is found by its path as text and by its id."""
    view, matrix = CatalogueView(), matrix_of(NAMES)
    view.update({"i-0": {"categories": [["Home", "Bath"]]}, "i-1": {"categories": [["Home"]]}})
    view.align(matrix)
    (bath,) = [c for c in view._names if view.category_name(c) == "Home > Bath"]
    assert np.flatnonzero(view.in_category("Home")).tolist() == [0, 1]
    assert np.flatnonzero(view.in_category("Home>Bath")).tolist() == [0]
    assert np.flatnonzero(view.in_category(bath)).tolist() == [0]
    assert view.likes([bath], "i-0")
    assert not view.likes([bath], "i-1")
    assert not view.likes([bath], "unknown")
