"""Popularity as it stood, and how fast it fades."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from interest_graph.interaction_graph import DAY_S
from models.evaluation.cases import Cases
from models.past_popularity import MOST_SNAPSHOTS, past_popularity
from models.popularity_search import search_popularity

from .synthetic import make_graph


def test_past_popularity_counts_what_came_before_each_moment() -> None:
    """A snapshot holds the events before it, decayed to it, and the last one is taken."""
    graph = make_graph()
    past = past_popularity(graph, 30.0)
    assert 1 < len(past.times) <= MOST_SNAPSHOTS
    place = len(past.times) // 2
    time = float(past.times[place])
    expected = np.log1p(graph.before(time).popularity(time, 30.0))
    np.testing.assert_allclose(past.log_popularity[place].numpy(), expected, rtol=1e-5)
    asked = torch.tensor([[time - 1, time, time + 1, 0.0, 1e12]], dtype=torch.float64)
    last = len(past.times) - 1
    assert past.snapshots(asked).tolist() == [[place - 1, place, place, 0, last]]


def test_past_popularity_of_nothing() -> None:
    """A graph without events has one moment at which nothing was popular."""
    graph = make_graph()
    past = past_popularity(graph.where(np.zeros(graph.num_events, dtype=np.bool_)), 30.0)
    assert past.log_popularity.shape == (1, graph.num_items)
    assert not past.log_popularity.any()


def test_past_popularity_of_one_moment_counts_everything() -> None:
    """Where all events are of one moment none is before another, and all of them count."""
    graph = make_graph()
    graph = replace(graph, event_time=np.zeros(graph.num_events))
    past = past_popularity(graph, 30.0)
    expected = np.log1p(graph.popularity(0.0, 30.0))
    np.testing.assert_allclose(past.log_popularity.numpy(), expected[None], rtol=1e-5)


def test_the_half_life_follows_the_validation() -> None:
    """Where the last days' item is wanted it is short, where the item of all time is, long."""
    graph = make_graph()
    count = 40
    old, new = count // 2 + 5, count // 2 - 5
    graph = replace(
        graph,
        event_user=np.zeros(count, np.int64),
        event_item=np.repeat([0, 1], [old, new]),
        event_type=np.zeros(count, np.int64),
        event_time=np.repeat([0.0, 100 * DAY_S], [old, new]),
    )
    asked = (np.array([1]), np.array([100 * DAY_S]))
    short, long = (search_popularity(Cases(graph, *asked, [np.array([item])])) for item in (1, 0))
    assert short < 60 < long
