"""The update workers' encoder: one step of the seed formula, and what is new to the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from synthetic import AISLES

from interest_graph.item_matrix import ItemMatrix
from interest_graph.subgraph import EdgeFeatures, ItemSubgraph
from models.checkpoint import load_published
from models.item_encoder import ItemEncoder

if TYPE_CHECKING:
    from interest_graph.interaction_graph import InteractionGraph
    from models.training import TrainingResult
    from models.training_config import Progress

    Trained = tuple[TrainingResult, list[Progress]]


@pytest.fixture(scope="module")
def encoder(trained: Trained) -> ItemEncoder:
    return ItemEncoder.load(trained[0].directory)


@pytest.fixture(scope="module")
def matrix(trained: Trained) -> ItemMatrix:
    return ItemMatrix.load(trained[0].directory)


def subgraph_of(
    rows: list[int], shop: InteractionGraph, matrix: ItemMatrix, encoder: ItemEncoder
) -> ItemSubgraph:
    """The subgraph of published items, as the graph would hand it out."""
    links, weights = [], []
    for place, row in enumerate(rows):
        pairs = zip(matrix.neighbor_rows[row], matrix.neighbor_weights[row], strict=True)
        others = [(int(near), weight) for near, weight in pairs if near not in {-1, row}]
        for near, weight in others[: encoder.num_neighbors]:
            links.append((place, near))
            weights.append(weight)
    near = sorted({row for _, row in links})
    index = np.array([(place, near.index(row)) for place, row in links], dtype=np.int64)
    brand = [int(shop.item_brand[row]) for row in rows]
    return ItemSubgraph(
        item_ids=[shop.item_ids[row] for row in rows],
        texts=[shop.item_texts[row] for row in rows],
        text_embeddings=encoder.encode_texts([shop.item_texts[row] for row in rows]),
        categories=[
            [(shop.category_ids[c], shop.category_texts[c]) for c in shop.item_categories[row]]
            for row in rows
        ],
        brands=[shop.brand_ids[row] if row >= 0 else None for row in brand],
        popularity=shop.popularity(float(shop.event_time.max()), 30.0)[rows],
        neighbor_index=index.reshape(-1, 2).T,
        neighbor_ids=[shop.item_ids[row] for row in near],
        neighbor_embeddings=matrix.embeddings[near],
        neighbor_text_embeddings=encoder.encode_texts([shop.item_texts[row] for row in near]),
        edge_weight=np.array(weights, dtype=np.float32),
    )


def test_one_step_from_the_published_state_changes_nothing(
    encoder: ItemEncoder, matrix: ItemMatrix, shop: InteractionGraph
) -> None:
    """The published embeddings are a fixed point: a refresh of unchanged facts gives them again."""
    rows = [*range(0, 44, 3), 43]
    encoding = encoder.encode_items(subgraph_of(rows, shop, matrix, encoder))
    np.testing.assert_allclose(encoding.embeddings, matrix.embeddings[rows], atol=1e-5)
    np.testing.assert_allclose(encoding.bias, matrix.bias[rows], atol=1e-5)
    assert encoding.embeddings.dtype == encoding.bias.dtype == np.float32


def test_a_step_follows_its_neighbours_linearly(
    encoder: ItemEncoder, matrix: ItemMatrix, shop: InteractionGraph
) -> None:
    """Moving the frozen state moves the result by a fixed, contracting linear map of the move."""
    graph = subgraph_of([0, 5], shop, matrix, encoder)
    base = encoder.encode_items(graph).embeddings
    move = np.random.default_rng(0).normal(0, 1, graph.neighbor_embeddings.shape)

    def moved(factor: float) -> np.ndarray:
        state = (graph.neighbor_embeddings + factor * move).astype(np.float32)
        fields = {name: getattr(graph, name) for name in graph.__slots__}
        changed = ItemSubgraph(**fields | {"neighbor_embeddings": state})
        return encoder.encode_items(changed).embeddings - base

    np.testing.assert_allclose(moved(2.0), 2 * moved(1.0), atol=1e-4)
    assert np.abs(moved(1.0)).max() <= 0.5 * np.abs(move).max() + 1e-6


def test_a_new_item_lies_where_its_text_and_category_say(
    encoder: ItemEncoder, matrix: ItemMatrix, shop: InteractionGraph
) -> None:
    """Items that training never saw are nearest to the aisle they belong to, on the whole."""
    texts = ["tea kettle", "paint bucket", "bicycle pump", "garden hose"]
    new = ItemSubgraph(
        item_ids=[f"new-{place}" for place in range(4)],
        texts=texts,
        text_embeddings=encoder.encode_texts(texts),
        categories=[[(shop.category_ids[c], shop.category_texts[c])] for c in range(4)],
        brands=["Acme", None, "Newcomer", None],
        popularity=np.zeros(4),
        neighbor_index=np.zeros((2, 0), np.int64),
        neighbor_ids=[],
        neighbor_embeddings=np.zeros((0, encoder.dim), np.float32),
        neighbor_text_embeddings=np.zeros((0, encoder.text_dim), np.float32),
        edge_weight=np.zeros(0, np.float32),
    )
    encoding = encoder.encode_items(new)
    known = matrix.embeddings[:40] / np.linalg.norm(matrix.embeddings[:40], axis=1, keepdims=True)
    nearest = (encoding.embeddings @ known.T).argmax(1) // 10
    assert (nearest == np.arange(4)).sum() >= 3
    np.testing.assert_array_equal(encoding.bias, np.zeros(4))
    for item, shares in enumerate(encoding.category_weights):
        assert [name for name, _ in shares] == [f"c-{AISLES[item]}"]
        assert 0 < shares[0][1] <= 1


def test_categories_contribute_with_and_without_identity(encoder: ItemEncoder) -> None:
    """A category that training never saw has a contribution from its text alone."""
    found = encoder.category_embeddings(["c-tea", "new", "empty"], ["Home > tea", "Home > tea", ""])
    assert found.shape == (3, encoder.dim)
    assert found.dtype == np.float32
    assert np.abs(found[1]).max() > 0
    assert not np.array_equal(found[0], found[1])
    assert not found[2].any()


def test_edges_weigh_as_published_and_new_ones_by_likeness(
    encoder: ItemEncoder, trained: Trained, matrix: ItemMatrix
) -> None:
    """Known pairs get their published weight; without evidence likeness still gives some."""
    edges, weights = trained[0].edges, trained[0].edge_weights
    features = edges.features.T
    sources = [matrix.item_ids[row] for row in edges.source]
    targets = [matrix.item_ids[row] for row in edges.target]
    again = encoder.edge_weights(EdgeFeatures(sources, targets, *features[:5]))
    np.testing.assert_allclose(again, weights, rtol=1e-4, atol=1e-6)
    zero, one = np.zeros(1, np.float32), np.ones(1, np.float32)
    fresh = encoder.edge_weights(EdgeFeatures(["x"], ["y"], zero, zero, one, one, one))
    assert fresh.dtype == np.float32
    assert fresh[0] > 0


def test_empty_input_gives_empty_output(encoder: ItemEncoder) -> None:
    """No items, no texts, no categories and no edges are fine."""
    none = np.zeros(0, np.float32)
    nothing = ItemSubgraph(
        [],
        [],
        np.zeros((0, encoder.text_dim), np.float32),
        [],
        [],
        np.zeros(0),
        np.zeros((2, 0), np.int64),
        [],
        np.zeros((0, encoder.dim), np.float32),
        np.zeros((0, encoder.text_dim), np.float32),
        none,
    )
    assert encoder.encode_items(nothing).embeddings.shape == (0, encoder.dim)
    assert encoder.encode_texts([]).shape == (0, encoder.text_dim)
    assert encoder.category_embeddings([], []).shape == (0, encoder.dim)
    assert len(encoder.edge_weights(EdgeFeatures([], [], none, none, none, none, none))) == 0


def test_two_loads_encode_alike(
    encoder: ItemEncoder, trained: Trained, matrix: ItemMatrix, shop: InteractionGraph
) -> None:
    """Encoding is deterministic, and a second load of the directory gives the same numbers."""
    graph = subgraph_of([1, 2, 3], shop, matrix, encoder)
    first = encoder.encode_items(graph).embeddings
    np.testing.assert_array_equal(first, encoder.encode_items(graph).embeddings)
    other = ItemEncoder.load(trained[0].directory)
    again = other.encode_items(graph).embeddings  # texts may have been batched otherwise
    np.testing.assert_allclose(first, again, atol=1e-6)


def test_a_published_model_knows_its_identities(trained: Trained) -> None:
    """Items with events have an identity; the four that nobody took have none."""
    known = load_published(trained[0].directory).identities
    assert len(known.items) == 40
    assert "item-40" not in known.items
    assert (known.experience > 0).all()
