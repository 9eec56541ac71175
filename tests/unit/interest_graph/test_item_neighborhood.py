"""Rows of the graph as arrays: texts once, bounded neighbours, features of edges."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from interest_graph.item import content_hash
from interest_graph.item_neighborhood import described_as, edge_features, text_embeddings
from tests.integration.fake_encoder import FakeEncoder


def row(**fields: Any) -> dict[str, Any]:
    """A row of `fetch_item_subgraph`."""
    return {
        "item_id": "i-1",
        "title": None,
        "description": None,
        "content_hash": None,
        "text_embedding": None,
        "brand": None,
        "categories": [],
        "neighbors": [],
        "popularity": 0.0,
        "popularity_at_ms": None,
    } | fields


def pair(**fields: Any) -> dict[str, Any]:
    """A row of `fetch_edge_features`."""
    return {
        "source_id": "a",
        "target_id": "b",
        "evidence": 0.0,
        "reverse_evidence": 0.0,
        "source_text": None,
        "target_text": None,
        "same_category": False,
        "same_brand": False,
    } | fields


def stored(*values: float) -> bytes:
    """A text embedding as the graph keeps it."""
    return np.array(values, dtype="<f4").tobytes()


def test_equal_texts_are_encoded_once_and_empty_ones_never() -> None:
    """Two items with one text share an encoding; an item without text is a row of zeros."""
    encoder = FakeEncoder()
    found = text_embeddings([row(title="Lamp"), row(), row(title="Lamp"), row(title=" ")], encoder)
    assert encoder.texts == ["Lamp"]
    np.testing.assert_array_equal(found[0], found[2])
    assert found[0].any()
    assert not found[[1, 3]].any()


def test_a_stored_embedding_counts_for_its_own_text_alone() -> None:
    """What the graph holds is used while the text and its encoder are the same."""
    encoder = FakeEncoder()
    current = content_hash("Lamp", encoder.text_version)
    other_encoder = content_hash("Lamp", "another")
    rows = [
        row(title="Lamp", content_hash=current, text_embedding=stored(1, 2, 3, 4)),
        row(title="Lamp", content_hash=other_encoder, text_embedding=stored(9, 9, 9, 9)),
        row(title="Rug", content_hash=current, text_embedding=stored(9, 9, 9, 9)),
    ]
    found = text_embeddings(rows, encoder)
    assert encoder.texts == ["Lamp", "Rug"]
    assert found[0].tolist() == [1, 2, 3, 4]
    assert not (found == 9).any()


@pytest.mark.parametrize(
    "other",
    [
        {"title": "Rug"},
        {"description": "Bright."},
        {"brand": "Lux"},
        {"categories": [["c-2", "Garden"]]},
        {"categories": []},
    ],
)
def test_a_description_changes_with_each_of_its_parts(other: dict[str, Any]) -> None:
    """Text, brand, categories and model decide the similar items; nothing else does."""
    one = row(title="Lamp", categories=[["c-1", "Home"]])
    assert described_as(one, "v1") == described_as(one | {"popularity": 7.0}, "v1")
    assert described_as(one, "v1") != described_as(one | other, "v1")
    assert described_as(one, "v1") != described_as(one, "v2")


def test_features_are_cosine_and_what_is_shared() -> None:
    """The cosine is of the texts, and zero when one of them has none."""
    found = edge_features(
        [
            pair(source_text=stored(1, 0), target_text=stored(3, 3), same_brand=True),
            pair(source_text=stored(1, 0), evidence=0.25, same_category=True),
            pair(source_text=stored(1, 0), target_text=stored(-2, 0), reverse_evidence=0.5),
        ],
        2,
    )
    assert found.text_cosine.tolist() == pytest.approx([2**-0.5, 0, -1])
    assert found.evidence.tolist() == [0, 0.25, 0]
    assert found.reverse_evidence.tolist() == [0, 0, 0.5]
    assert found.same_category.tolist() == [0, 1, 0]
    assert found.same_brand.tolist() == [1, 0, 0]
