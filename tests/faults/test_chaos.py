"""Everything that can go wrong, under load: no event is lost or doubled, no list breaks a promise.

`INTEREST_GRAPH_TEST_FAULT_SEED`, `…_FAULT_SECONDS` and `…_FAULT_COUNT` change the run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.campaign import Campaign, run_campaign

if TYPE_CHECKING:
    from tests.running_service import RunningService

CAMPAIGN = Campaign.from_environment()

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(CAMPAIGN.limit_s)]


def test_faults_lose_and_double_nothing(running_service: RunningService) -> None:
    """One seed: faults every 5 to 10 seconds under 200 events and 100 lists a second."""
    outcome = run_campaign(running_service, CAMPAIGN)
    assert not outcome.failed
