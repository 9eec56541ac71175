"""What workers publish and requests read, on a real Redis."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from interest_graph import redis_client as keys
from interest_graph.errors import ServingStateUnavailableError
from tests.integration.published_directory import FIRST, SECOND
from tests.integration.test_recommend import delta

if TYPE_CHECKING:
    import redis

    from interest_graph.serving_state import ServingState


def test_deltas_are_numbered_without_gaps(serving: ServingState) -> None:
    """Whatever publishes at once, the numbers are 1 … n and each names one delta."""
    serving.roll_out(FIRST)
    numbers: list[int] = []

    def publish() -> None:
        numbers.extend(serving.publish(delta([f"i-{n}"])) for n in range(10))

    workers = [threading.Thread(target=publish) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(numbers) == list(range(1, 41))
    assert [found.epoch for found in serving.deltas(FIRST, 0, 40)] == list(range(1, 41))
    assert [found.epoch for found in serving.deltas(FIRST, 38, 40)] == [39, 40]
    assert list(serving.deltas(FIRST, 40, 40)) == []


def test_a_model_that_comes_back_has_its_deltas(serving: ServingState) -> None:
    """Rolling back names the older model with every delta it had; the newer keeps its own."""
    serving.roll_out(FIRST)
    serving.publish(delta(["a"]))
    serving.publish(delta(["b"]))
    assert serving.roll_out(SECOND) == 0
    assert serving.publish(delta(["c"])) == 0
    assert serving.publish(delta(["c"], SECOND)) == 1
    assert serving.roll_out(FIRST) == 2
    assert [found.item_ids for found in serving.deltas(FIRST, 0, 2)] == [["a"], ["b"]]


def test_a_delta_that_is_gone_is_not_skipped(serving: ServingState, log: redis.Redis) -> None:
    """A missing delta is an error; the matrix is never built without it."""
    serving.roll_out(FIRST)
    serving.publish(delta(["a"]))
    serving.publish(delta(["b"]))
    log.hdel(keys.deltas_key(FIRST), "1")
    with pytest.raises(ServingStateUnavailableError, match="delta 1"):
        list(serving.deltas(FIRST, 0, 2))


def test_before_anything_is_written_all_is_empty(serving: ServingState) -> None:
    """An unknown user on an empty serving state reads as nothing, not as an error."""
    state = serving.read("nobody")
    assert (state.manifest, state.catalog_revision, state.user.history, state.user.declared) == (
        None,
        0,
        (),
        (),
    )
    assert serving.head() == (None, 0)
