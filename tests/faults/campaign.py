"""One run of the fault test: load, faults, healing, and what there is to check afterwards."""

from __future__ import annotations

import json
import math
import os
import sys
import uuid
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from neo4j.exceptions import DriverError, Neo4jError
from redis.exceptions import RedisError

from cli.local_stack.ports import answers
from cli.local_stack.process import stop
from cli.local_stack.programs import TRAINING
from interest_graph.errors import InterestGraphError
from interest_graph.rebuild import ServingRebuild
from interest_graph.roll_out import roll_out
from interest_graph.services import build_services
from models.item_encoder import ItemEncoder
from tests.faults.checks import (
    check_answers,
    check_dead_letters,
    check_facts,
    check_histories,
    check_interests,
    check_revisions,
    wait_until_quiet,
)
from tests.faults.faults import Faults
from tests.faults.load import Load
from tests.faults.second_model import copy_model
from tests.faults.supervised_stack import SupervisedStack
from tests.running_service import command

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.running_service import RunningService

PREFIX = "INTEREST_GRAPH_TEST_FAULT_"
USUAL = {"SEED": "1", "SECONDS": "180", "COUNT": "15"}


@dataclass(frozen=True)
class Campaign:
    """How a run is done.

    Args:
        seed: Of load and faults.
        seconds: How long faults happen.
        count: How many happen at least.
        bug: A bug of `tests.faults.planted`, to see that it is found.
    """

    seed: int
    seconds: float
    count: int
    bug: str | None = None

    @classmethod
    def from_environment(cls) -> Self:
        """What `INTEREST_GRAPH_TEST_FAULT_SEED`, `…_SECONDS` and `…_COUNT` say."""
        named = {name: os.environ.get(f"{PREFIX}{name}", usual) for name, usual in USUAL.items()}
        return cls(int(named["SEED"]), float(named["SECONDS"]), int(named["COUNT"]))

    @property
    def limit_s(self) -> float:
        """Seconds after which a run hangs."""
        return self.seconds * 3 + 600


def run_campaign(service: RunningService, campaign: Campaign) -> None:
    """Load and faults, then every check.

    Raises:
        AssertionError: A check does not hold.
    """
    prefix = f"chaos-{uuid.uuid4().hex[:6]}"
    made = command(service.paths.data_dir, "key", "create", "--scope", "admin", "--json")
    version = str(service.redis.hget("ig:manifest", "model_version"), "utf-8")
    first = service.settings.models_dir / version.removesuffix("b")
    models = [first, copy_model(first)]
    stop(service.paths, [TRAINING], grace_s=20)
    service.redis.delete("ig:dead")
    rebuilder(service)()  # what an earlier run with a bug has spoiled is not this one's
    try:
        _run(service, campaign, prefix, json.loads(made)["key"], models)
    finally:
        service.redis.delete("ig:dead")


def _run(
    service: RunningService, campaign: Campaign, prefix: str, key: str, models: list[Path]
) -> None:
    """The run on a stack that is ready."""
    with SupervisedStack(service, campaign.bug) as stack:
        load = Load(
            service.url,
            key,
            service.settings.log_url,
            prefix,
            popular_items(service),
            {directory.name for directory in models},
            campaign.seed,
        )
        faults = Faults(stack, tolerant(swapper(service, models)), tolerant(rebuilder(service)))
        service.wait(lambda: stack.all_run() and reachable(service), "every process to answer")
        load.start()
        try:
            faults.run(campaign.seconds, campaign.count, campaign.seed)
        finally:
            faults.heal()
            load.stop()
        service.wait(lambda: stack.all_run() and reachable(service), "every process to answer")
        report(campaign, load, faults)
        wait_until_quiet(service)
        check_answers(load.ledger, faults.happened)
        check_facts(service, prefix, load.ledger)
        check_dead_letters(service, load.ledger)
        check_histories(service)
        check_revisions(service)
        check_interests(service, load.users())
        assert not stack.errors
        assert len(faults.happened) >= campaign.count


def reachable(service: RunningService) -> bool:
    """Whether Neo4j, Redis and the API answer."""
    try:
        service.driver.verify_connectivity()
        return bool(service.redis.ping()) and answers(service.settings.api_port)
    except (DriverError, Neo4jError, RedisError):
        return False


def popular_items(service: RunningService) -> list[str]:
    """The catalogue's items, the most popular first."""
    rows = service.graph(
        """MATCH (i:Item {known: true}) WHERE i.hidden = false
        RETURN i.item_id AS id ORDER BY i.event_count DESC, id LIMIT 300"""
    )
    return [row["id"] for row in rows]


def swapper(service: RunningService, directories: list[Path]) -> Callable[[], None]:
    """Rolls out the models in turn."""
    turn = iter(range(1, 1_000_000))

    def swap() -> None:
        directory = directories[next(turn) % len(directories)]
        with closing(build_services(service.settings)) as services:
            encoder = ItemEncoder.load(directory)
            roll_out(directory, {}, encoder, services.graph, services.serving, services.settings)

    return swap


def rebuilder(service: RunningService) -> Callable[[], None]:
    """Rebuilds the serving state."""

    def rebuild() -> None:
        with closing(build_services(service.settings)) as services:
            ServingRebuild(services.graph, services.log, services.events, services.settings).run()

    return rebuild


def tolerant(work: Callable[[], None]) -> Callable[[], None]:
    """An operator's command may fail while a server is away; it must do no harm then."""

    def run() -> None:
        try:
            work()
        except InterestGraphError as error:
            sys.stderr.write(f"{error}\n")

    return run


def report(campaign: Campaign, load: Load, faults: Faults) -> None:
    """Say what happened, for who reads the log of a run."""
    ledger = load.ledger
    sys.stderr.write(
        f"\nseed {campaign.seed}: {len(ledger.accepted)} events, {dict(ledger.counts)}\n"
    )
    ends = [one.began for one in faults.happened[1:]] + [math.inf]
    for one, end in zip(faults.happened, ends, strict=True):
        errors = sum(one.began <= at < end for at, _, _ in ledger.server_errors)
        lost = sum(one.began <= at < end for at in ledger.unanswered)
        sys.stderr.write(f"  {one.name}: until the next {errors} errors, {lost} unanswered\n")
