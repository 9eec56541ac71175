"""`docker-compose.yml` is valid, and starts what the local stack starts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.local_stack.paths import StackPaths
from cli.local_stack.process import BEHIND_REQUESTS
from cli.local_stack.programs import programs
from interest_graph.settings import Settings

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"
WEIGHT_OF_NICENESS = {0: 1024, 10: 110, 15: 36}  # the kernel's table, sched(7)


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """The services of the file, anchors resolved."""
    found: dict[str, Any] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]
    return found


def test_it_follows_the_compose_specification() -> None:
    """The specification's own schema accepts it."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    checked = subprocess.run([*command, COMPOSE], capture_output=True, text=True, check=False)  # noqa: S603
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("name", ["ingest", "refresh", "training", "api"])
def test_services_use_the_same_entry_points(
    services: dict[str, Any], name: str, tmp_path: Path
) -> None:
    """A service's command is the local stack's, apart from address and number of processes."""
    local = next(p for p in programs(StackPaths(tmp_path), Settings()) if p.name == name)
    in_compose = services[name]["command"]
    wanted = [argument for argument in local.command if argument != sys.executable]
    ours = wanted[1] in {"workers.ingest", "api"}
    wanted = ["python", *wanted] if ours else wanted[1:]
    own = {"127.0.0.1", "0.0.0.0", "8000", "1", "${INTEREST_GRAPH_API_WORKERS:-2}"}  # noqa: S104
    assert [a for a in in_compose if a not in own] == [a for a in wanted if a not in own]


@pytest.mark.parametrize("name", ["ingest", "refresh", "training", "api"])
def test_services_have_the_local_stacks_part_of_a_scarce_cpu(
    services: dict[str, Any], name: str, tmp_path: Path
) -> None:
    """Its shares are the weight that Linux gives the niceness of the local stack's process."""
    local = next(p for p in programs(StackPaths(tmp_path), Settings()) if p.name == name)
    assert services[name].get("cpu_shares", 1024) == WEIGHT_OF_NICENESS[local.niceness]


def test_neo4j_stands_back_and_redis_does_not(services: dict[str, Any]) -> None:
    """Lists wait for Redis, none for Neo4j."""
    assert services["neo4j"]["cpu_shares"] == WEIGHT_OF_NICENESS[BEHIND_REQUESTS]
    assert "cpu_shares" not in services["redis"]


def test_every_service_that_stays_is_watched(services: dict[str, Any]) -> None:
    """Each has a health check; the one that applies the schema ends by itself."""
    watched = {name for name, service in services.items() if "healthcheck" in service}
    assert watched == set(services) - {"schema"}


def test_images_are_pinned(services: dict[str, Any]) -> None:
    """No image can change under the same file."""
    for service in services.values():
        if "build" not in service:
            _, _, tag = service["image"].partition(":")
            assert tag.count(".") >= 2, service["image"]


def test_ports_are_published_on_loopback_alone(services: dict[str, Any]) -> None:
    """Nothing can be reached from another machine unless somebody decides so."""
    ports = [port for service in services.values() for port in service.get("ports", ())]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_every_setting_it_passes_exists(services: dict[str, Any]) -> None:
    """A misspelt variable would be ignored without a word."""
    names = {f"INTEREST_GRAPH_{name.upper()}" for name in Settings.model_fields}
    for service in services.values():
        given = {n for n in service.get("environment", {}) if n.startswith("INTEREST_GRAPH_")}
        assert given <= names


def test_redis_is_as_durable_as_the_managed_one(services: dict[str, Any]) -> None:
    """The promise of a 202 rests on these."""
    command = services["redis"]["command"]
    pairs = dict(zip(command[1::2], command[2::2], strict=True))
    assert pairs["--appendfsync"] == "always"
    assert pairs["--maxmemory-policy"] == "noeviction"
    assert pairs["--no-appendfsync-on-rewrite"] == "no"


def test_the_example_names_only_settings_that_exist() -> None:
    """.env.example is read by people: every line of it must be true."""
    names = {f"INTEREST_GRAPH_{name.upper()}" for name in Settings.model_fields}
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    for line in lines:
        name, equals, _ = line.lstrip("# ").partition("=")
        if equals and name.isupper():
            assert name in names
