"""Everything that can go wrong, under load: no event is lost or doubled, no list breaks a promise.

`INTEREST_GRAPH_TEST_FAULT_SEED`, `…_FAULT_SECONDS` and `…_FAULT_COUNT` change the run.
`INTEREST_GRAPH_TEST_FAULT_BUGS=1` also plants bugs and sees that they are found.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.faults.campaign import Campaign, run_campaign

if TYPE_CHECKING:
    from tests.running_service import RunningService

PREFIX = "INTEREST_GRAPH_TEST_FAULT_"
CAMPAIGN = Campaign(
    seed=int(os.environ.get(f"{PREFIX}SEED", "1")),
    seconds=float(os.environ.get(f"{PREFIX}SECONDS", "180")),
    count=int(os.environ.get(f"{PREFIX}COUNT", "15")),
)
SEEDS_OF_A_BUG = 3

LIMIT_S = CAMPAIGN.seconds * 3 + 600
pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(LIMIT_S)]


def test_faults_lose_and_double_nothing(running_service: RunningService) -> None:
    """One seed: faults every 5 to 10 seconds under 200 events and 100 lists a second."""
    run_campaign(running_service, CAMPAIGN)


@pytest.mark.timeout(LIMIT_S * SEEDS_OF_A_BUG)
@pytest.mark.skipif(f"{PREFIX}BUGS" not in os.environ, reason="takes long; run it when asked to")
@pytest.mark.parametrize(
    ("bug", "found"),
    [
        ("acknowledge_before_commit", "accepted events are lost"),
        ("clear_staleness_by_time", "are of other events"),
    ],
)
def test_a_planted_bug_is_found(running_service: RunningService, bug: str, found: str) -> None:
    """The check that is there for it turns red within three seeds."""
    seeds = range(CAMPAIGN.seed, CAMPAIGN.seed + SEEDS_OF_A_BUG)
    verdicts = (broken(running_service, replace(CAMPAIGN, seed=seed, bug=bug)) for seed in seeds)
    first = next((verdict for verdict in verdicts if verdict), "nothing")
    assert found in first


def broken(service: RunningService, campaign: Campaign) -> str:
    """What a run finds broken; "" for nothing."""
    try:
        run_campaign(service, campaign)
    except AssertionError as error:
        return str(error)
    return ""
