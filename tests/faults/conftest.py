"""The services of the integration tests, for tests that kill what works with them."""

from tests.integration.conftest import (  # noqa: F401 fixtures
    events,
    graph,
    items,
    log,
    make_event,
    migrated,
    query,
    users,
)
