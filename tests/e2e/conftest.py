"""The running stack for end-to-end tests."""

from tests.running_service import running_service  # noqa: F401 a fixture
