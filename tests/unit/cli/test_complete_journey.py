"""The demo's data: real purchases in the shape that the API takes."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from cli.complete_journey import CompleteJourney, read_complete_journey
from interest_graph.event import parse_event
from interest_graph.item import ItemInput
from interest_graph.settings import Settings

NOW = datetime(2026, 7, 31, 15, tzinfo=UTC)


@pytest.fixture(scope="module")
def journey() -> CompleteJourney:
    """The slice, as of a fixed day."""
    return read_complete_journey(now=NOW)


def test_the_slice_is_as_large_as_promised(journey: CompleteJourney) -> None:
    """About 100,000 purchases of some hundreds of households."""
    assert journey.purchases.height == 100_000
    assert 200 <= journey.purchases["user_id"].n_unique() <= 1000


def test_the_last_purchase_was_yesterday(journey: CompleteJourney) -> None:
    """Times are shifted by whole days, so that the time of day stays real."""
    last = journey.purchases["occurred_at"].max()
    assert isinstance(last, datetime)
    assert last.date() == date(2026, 7, 30)


def test_every_purchase_is_of_an_item_that_is_there(journey: CompleteJourney) -> None:
    """No purchase makes a stub, and no two have the same id."""
    assert set(journey.purchases["item_id"].unique()) == set(journey.items["item_id"])
    assert journey.purchases["event_id"].n_unique() == journey.purchases.height
    assert journey.items["item_id"].n_unique() == journey.items.height


def test_rows_pass_the_validation_of_requests(journey: CompleteJourney) -> None:
    """What is loaded is what a shop could send."""
    settings = Settings()
    for body in journey.item_bodies():
        item = ItemInput.model_validate(body)
        assert item.title
        assert item.categories
    for body, _ in zip(journey.event_bodies(), range(2000), strict=False):
        assert parse_event(body, settings, NOW).event_type == "purchase"


def test_titles_are_readable(journey: CompleteJourney) -> None:
    """Capitals and abbreviations of the till are written out."""
    titles = " ".join(journey.items["title"])
    assert "FRZN" not in titles
    assert "Frzn" not in titles
    assert " oz" in titles


def test_the_story_has_surprises(journey: CompleteJourney) -> None:
    """Each household has a long history, and never bought an item of the kinds on offer."""
    candidates = journey.candidates()
    assert len(candidates) >= 10
    kinds = dict(zip(journey.items["item_id"], journey.items["path"].list.get(1), strict=True))
    for user_id, surprises in candidates.items():
        theirs = journey.purchases.filter(journey.purchases["user_id"] == user_id)
        assert theirs.height >= 50
        assert len(surprises) >= 5
        assert not {kinds[item] for item in surprises} & {kinds[i] for i in theirs["item_id"]}
    assert journey.candidates() == candidates
