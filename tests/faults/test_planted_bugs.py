"""The fault test can fail: a planted bug turns the check that is there for it red.

It takes some minutes a bug, so it runs when `INTEREST_GRAPH_TEST_FAULT_BUGS` is set.
"""

from __future__ import annotations

import os
import sys
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
    ("bug", "check"),
    [
        ("acknowledge_before_commit", "facts"),
        ("clear_staleness_by_time", "interests"),
        ("check_duplicates_outside", "accepted once"),
    ],
)
def test_a_planted_bug_is_found(running_service: RunningService, bug: str, check: str) -> None:
    """Within three seeds, and by its own check."""
    runs = (
        run_campaign(running_service, replace(CAMPAIGN, seed=CAMPAIGN.seed + n, bug=bug))
        for n in range(SEEDS)
    )
    found = next((outcome.failed for outcome in runs if outcome.failed), {})
    sys.stderr.write(f"\n{bug}: {found}\n")
    assert check in found
