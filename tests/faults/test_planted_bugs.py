"""The fault test can fail: a planted bug turns the check that is there for it red.

It takes some minutes a bug, so it runs when `INTEREST_GRAPH_TEST_FAULT_BUGS` is set.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.faults.campaign import Campaign, run_campaign

if TYPE_CHECKING:
    from tests.running_service import RunningService

CAMPAIGN = Campaign.from_environment()
SEEDS = 3

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.timeout(CAMPAIGN.limit_s * SEEDS),
    pytest.mark.skipif(
        "INTEREST_GRAPH_TEST_FAULT_BUGS" not in os.environ, reason="runs when asked to"
    ),
]


@pytest.mark.parametrize(
    ("bug", "found"),
    [
        ("acknowledge_before_commit", "accepted events are lost"),
        ("clear_staleness_by_time", "are of other events"),
    ],
)
def test_a_planted_bug_is_found(running_service: RunningService, bug: str, found: str) -> None:
    """Within three seeds, and by its own check."""
    seeds = range(CAMPAIGN.seed, CAMPAIGN.seed + SEEDS)
    verdicts = (broken(running_service, replace(CAMPAIGN, seed=seed, bug=bug)) for seed in seeds)
    assert found in next((verdict for verdict in verdicts if verdict), "nothing")


def broken(service: RunningService, campaign: Campaign) -> str:
    """What a run finds broken; "" for nothing."""
    try:
        run_campaign(service, campaign)
    except AssertionError as error:
        return str(error)
    return ""
