"""Reading the graph for training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from interest_graph.training_data import read_training_data
from tests.integration.shop import ITEMS, NOW, Shop
from tests.integration.test_refresh_users import Desk

if TYPE_CHECKING:
    from interest_graph.graph.store import GraphStore


def test_an_empty_graph_is_read_as_empty(graph: GraphStore, shop: Shop) -> None:
    """Without a single event there are arrays of length zero, not an error."""
    data = read_training_data(graph, shop.settings)
    assert (data.graph.item_ids, data.graph.user_ids, data.text_cache) == ([], [], {})
    assert data.graph.event_user.shape == data.graph.event_time.shape == (0,)


def test_every_fact_is_read_in_order(graph: GraphStore, shop: Shop) -> None:
    """Items, stubs, categories, brands and events come as arrays that agree with each other."""
    desk = Desk(shop, graph)
    shop.items.put([{"item_id": ITEMS[3], "title": "Saw", "description": "Cuts.", "brand": "Lux",
                     "categories": [["Garden"], ["Home"]]}])  # fmt: skip
    shop.send("u-2", ("purchase", ITEMS[3]), ("view", "stub"))
    shop.send("u-1", ("rate", ITEMS[3]))
    desk.drain()
    seen: list[str] = []
    read = read_training_data(graph, shop.settings, seen.append).graph
    assert seen == ["items", "events"]
    assert read.item_ids == sorted([*ITEMS, "stub"])
    row = read.item_ids.index(ITEMS[3])
    assert read.item_texts[row] == "Saw. Cuts."
    assert read.item_texts[read.item_ids.index("stub")] == ""
    names = [read.category_texts[category] for category in read.item_categories[row]]
    assert sorted(names) == ["Garden", "Home"]
    assert read.brand_ids[read.item_brand[row]] == "Lux"
    assert read.item_brand[read.item_ids.index("stub")] == -1
    events = [
        (
            read.user_ids[read.event_user[at]],
            read.event_types[read.event_type[at]],
            read.item_ids[read.event_item[at]],
            read.event_time[at],
        )
        for at in range(len(read.event_user))
    ]
    assert events == [
        ("u-1", "rate", ITEMS[3], NOW - 3600.0),
        ("u-2", "purchase", ITEMS[3], NOW - 3600.0),
        ("u-2", "view", "stub", NOW - 3599.0),
    ]


def test_only_texts_that_are_current_are_cached(
    graph: GraphStore, shop: Shop, neo4j_driver: Any
) -> None:
    """A stored text embedding is used while its content hash is that of the item's text."""
    from interest_graph.item import content_hash

    desk = Desk(shop, graph)
    desk.drain()
    vector = np.arange(4, dtype="<f4")
    current = content_hash(f"Title of {ITEMS[0]}", shop.settings.text_model)
    for item_id, stored in ((ITEMS[0], current), (ITEMS[1], "of an older text")):
        neo4j_driver.execute_query(
            "MATCH (i:Item {item_id: $id}) SET i.text_embedding = $vector, i.content_hash = $hash",
            {"id": item_id, "vector": vector.tobytes(), "hash": stored},
        )
    cache = read_training_data(graph, shop.settings).text_cache
    assert set(cache) == {current}
    np.testing.assert_array_equal(cache[current], vector)
