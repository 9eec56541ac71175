"""A small shop with a pattern to learn: what follows what, in four aisles."""

import numpy as np

from interest_graph.interaction_graph import DAY_S, InteractionGraph

AISLES = ("tea", "paint", "bicycle", "garden")
THINGS = ("pot", "brush", "bell", "glove", "box", "hook", "cup", "tin", "rope", "lamp")
START = 1_700_000_000.0


def make_graph(users: int = 40, events: int = 30, seed: int = 0) -> InteractionGraph:
    """Users walk along the shelves of one aisle; 44 items, four of which nobody ever took."""
    rng = np.random.default_rng(seed)
    texts = [f"{aisle} {thing}" for aisle in AISLES for thing in THINGS]
    texts += [f"{aisle} novelty" for aisle in AISLES]
    aisle_of = [*np.repeat(np.arange(4), 10), *range(4)]
    user_rows, item_rows, times = [], [], []
    for user in range(users):
        aisle, shelf = user % 4, int(rng.integers(10))
        moments = START + np.sort(rng.uniform(0, 200 * DAY_S, events))
        for moment in moments:
            shelf = (shelf + 1) % 10 if rng.random() < 0.8 else int(rng.integers(10))
            user_rows.append(user)
            item_rows.append(aisle * 10 + shelf)
            times.append(moment)
    return InteractionGraph(
        item_ids=[f"item-{row:02d}" for row in range(44)],
        item_texts=[*texts[:43], ""],
        item_categories=[(int(aisle),) for aisle in aisle_of[:43]] + [()],
        category_ids=[f"c-{aisle}" for aisle in AISLES],
        category_texts=[f"Home > {aisle}" for aisle in AISLES],
        brand_ids=["Acme", "Bolt"],
        item_brand=np.array([row % 3 - 1 for row in range(44)]),
        user_ids=[f"user-{row}" for row in range(users)],
        event_user=np.array(user_rows, dtype=np.int64),
        event_item=np.array(item_rows, dtype=np.int64),
        event_type=rng.integers(0, 2, len(times)),
        event_time=np.array(times),
        event_types=("view", "purchase"),
        event_weights=(0.5, 1.0),
    )
