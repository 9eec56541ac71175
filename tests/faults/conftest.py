"""The running stack for fault tests."""

from tests.running_service import running_service  # noqa: F401 a fixture
