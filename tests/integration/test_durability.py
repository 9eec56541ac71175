"""The check of what the log's Redis must be set to, against a real one."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from api.readiness import OK, readiness
from interest_graph.errors import SettingsError
from interest_graph.redis_client import check_durability
from interest_graph.services import build_services

if TYPE_CHECKING:
    from collections.abc import Iterator

    import redis

    from interest_graph.services import Services
    from interest_graph.settings import Settings

WRONG = [
    ("appendonly", "no"),
    ("appendfsync", "everysec"),
    ("maxmemory-policy", "allkeys-lru"),
    ("no-appendfsync-on-rewrite", "yes"),
]


@pytest.fixture
def services(settings: Settings) -> Iterator[Services]:
    """Those of an API process."""
    with closing(build_services(settings)) as built:
        yield built


@pytest.fixture
def tuned(log: redis.Redis) -> Iterator[redis.Redis]:
    """A Redis whose settings are put back afterwards."""
    before = {name: log.config_get(name)[name] for name, _ in WRONG}
    yield log
    for name, value in before.items():
        log.config_set(name, value)


def test_the_stack_s_own_redis_is_durable(log: redis.Redis, settings: Settings) -> None:
    """The Redis of the local stack keeps what the log accepts."""
    check_durability(log, settings)


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_each_wrong_setting_is_named(
    tuned: redis.Redis, settings: Settings, name: str, value: str
) -> None:
    """One setting that could lose events is refused, by its name alone."""
    tuned.config_set(name, value)
    with pytest.raises(SettingsError, match=name) as caught:
        check_durability(tuned, settings)
    assert sum(f"{other} " in str(caught.value) for other, _ in WRONG) == 1


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_readiness_finds_it_after_the_start(
    tuned: redis.Redis, services: Services, name: str, value: str
) -> None:
    """A Redis that came back with other settings takes the API out of the balancer."""
    assert readiness(services, "events") == {"log": OK}
    tuned.config_set(name, value)
    assert name in readiness(services, "events")["log"]


def test_less_durability_must_be_asked_for(tuned: redis.Redis, settings: Settings) -> None:
    """`everysec` passes when the settings ask for it, and `always` no longer does."""
    relaxed = settings.model_copy(update={"durability": "everysec"})
    with pytest.raises(SettingsError, match="appendfsync everysec"):
        check_durability(tuned, relaxed)
    tuned.config_set("appendfsync", "everysec")
    check_durability(tuned, relaxed)
