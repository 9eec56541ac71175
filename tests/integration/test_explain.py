"""Explanations on a published model and a real Redis: the sum of the terms is the score."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from interest_graph.errors import ExpiredError, NotFoundError
from interest_graph.recommendation import Query
from interest_graph.recommendation_id import read_id
from tests.integration.published_directory import SECOND
from tests.integration.shop import ITEMS, Shop, rfc3339
from tests.integration.test_recommend import delta

if TYPE_CHECKING:
    from interest_graph.explain import Explanation

numbers = itertools.count()


def amounts(explanation: Explanation) -> float:
    """Sum of the contributions, in the order given."""
    return sum(term.amount for term in explanation.contributions)


@given(
    sent=st.lists(
        st.tuples(st.sampled_from(["view", "purchase", "rate"]), st.sampled_from(ITEMS)),
        max_size=9,
    ),
    declared=st.lists(st.sampled_from([["Home"], ["Garden", "Tools"], ["None"]]), max_size=2),
    rows=st.lists(st.sampled_from(ITEMS), max_size=4, unique=True),
    seed=st.integers(0, 3),
)
@hypothesis(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_contributions_sum_to_the_score_of_the_list(
    shop: Shop, sent: list[tuple[str, str]], declared: list[list[str]], rows: list[str], seed: int
) -> None:
    """For any user and any matrix each item's score in the list is the sum of its contributions."""
    user_id = f"u-{next(numbers)}"
    if declared:
        shop.users.put([{"user_id": user_id, "categories": declared}])
    if sent:
        shop.send(user_id, *sent)
    if rows:
        shop.serving.publish(delta(rows, seed=seed))
    process = shop.recommender()
    answer = process.recommend(user_id, Query(k=99, exclude_seen=False))
    explainer = shop.explainer(process)
    assert len(answer.items) == len(ITEMS)
    for item in answer.items:
        for recommendation_id in (None, answer.recommendation_id):
            explanation = explainer.explain(user_id, item.item_id, recommendation_id)
            assert explanation.score == pytest.approx(item.score, rel=1e-6, abs=1e-9)
            assert amounts(explanation) == pytest.approx(item.score, rel=1e-6, abs=1e-9)
            assert explanation.sentence.startswith(item.title or item.item_id)


def test_every_contribution_is_a_path_of_the_graph(shop: Shop) -> None:
    """Each term names nodes from the user to the item and the fact it rests on."""
    shop.send("u-1", ("view", ITEMS[3]), ("purchase", ITEMS[8]), ("view", ITEMS[3]))
    process = shop.recommender()
    matrix = process.shelf.current(shop.serving.head()[0]).matrix
    target = next(ITEMS[row] for row in matrix.neighbor_rows[8] if row >= 0)
    explanation = shop.explainer(process).explain("u-1", target)
    kinds = [term.kind for term in explanation.contributions]
    assert kinds.count("interest") == 3
    assert kinds.count("popularity") == 1
    assert "item_graph" in kinds
    for term in explanation.contributions:
        assert (term.nodes[-1].label, term.nodes[-1].id) == ("Item", target)
        if term.kind == "popularity":
            continue
        assert (term.nodes[0].label, term.nodes[0].id) == ("User", "u-1")
        assert term.occurred_at
        fact = term.edges[0]
        item_id = {"u-1-0": ITEMS[3], "u-1-1": ITEMS[8], "u-1-2": ITEMS[3]}[str(fact.event_id)]
        assert term.nodes[1].id == item_id
        assert fact.type == ("PURCHASED" if fact.event_id == "u-1-1" else "VIEWED")
        if term.kind == "item_graph":
            row = matrix.neighbor_rows[matrix.row_of[item_id]].tolist()
            place = row.index(matrix.row_of[target])
            weight = matrix.neighbor_weights[matrix.row_of[item_id]][place]
            assert term.edges[1].type == "SIMILAR_TO"
            assert term.edges[1].weight == pytest.approx(float(weight))
            assert term.amount == pytest.approx(term.weight * float(weight))
    sizes = [abs(term.amount) for term in explanation.contributions]
    assert sizes == sorted(sizes, reverse=True)


def test_an_earlier_answer_is_explained_as_it_was(shop: Shop) -> None:
    """By its id an answer is explained as given, whatever has changed since.

    History, declared categories, catalogue, deltas, time, model, and the item itself may go.
    """
    shop.send("u-1", ("view", ITEMS[3]), ("purchase", ITEMS[8]))
    shop.serving.publish(delta(["extra", ITEMS[1]]))
    process = shop.recommender()
    explainer = shop.explainer(process)
    answer = process.recommend("u-1", Query(k=99))
    before = [
        explainer.explain("u-1", item.item_id, answer.recommendation_id) for item in answer.items
    ]

    def check() -> None:
        for item, was in zip(answer.items, before, strict=True):
            now = explainer.explain("u-1", item.item_id, answer.recommendation_id)
            assert now.score == pytest.approx(item.score, rel=1e-6)
            assert (now.model_version, now.history_revision) == (
                answer.model_version,
                answer.history_revision,
            )
            assert [(t.kind, t.weight, t.amount) for t in now.contributions] == [
                (t.kind, t.weight, t.amount) for t in was.contributions
            ]

    shop.send("u-1", ("click", ITEMS[5]), ("purchase", ITEMS[6]))
    shop.now += 86_400
    check()
    shop.serving.publish(delta(["another", *ITEMS[:8]], seed=4))
    shop.users.put([{"user_id": "u-1", "categories": [["Home"]]}])
    check()
    shop.items.put([{"item_id": item_id, "hidden": False, "categories": [["Moved"]]}
                    for item_id in ITEMS])  # fmt: skip
    check()
    shop.publish(SECOND, seed=2, items=[*ITEMS[::-1], "more"])
    process.recommend("u-1", Query())
    check()
    shop.items.delete(answer.items[0].item_id)
    check()


def test_a_new_explanation_follows_the_history(shop: Shop) -> None:
    """Without an id the explanation is of now: the newest event is in it."""
    explainer = shop.explainer()
    assert [term.kind for term in explainer.explain("u-1", ITEMS[0]).contributions] == [
        "popularity"
    ]
    revision = shop.send("u-1", ("click", ITEMS[2]))
    explanation = explainer.explain("u-1", ITEMS[0])
    assert explanation.history_revision == revision
    assert {t.edges[0].event_id for t in explanation.contributions if t.edges} == {"u-1-0"}


def test_an_answer_is_explained_to_its_own_user_only(shop: Shop) -> None:
    """An answer's id explains nothing for another user, and an invented one nothing at all."""
    shop.send("u-1", ("click", ITEMS[2]))
    process = shop.recommender()
    explainer = shop.explainer(process)
    answer = process.recommend("u-1", Query(k=2))
    held = answer.items[0].item_id
    for user_id, item_id, recommendation_id in [
        ("u-2", held, answer.recommendation_id),
        ("u-1", held, "unknown"),
        ("u-1", "unknown", None),
    ]:
        with pytest.raises(NotFoundError):
            explainer.explain(user_id, item_id, recommendation_id)


def test_an_answer_of_a_model_that_is_gone_has_expired(shop: Shop) -> None:
    """When an answer's model is kept no longer, the error says that it once was."""
    process = shop.recommender()
    answer = process.recommend("u-1", Query(k=1))
    shop.publish(SECOND, seed=2)
    process.recommend("u-1", Query(k=1))
    for file in (shop.settings.models_dir / answer.model_version).iterdir():
        file.unlink()
    with pytest.raises(ExpiredError):
        shop.explainer(process).explain("u-1", answer.items[0].item_id, answer.recommendation_id)


def test_declared_categories_are_explained_as_they_were(shop: Shop) -> None:
    """Categories declared since do not count; an item described anew since has expired."""
    shop.users.put([{"user_id": "u-1", "categories": [["Garden"]]}])
    process = shop.recommender()
    explainer = shop.explainer(process)
    answer = process.recommend("u-1", Query(k=99))
    shop.users.put([{"user_id": "u-1", "categories": [["Home"]]}])
    for item in answer.items:
        then = explainer.explain("u-1", item.item_id, answer.recommendation_id)
        assert then.score == pytest.approx(item.score, rel=1e-6)
    moved = answer.items[0].item_id
    shop.items.put([{"item_id": moved, "hidden": False, "categories": [["Moved"]]}])
    with pytest.raises(ExpiredError):
        explainer.explain("u-1", moved, answer.recommendation_id)


def test_an_answer_whose_events_are_gone_is_not_explained_by_others(shop: Shop) -> None:
    """When newer events pushed an answer's events out of the history, nothing is invented."""
    shop.send("u-1", ("view", ITEMS[3]))
    process = shop.recommender()
    explainer = shop.explainer(process)
    answer = process.recommend("u-1", Query(k=1))
    for _ in range(shop.settings.history_events):
        shop.send("u-1", ("view", ITEMS[4]))
    with pytest.raises(NotFoundError):
        explainer.explain("u-1", answer.items[0].item_id, answer.recommendation_id)


def test_a_deleted_user_s_answers_are_gone(shop: Shop) -> None:
    """After a user's deletion their earlier answers, which hold events, explain nothing."""
    shop.send("u-1", ("click", ITEMS[2]))
    process = shop.recommender()
    answer = process.recommend("u-1", Query(k=1))
    shop.users.delete("u-1")
    with pytest.raises(NotFoundError):
        shop.explainer(process).explain("u-1", answer.items[0].item_id, answer.recommendation_id)


@pytest.mark.parametrize(
    ("declared", "kind", "words"),
    [
        (None, None, "popular with everybody"),
        ([["Home"]], None, "a category you said you like"),
        (None, "purchase", "because you bought"),
    ],
)
def test_the_sentence_says_what_counts_most(
    shop: Shop, declared: list[list[str]] | None, kind: str | None, words: str
) -> None:
    """One plain sentence names the event, the declared category or the popularity."""
    if declared:
        shop.users.put([{"user_id": "u-1", "categories": declared}])
    if kind:
        shop.send("u-1", (kind, ITEMS[3]))
    process = shop.recommender()
    explainer = shop.explainer(process)
    sentences = [explainer.explain("u-1", item_id).sentence for item_id in ITEMS]
    assert any(words in sentence for sentence in sentences)
    assert all(sentence.endswith(".") for sentence in sentences)


def test_an_event_of_the_future_counts_as_new(shop: Shop) -> None:
    """A client whose clock is ahead gets scores like for an event of this minute."""
    shop.events.accept(
        [shop.event("e-1", "u-1", ITEMS[3], "view", occurred_at=rfc3339(shop.now + 200))]
    )
    explanation = shop.explainer().explain("u-1", ITEMS[0])
    assert explanation.score == pytest.approx(amounts(explanation))


def test_an_invented_epoch_costs_nothing(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """An id that names an epoch far away is refused before any delta is asked for."""
    process = shop.recommender()
    answer = process.recommend("u-1", Query(k=1))
    forged = replace(read_id(answer.recommendation_id), epoch=2**32 - 1).new_id()

    def never(*_: object) -> None:
        pytest.fail("asked for deltas")

    monkeypatch.setattr(shop.serving, "deltas", never)
    with pytest.raises(ExpiredError):
        shop.explainer(process).explain("u-1", answer.items[0].item_id, forged)
