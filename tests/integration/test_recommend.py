"""Recommendations from a published model and a real Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from interest_graph import redis_client as keys
from interest_graph.errors import (
    ModelNotReadyError,
    NotFoundError,
    ServingStateUnavailableError,
)
from interest_graph.interest import interest
from interest_graph.item_matrix import ItemDelta
from interest_graph.quantised_items import NearScores
from interest_graph.recommendation import Query
from interest_graph.redis_client import connect
from interest_graph.scores import scores
from interest_graph.serving_state import ServingState
from tests.integration.published_directory import DIM, FIRST, SECOND
from tests.integration.shop import ITEMS, NOW, Shop, rfc3339

if TYPE_CHECKING:
    import redis

    from interest_graph.settings import Settings


def delta(item_ids: list[str], version: str = FIRST, seed: int = 9) -> ItemDelta:
    """A delta with random rows, each leading to the shop's first item."""
    rng = np.random.default_rng(seed)
    return ItemDelta(
        epoch=0,
        model_version=version,
        item_ids=item_ids,
        embeddings=rng.normal(0, 1, (len(item_ids), DIM)).astype(np.float32),
        bias=rng.normal(0, 1, len(item_ids)).astype(np.float32),
        neighbor_ids=[[ITEMS[0], "not there"] for _ in item_ids],
        neighbor_weights=[[0.5, 0.25] for _ in item_ids],
    )


def test_the_list_is_the_best_of_all_scores(shop: Shop) -> None:
    """A list is the items of highest score in order, by the one interest function."""
    shop.send("u-1", ("view", ITEMS[3]), ("click", ITEMS[8]), ("purchase", ITEMS[4]))
    process = shop.recommender()
    answer = process.recommend("u-1", Query(k=5, exclude_seen=False))
    state = shop.serving.read("u-1")
    model = process.shelf.current(state.manifest)
    every = scores(
        model.matrix, interest(model.encoder, model.matrix, state.user.history, NOW // 60 * 60)
    )
    best = np.argsort(-every)[:5]
    assert [item.item_id for item in answer.items] == [ITEMS[row] for row in best]
    assert [item.score for item in answer.items] == pytest.approx(every[best], rel=1e-4, abs=1e-4)
    assert {item.chosen for item in answer.items} == {"personal"}
    because = answer.items[0].because
    assert because
    assert because.item_id in {ITEMS[3], ITEMS[8], ITEMS[4]}
    assert because.title == f"Title of {because.item_id}"
    assert answer.model_version == FIRST


def test_one_event_counts_on_the_next_call(shop: Shop) -> None:
    """The list after an event carries its revision and differs, on a process that knew the user."""
    process = shop.recommender()
    before = process.recommend("u-1", Query())
    revision = shop.send("u-1", ("click", ITEMS[2]))
    after = process.recommend("u-1", Query())
    assert (before.history_revision, after.history_revision) == (0, revision)
    assert [item.score for item in before.items] != [item.score for item in after.items]
    assert after.items[0].because


def test_the_order_of_arrival_does_not_matter(shop: Shop) -> None:
    """Two users with the same events, sent in opposite order, get the same list."""
    sent = [(kind, ITEMS[number], NOW - 1000 + number) for number, kind in
            enumerate(["view", "click", "view", "rate"])]  # fmt: skip
    for user_id, order in (("u-1", sent), ("u-2", sent[::-1])):
        for kind, item_id, at in order:
            event = shop.event(f"{user_id}-{item_id}", user_id, item_id, kind,
                               occurred_at=rfc3339(at))  # fmt: skip
            shop.events.accept([event])
    one, two = (shop.recommender().recommend(user_id, Query()) for user_id in ("u-1", "u-2"))
    assert [(i.item_id, i.score) for i in one.items] == [(i.item_id, i.score) for i in two.items]


def test_an_unknown_user_gets_what_is_popular(shop: Shop) -> None:
    """A user of whom nothing is known gets the popular items, and they are marked as such."""
    process = shop.recommender()
    answer = process.recommend("nobody", Query(k=6))
    assert [item.item_id for item in answer.items] == [item.item_id for item in process.popular(6)]
    assert {item.chosen for item in answer.items} == {"popular"}
    assert {item.because for item in answer.items} == {None}


def test_declared_categories_come_first_until_events_tell_more(shop: Shop) -> None:
    """What a user declared lifts the items of those categories, less with every event."""
    shop.users.put([{"user_id": "u-1", "categories": [["Garden"]]}])
    process = shop.recommender()
    plain = {item.item_id: item.score for item in process.recommend("nobody", Query(k=99)).items}
    liked = {item.item_id: item for item in process.recommend("u-1", Query(k=99)).items}
    garden = {item.item_id for item in process.popular(99, "Garden")}
    assert garden == set(ITEMS[2::4]) | set(ITEMS[3::4])
    for item_id, item in liked.items():
        assert item.score - plain[item_id] == pytest.approx(1.0 if item_id in garden else 0.0)
        assert item.chosen == ("cold_start" if item_id in garden else "popular")
    for user_id in ("u-1", "u-2"):
        shop.send(user_id, ("view", ITEMS[1]))
    with_category = {i.item_id: i.score for i in process.recommend("u-1", Query(k=99)).items}
    without = {i.item_id: i.score for i in process.recommend("u-2", Query(k=99)).items}
    lift = {item_id: with_category[item_id] - without[item_id] for item_id in without}
    assert max(lift.values()) == pytest.approx(0.5)
    assert {item_id for item_id, more in lift.items() if more > 0.1} == garden


@pytest.mark.parametrize(
    "query", [Query(), Query(exclude=ITEMS[:3]), Query(k=3, category="Garden", exclude_seen=False)]
)
def test_a_list_is_the_same_where_all_items_are_scored_exactly(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, query: Query
) -> None:
    """Where too many are alike for eight bits; what a query leaves out is left out there too."""
    shop.users.put([{"user_id": "u-1", "categories": [["Garden"]]}])
    shop.items.patch(ITEMS[7], lambda document: document | {"hidden": True})
    shop.send("u-1", ("view", ITEMS[3]), ("purchase", ITEMS[8]))
    process = shop.recommender()
    near = process.recommend("u-1", query)
    monkeypatch.setattr(NearScores, "best", lambda *_: None)
    exactly = process.recommend("u-1", query)
    assert len(near.items) >= 3
    assert near.items == exactly.items


def test_an_empty_list_says_why(shop: Shop) -> None:
    """When every rule together leaves nothing, each says how much it took away."""
    for item_id in ITEMS[:4]:
        shop.items.patch(item_id, lambda document: document | {"hidden": True})
    shop.send("u-1", ("purchase", ITEMS[4]), ("purchase", ITEMS[5]), ("purchase", ITEMS[0]))
    answer = shop.recommender().recommend("u-1", Query(exclude=ITEMS[5:]))
    why = answer.why_empty
    assert answer.items == []
    assert why
    assert (why.candidates, why.hidden, why.already_seen, why.excluded) == (16, 4, 2, 10)


def test_a_delta_brings_new_items(shop: Shop) -> None:
    """An item published a moment ago is recommended by a process that knew the model before."""
    process = shop.recommender()
    process.recommend("u-1", Query())
    shop.items.put([{"item_id": "new", "title": "New", "hidden": False, "categories": [["New"]]}])
    assert "new" not in {item.item_id for item in process.recommend("u-1", Query(k=99)).items}
    assert shop.serving.publish(delta(["new", ITEMS[1], "undescribed"])) == 1
    found = {item.item_id: item for item in process.recommend("u-1", Query(k=99)).items}
    assert found["new"].score == pytest.approx(float(delta(["new", "", ""]).bias[0]))
    assert "undescribed" not in found
    assert [item.item_id for item in process.popular(9, "New")] == ["new"]
    fresh = shop.recommender().recommend("u-1", Query(k=99)).items
    assert [(i.item_id, i.score) for i in fresh] == [(i.item_id, i.score) for i in found.values()]


def test_a_process_follows_a_manifest_that_was_restored(shop: Shop) -> None:
    """After Redis was lost, deltas are numbered anew: what was applied before counts no more."""
    process = shop.recommender()
    for number in range(3):
        shop.serving.publish(delta([ITEMS[number], f"new-{number}"], seed=number))
    before = process.recommend("u-1", Query(k=99)).items
    shop.client.delete("ig:manifest", f"ig:deltas:{FIRST}")
    assert shop.serving.restore_manifest(FIRST, 0)
    fresh = shop.recommender().recommend("u-1", Query(k=99)).items
    assert process.recommend("u-1", Query(k=99)).items == fresh != before
    shop.serving.publish(delta([ITEMS[5], "new-2"], seed=7))
    fresh = shop.recommender().recommend("u-1", Query(k=99)).items
    assert process.recommend("u-1", Query(k=99)).items == fresh


def test_who_slept_while_redis_was_lost_and_refilled_sees_it(shop: Shop) -> None:
    """Numbers that went beyond those of before hide from no process that they count anew."""
    process = shop.recommender()
    shop.serving.publish(delta([ITEMS[1]], seed=1))
    shop.items.patch(ITEMS[2], lambda item: item | {"title": "Before"})
    before = process.recommend("u-1", Query(k=99)).items
    shop.client.flushdb()
    assert shop.serving.restore_manifest(FIRST, 0)
    shop.stock()
    shop.items.patch(ITEMS[3], lambda item: item | {"hidden": True})
    for number in (4, 5):
        shop.items.patch(ITEMS[number], lambda item: item | {"title": "After"})
        shop.serving.publish(delta([ITEMS[number]], seed=number))
    fresh = shop.recommender().recommend("u-1", Query(k=99)).items
    assert process.recommend("u-1", Query(k=99)).items == fresh != before


def test_a_delta_of_another_model_is_not_published(shop: Shop) -> None:
    """What a replaced model computed late changes nothing."""
    assert shop.serving.publish(delta(["new"], SECOND)) == 0
    manifest, _ = shop.serving.head()
    assert manifest
    assert manifest.epoch == 0


def test_a_roll_out_switches_whole_answers(shop: Shop) -> None:
    """Each answer comes from one model: with the manifest everything of it switches, and back."""
    shop.send("u-1", ("view", ITEMS[3]))
    shop.serving.publish(delta([ITEMS[1]]))
    process = shop.recommender()

    def answer() -> tuple[str, list[tuple[str, float]]]:
        given = process.recommend("u-1", Query(k=99))
        return given.model_version, [(item.item_id, item.score) for item in given.items]

    first = answer()
    shop.publish(SECOND, seed=2, items=ITEMS[::-1])
    second = answer()
    assert (first[0], second[0]) == (FIRST, SECOND)
    assert {item for item, _ in second[1]} == set(ITEMS)
    assert first[1] != second[1]
    assert shop.recommender().recommend("u-1", Query(k=99)).items[0].score == second[1][0][1]
    shop.serving.roll_out(FIRST)
    assert answer() == first


def test_similar_items_are_the_linked_ones_first(shop: Shop) -> None:
    """The items that the item graph leads to come before those that are merely near."""
    process = shop.recommender()
    for item_id in ITEMS:
        found = [item.item_id for item in process.similar(item_id, 99)]
        matrix = process.shelf.current(shop.serving.head()[0]).matrix
        row = matrix.neighbor_rows[matrix.row_of[item_id]]
        linked = {ITEMS[target] for target in row if target >= 0}
        assert set(found) == set(ITEMS) - {item_id}
        assert set(found[: len(linked)]) == linked


def test_without_a_model_the_error_says_so(settings: Settings, log: redis.Redis) -> None:
    """Before the first model nothing can be recommended, and the error says what to do."""
    with pytest.raises(ModelNotReadyError, match="train"):
        Shop(settings, log).recommender().recommend("u-1", Query())


def test_similar_to_the_unknown_is_not_found(shop: Shop) -> None:
    """An item without embedding has no similar items."""
    with pytest.raises(NotFoundError):
        shop.recommender().similar("unknown", 3)


def test_without_redis_the_popular_items_come_from_memory(shop: Shop, settings: Settings) -> None:
    """While Redis is away a process that has answered before gives popular items, marked so.

    They keep to what was known of the catalogue and to the caller's own exclusions.
    """
    shop.items.patch(ITEMS[0], lambda document: document | {"hidden": True})
    process = shop.recommender()
    expected = [item.item_id for item in process.popular(99, "Home") if item.item_id != ITEMS[4]]
    away = connect("redis://127.0.0.1:1/0", settings)
    process._serving = ServingState(away, settings)
    answer = process.recommend("u-1", Query(k=99, category="Home", exclude=[ITEMS[4], "unknown"]))
    assert answer.degraded == ("serving_state",)
    assert [item.item_id for item in answer.items] == expected
    assert ITEMS[0] not in expected
    fresh = shop.recommender()
    fresh._serving = process._serving
    with pytest.raises(ModelNotReadyError):
        fresh.recommend("u-1", Query())
    away.close()


def test_redis_going_away_within_a_request_degrades_it(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When Redis goes away after the first read there is still a list, marked as degraded."""
    process = shop.recommender()
    process.recommend("u-1", Query())
    shop.serving.publish(delta([ITEMS[1]]))

    def gone(*_: object) -> None:
        message = "the serving state does not answer"
        raise ServingStateUnavailableError(message)

    monkeypatch.setattr(shop.serving, "deltas", gone)
    answer = process.recommend("u-1", Query(k=3))
    assert len(answer.items) == 3
    assert answer.degraded


def test_many_deltas_are_folded_and_none_is_missed(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Folding bounds the deltas kept; fresh, sleeping and current processes agree afterwards."""
    monkeypatch.setattr("interest_graph.published_model.FOLD_EVERY", 5)
    worker, current, asleep = shop.recommender(), shop.recommender(), shop.recommender()
    asleep.recommend("u-1", Query())
    for number in range(23):
        shop.serving.publish(delta([ITEMS[number % len(ITEMS)], f"new-{number}"], seed=number))
        worker.shelf.fold(worker.shelf.current(shop.serving.head()[0]))
        current.recommend("u-1", Query())
    version = current.shelf.current(shop.serving.head()[0]).model_version
    kept = int(shop.client.hlen(f"ig:deltas:{version}"))  # type: ignore[arg-type] # sync client
    assert kept <= 10
    answers = [
        process.recommend("u-1", Query(k=99)).items
        for process in (current, asleep, shop.recommender(), worker)
    ]
    assert all(answer == answers[0] for answer in answers)
    matrix = asleep.shelf.current(shop.serving.head()[0]).matrix
    assert matrix.epoch == 23
    assert "new-0" in matrix.row_of


def test_what_was_there_serves_until_all_of_the_new_is(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis that goes away amid a swap or a reload of the catalogue leaves lists of before."""
    process = shop.recommender()
    before = process.recommend("u-1", Query(k=3))
    shop.publish(SECOND, seed=2)
    shop.serving.publish(delta([ITEMS[1]], SECOND))
    shop.items.patch(ITEMS[2], lambda document: {**document, "title": "Other"})
    shop.client.hset(keys.MANIFEST, "origin", "another")  # Redis was lost: all is read anew

    def away(*_: object) -> None:
        message = "away"
        raise ServingStateUnavailableError(message)

    for broken, name in ((process.shelf._serving, "deltas"), (process._items, "_raw")):
        monkeypatch.setattr(broken, name, away)
        degraded = process.recommend("u-1", Query(k=3))
        assert degraded.degraded == ("serving_state",)
        assert degraded.model_version == before.model_version == FIRST
        assert [item.title for item in degraded.items] == [item.title for item in before.items]
        monkeypatch.undo()
    after = process.recommend("u-1", Query(k=3))
    assert (after.degraded, after.model_version) == ((), SECOND)
