"""Nothing is ever returned that must not be, by any route, on any process."""

from __future__ import annotations

import itertools
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from interest_graph.errors import InvalidInputError
from interest_graph.recommendation import Query
from tests.integration.shop import CATEGORIES, ITEMS, NOW, rfc3339

if TYPE_CHECKING:
    from interest_graph.recommend import Recommender
    from tests.integration.shop import Shop

numbers = itertools.count()
offsets = st.sampled_from([-60, 0, 60])
FEW = ITEMS[:6]
fine_documents = st.fixed_dictionaries(
    {"hidden": st.just(False)},  # noqa: FBT003 a value, not a flag
    optional={"categories": st.lists(st.sampled_from(CATEGORIES), max_size=2)},
)
documents = (
    fine_documents
    | st.none()
    | st.fixed_dictionaries(
        {"hidden": st.booleans()},
        optional={
            "available_from": offsets,
            "available_until": offsets,
            "categories": st.lists(st.sampled_from(CATEGORIES), max_size=2),
        },
    )
)


def put_all(shop: Shop, described: list[dict[str, Any] | None]) -> None:
    """Make the catalogue say exactly this; None is an item of the model without a document."""
    shop.stock()
    written = []
    for item_id, document in zip(ITEMS, described + [None] * (len(ITEMS) - len(FEW)), strict=True):
        if document is None:
            shop.items.delete(item_id)
            continue
        times = {
            name: rfc3339(NOW + document[name])
            for name in ("available_from", "available_until")
            if name in document
        }
        written.append(document | times | {"item_id": item_id})
    if written:
        shop.items.put(written)


def allowed(document: dict[str, Any] | None, path: list[str] | None) -> bool:
    """Whether the rules let an item be returned, said once more in plain Python."""
    if document is None or document["hidden"]:
        return False
    paths = document.get("categories", [])
    return (
        document.get("available_from", -1) <= 0
        and document.get("available_until", 1) > 0
        and (path is None or any(own[: len(path)] == path for own in paths))
    )


@pytest.fixture
def processes(shop: Shop) -> list[Recommender]:
    """Two recommenders that keep what they know over all examples."""
    return [shop.recommender(), shop.recommender()]


@given(
    described=st.lists(documents, min_size=len(FEW), max_size=len(FEW)),
    sent=st.lists(
        st.tuples(
            st.sampled_from(["view", "purchase", "rate"]), st.sampled_from([*FEW, "unknown"])
        ),
        max_size=6,
    ),
    exclude=st.lists(st.sampled_from([*FEW, "unknown"]), max_size=3),
    path=st.none() | st.sampled_from([["Home"], ["Home", "Kitchen"], ["Garden", "Tools"]]),
    exclude_seen=st.booleans(),
    k=st.integers(1, 20),
)
@hypothesis(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_exactly_what_may_be_returned_is(
    shop: Shop,
    processes: list[Recommender],
    described: list[dict[str, Any] | None],
    sent: list[tuple[str, str]],
    exclude: list[str],
    path: list[str] | None,
    exclude_seen: bool,  # noqa: FBT001
    k: int,
) -> None:
    """Whatever the catalogue says, lists hold all and only the items that the rules allow.

    Hidden, stub, deleted, outside their window, seen, excluded, of another category: each process
    leaves them out at once, and of the rest it returns as many as asked for.
    """
    put_all(shop, described)
    user_id = f"u-{next(numbers)}"
    if sent:
        shop.send(user_id, *sent)
    fine = {
        item_id for item_id, document in zip(FEW, described, strict=True) if allowed(document, path)
    }
    bought = {item_id for kind, item_id in sent if kind == "purchase"} if exclude_seen else set()
    category = " > ".join(path) if path else None
    expected = fine - bought - set(exclude)
    unused = path is not None and not any(
        own[: len(path)] == path
        for document in described
        if document
        for own in document.get("categories", [])
    )
    for process in processes:
        if unused:  # a process may know a category from before, or not: neither shows an item
            with suppress(InvalidInputError):
                assert process.popular(len(ITEMS), category) == []
            continue
        query = Query(k=k, exclude_seen=exclude_seen, category=category, exclude=exclude)
        answer = process.recommend(user_id, query)
        found = [item.item_id for item in answer.items]
        assert set(found) <= expected
        assert len(found) == len(set(found)) == min(k, len(expected))
        assert (answer.why_empty is None) == bool(found)
        popular = {item.item_id for item in process.popular(len(ITEMS), category)}
        assert popular == fine
        similar = {item.item_id for item in process.similar(ITEMS[0], len(ITEMS))}
        assert similar == {
            item_id
            for item_id, document in zip(FEW, described, strict=True)
            if allowed(document, None) and item_id != ITEMS[0]
        }


@pytest.mark.parametrize("how", ["hide", "delete", "end"])
def test_an_item_disappears_with_the_next_call(shop: Shop, how: str) -> None:
    """What was hidden, deleted or ended is in no list that starts later, on no process."""
    processes = [shop.recommender(), shop.recommender()]
    shop.send("u-1", ("view", ITEMS[3]))
    for process in processes:
        gone = process.recommend("u-1", Query(k=1)).items[0].item_id
        if how == "hide":
            shop.items.patch(gone, lambda document: document | {"hidden": True})
        elif how == "delete":
            shop.items.delete(gone)
        else:
            end = {"available_until": rfc3339(NOW)}
            shop.items.patch(gone, lambda document, end=end: document | end)  # type: ignore[misc]
        for other in processes:
            lists = [
                other.recommend("u-1", Query(k=99)).items,
                other.popular(99),
                other.similar(ITEMS[3], 99),
            ]
            assert gone not in {item.item_id for items in lists for item in items}


def test_an_item_appears_when_its_time_comes(shop: Shop) -> None:
    """The window is read by the clock at each call; no write is needed when it opens or closes."""
    window = {"available_from": rfc3339(NOW + 60), "available_until": rfc3339(NOW + 120)}
    shop.items.patch(ITEMS[5], lambda document: document | window)
    process = shop.recommender()
    shown = []
    for shop.now in (NOW, NOW + 59, NOW + 60, NOW + 119, NOW + 120):
        found = {item.item_id for item in process.recommend("u-1", Query(k=99)).items}
        shown.append(ITEMS[5] in found)
    assert shown == [False, False, True, True, False]


def test_an_item_that_changes_category_leaves_the_old_one(shop: Shop) -> None:
    """A list of a category follows the catalogue's newest word."""
    process = shop.recommender()
    process.popular(99, "Garden")
    shop.items.patch(ITEMS[2], lambda document: document | {"categories": [["Home", "Bath"]]})
    assert ITEMS[2] not in {item.item_id for item in process.popular(99, "Garden")}
    assert {item.item_id for item in process.popular(99, "Home > Bath")} == {ITEMS[2]}


def test_a_rebuilt_catalogue_replaces_the_one_in_memory(shop: Shop) -> None:
    """When the serving state starts over, nothing from before is remembered as eligible."""
    process = shop.recommender()
    shop.items.patch(ITEMS[0], lambda document: document | {"title": "changed"})
    assert len(process.popular(99)) == len(ITEMS)
    shop.client.flushdb()
    shop.serving.roll_out("20260101T000000Z-00000001")
    shop.items.put([{"item_id": ITEMS[7], "hidden": False}])
    assert [item.item_id for item in process.popular(99)] == [ITEMS[7]]


def test_an_unknown_category_is_the_caller_s_fault(shop: Shop) -> None:
    """A category that no item is in is an error that names the parameter."""
    with pytest.raises(InvalidInputError) as caught:
        shop.recommender().recommend("u-1", Query(category="Nowhere"))
    assert caught.value.faults[0].field == "category"


def test_a_category_of_an_item_without_embedding_is_known(shop: Shop) -> None:
    """Until its first item can be scored a new category is an empty list, not an error."""
    shop.items.put([{"item_id": "new", "hidden": False, "categories": [["Pets"]]}])
    answer = shop.recommender().recommend("u-1", Query(category="Pets"))
    assert answer.items == []
    assert answer.why_empty
    assert answer.why_empty.candidates == 0
