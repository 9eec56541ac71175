"""Words: which count, and what an item without events has of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.graph_encoder import GraphEncoder, GraphEncoderConfig
from models.item_table import build_table, learn_identities
from models.words import MOST_WORDS, learn_vocabulary, word_links, words_of

if TYPE_CHECKING:
    from interest_graph.interaction_graph import InteractionGraph


def test_words_and_pairs_of_neighbours_count_once() -> None:
    """Whatever the case, the punctuation, and HTML's references."""
    found = words_of("OPI's Nail-Lacquer, OPI&#39;s &quot;Big Apple&quot; Red")
    assert found[:6] == ["opi's", "nail", "lacquer", "big", "apple", "red"]
    assert found[6:] == [
        "opi's nail",
        "nail lacquer",
        "lacquer opi's",
        "opi's big",
        "big apple",
        "apple red",
    ]


@given(st.text(max_size=2000))
def test_any_text_has_words_within_the_bound(text: str) -> None:
    """Each once, none empty, at most the bound and as many pairs."""
    found = words_of(text)
    assert len(found) == len(set(found)) < 2 * MOST_WORDS
    assert all(word.strip() for word in found)


def test_a_word_needs_some_texts_and_a_pair_some_more() -> None:
    """What stands in too few texts teaches nothing."""
    texts = ["red rose"] * 4 + ["red tulip"] * 2
    assert learn_vocabulary(texts) == {"red": 0, "rose": 1}
    assert learn_vocabulary(["red rose"] * 5) == {"red": 0, "red rose": 1, "rose": 2}
    assert word_links(["", "a rose", "red rose"], {"red": 0, "rose": 1}) == [(1, 1), (0, 2), (1, 2)]


def test_items_without_events_teach_no_words(shop: InteractionGraph) -> None:
    """The vocabulary is that of items with events."""
    texts = [f"novelty {text}" if row >= 40 else text for row, text in enumerate(shop.item_texts)]
    graph = replace(shop, item_texts=texts)
    known = learn_identities(graph)
    assert known.words
    assert "novelty" not in known.words
    assert learn_identities(graph, of_words=False).words == {}
    assert learn_identities(graph, of_nodes=False).words == known.words


def test_a_word_moves_every_item_that_bears_it_by_its_share(shop: InteractionGraph) -> None:
    """Its vector adds β e_w / √n to the own part of each of them, and nothing to others."""
    known = learn_identities(shop)
    rng = np.random.default_rng(0)
    texts = tuple(
        rng.normal(size=(size, 8)).astype(np.float32)
        for size in (shop.num_items, len(shop.category_ids), len(shop.brand_ids))
    )
    table = build_table(shop, known, texts, np.zeros(shop.num_items), 4)
    config = GraphEncoderConfig(dim=4, text_dim=8, static_dim=4)
    encoder = GraphEncoder(config, known.sizes).eval()
    word = next(iter(known.words))
    rows = torch.arange(len(table))
    state = torch.zeros(len(table), 4)
    with torch.no_grad():
        before = encoder(table.subgraph(rows, state))
        encoder.identity["word"][known.words[word]] += 1.0
        after = encoder(table.subgraph(rows, state))
    moved = (after.own - before.own).numpy()
    shares = before.source_weight[before.source_type == 0].numpy()
    for row, text in enumerate(shop.item_texts):
        spoken = [one for one in words_of(text) if one in known.words]
        step = shares[row] / len(spoken) ** 0.5 if word in spoken else 0.0
        np.testing.assert_allclose(moved[row], np.full(4, step), atol=1e-6)
