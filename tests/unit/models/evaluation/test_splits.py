"""Splits: nothing that is asked about can be seen, and draws are seeded."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from models.evaluation.data_set import DataSet
from models.evaluation.protocols import PROTOCOLS, SplitConfig, main_metric, make_split
from tests.unit.models.synthetic import make_graph

if TYPE_CHECKING:
    from interest_graph.interaction_graph import InteractionGraph
    from models.evaluation.cases import Cases
    from models.evaluation.splits import Split

SHOP = make_graph(users=20)
ONCE = np.unique(SHOP.event_user * 100 + SHOP.event_item, return_index=True)[1]
NO_REPEATS = SHOP.where(np.isin(np.arange(SHOP.num_events), ONCE))
DATA = DataSet("shop", NO_REPEATS, PROTOCOLS, in_test=np.arange(NO_REPEATS.num_events) % 5 == 0)
every_protocol = pytest.mark.parametrize("protocol", PROTOCOLS)


def pairs(graph: InteractionGraph) -> set[tuple[int, int]]:
    """The (user, item) pairs of a graph's events."""
    return set(zip(graph.event_user.tolist(), graph.event_item.tolist(), strict=True))


def wanted(cases: Cases) -> set[tuple[int, int]]:
    """The (user, item) pairs that are asked for."""
    users, targets = cases.users.tolist(), cases.targets
    return {(user, int(item)) for user, some in zip(users, targets, strict=True) for item in some}


def everything(split: Split) -> dict[str, Cases]:
    """All cases of a split."""
    return {"validation": split.check, **split.tests}


@every_protocol
def test_what_is_asked_for_is_in_no_history(protocol: str) -> None:
    """Where nothing is taken twice, no wanted pair is learned from or seen before its time."""
    split = make_split(DATA, protocol)
    for cases in everything(split).values():
        assert len(cases)
        assert not wanted(cases) & pairs(cases.history)
        assert all(len(some) for some in cases.targets)
    for test in split.tests.values():
        assert not wanted(test) & pairs(split.known)
    assert not wanted(split.check) & pairs(split.train)


@every_protocol
def test_known_is_train_and_more(protocol: str) -> None:
    """A refit learns from all that the first fit learned from, and from the validation."""
    split = make_split(DATA, protocol)
    assert pairs(split.train) < pairs(split.known) < pairs(NO_REPEATS)


@every_protocol
def test_a_split_is_seeded(protocol: str) -> None:
    """The same seed draws the same cases; the cases are sampled when there are too many."""
    first, second = make_split(DATA, protocol), make_split(DATA, protocol)
    assert [wanted(c) for c in everything(first).values()] == [
        wanted(c) for c in everything(second).values()
    ]
    few = make_split(DATA, protocol, SplitConfig(max_cases=1))
    for name, cases in everything(few).items():
        assert len(cases) == 1
        assert wanted(cases) <= wanted(everything(first)[name])


def test_cold_items_have_no_events_at_all() -> None:
    """Held-out items are in nobody's history; they are ranked among themselves and among all."""
    split = make_split(DATA, "cold_items")
    cold = split.test.candidates
    assert cold is not None
    assert not cold[split.known.event_item].any()
    assert not cold[split.test.history.event_item].any()
    assert all(cold[some].all() for some in split.test.targets)
    assert split.check.candidates is not None
    assert not (cold & split.check.candidates).any()
    assert not split.check.candidates[split.train.event_item].any()
    other = split.more_tests["among all items"]
    assert other.candidates is None
    assert wanted(other) == wanted(split.test)


def test_cold_users_are_not_learned_from() -> None:
    """A held-out user has no event in what is learned, and n in the history of the case after n."""
    split = make_split(DATA, "cold_users")
    assert list(split.tests) == [
        f"after {n}" for n in ("1 event", "2 events", "3 events", "5 events")
    ]
    for n, cases in zip((1, 2, 3, 5), split.tests.values(), strict=True):
        assert not np.isin(cases.users, split.known.event_user).any()
        assert not np.isin(split.check.users, split.train.event_user).any()
        counts = np.bincount(cases.history.event_user, minlength=20)
        assert (counts[cases.users] == n).all()
        for user, target in zip(cases.users.tolist(), cases.targets, strict=True):
            theirs = NO_REPEATS.event_item[NO_REPEATS.event_user == user]
            assert target.tolist() == [theirs[n]]


def test_time_cuts_before_what_is_asked_for() -> None:
    """No event of a temporal history is as late as the moment of asking; repeats are ranked."""
    repeats = replace(DATA, graph=SHOP, repeats=True, in_test=None)
    split = make_split(repeats, "temporal")
    for cases in everything(split).values():
        assert cases.history.event_time.max() < cases.as_of.min()
        assert not cases.exclude_seen
    assert make_split(DATA, "temporal").test.exclude_seen


def test_only_the_types_that_count_are_wanted() -> None:
    """With target types, a next buy is a buy: views are seen, never asked for."""
    buys = replace(DATA, graph=SHOP, repeats=True, target_types=("purchase",), in_test=None)
    split = make_split(buys, "temporal")
    late = SHOP.where((SHOP.event_time >= split.test.as_of[0]) & (SHOP.event_type == 1))
    assert wanted(split.test) <= pairs(late)
    assert 0 in split.test.history.event_type
    cold = make_split(buys, "cold_users").tests["after 2 events"]
    assert wanted(cold) <= pairs(SHOP.where(SHOP.event_type == 1))


def test_the_next_buy_is_asked_for_at_its_own_moment() -> None:
    """A history ends before the moment of asking; what is learned ends before the cut."""
    buys = replace(DATA, graph=SHOP, repeats=True, target_types=("purchase",), in_test=None)
    split = make_split(buys, "temporal_next")
    cut = split.known.event_time.max()
    for user, moment, items in zip(
        split.test.users, split.test.as_of, split.test.targets, strict=True
    ):
        theirs = split.test.history.event_time[split.test.history.event_user == user]
        assert theirs.max() < moment
        assert moment > cut
        now = (SHOP.event_user == user) & (SHOP.event_time == moment) & (SHOP.event_type == 1)
        assert items.tolist() == np.unique(SHOP.event_item[now]).tolist()


def test_a_given_test_is_taken_as_it_is() -> None:
    """Its events are the test, and about a tenth of each user's others the validation."""
    split = make_split(DATA, "given")
    assert DATA.in_test is not None
    assert wanted(split.test) == pairs(NO_REPEATS.where(DATA.in_test))
    others = np.bincount(split.known.event_user, minlength=20)
    asked = np.zeros(20, np.int64)
    asked[split.check.users] = [len(some) for some in split.check.targets]
    np.testing.assert_array_equal(asked, np.maximum(others // 10, 1))


def test_what_does_not_fit_is_said() -> None:
    """Unknown protocols, data without a test and data that are too few are named."""
    with pytest.raises(ValueError, match="there is no protocol"):
        make_split(DATA, "sideways")
    with pytest.raises(ValueError, match="without a test"):
        make_split(replace(DATA, in_test=None), "given")
    with pytest.raises(ValueError, match="too few"):
        make_split(replace(DATA, graph=SHOP.where(SHOP.event_user < 1)), "cold_users")
    lone = SHOP.where(np.arange(SHOP.num_events) % 30 == 0)
    with pytest.raises(ValueError, match="too few events"):
        make_split(replace(DATA, graph=lone), "leave_one_out")
    assert main_metric("given") == "recall_at_20"
