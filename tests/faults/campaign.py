"""One run of the fault test: load, faults, healing, and what there is to check afterwards."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
import uuid
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from neo4j.exceptions import DriverError, Neo4jError
from redis.exceptions import RedisError

from cli.local_stack.ports import answers
from cli.local_stack.process import stop
from cli.local_stack.programs import TRAINING
from interest_graph.errors import InterestGraphError, TransientError
from interest_graph.rebuild import ServingRebuild
from interest_graph.roll_out import roll_out
from interest_graph.services import build_services
from models.item_encoder import ItemEncoder
from tests.faults.checks import (
    check_accepted_once,
    check_answers,
    check_dead_letters,
    check_documents,
    check_facts,
    check_histories,
    check_interests,
    check_revisions,
    wait_until_quiet,
)
from tests.faults.faults import Faults
from tests.faults.load import Load
from tests.faults.outcome import Outcome, cost_of
from tests.faults.second_model import copy_model
from tests.faults.supervised_stack import SupervisedStack
from tests.running_service import command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.running_service import RunningService

SAMPLE_S = 0.5
CALM_S = 30.0
"""How long the load goes on after the last fault."""
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


def run_campaign(service: RunningService, campaign: Campaign) -> Outcome:
    """Load and faults, then every check; what does not hold is in the outcome."""
    prefix = f"chaos-{uuid.uuid4().hex[:6]}"
    made = command(service.paths.data_dir, "key", "create", "--scope", "admin", "--json")
    version = str(service.redis.hget("ig:manifest", "model_version"), "utf-8")
    first = service.settings.models_dir / version.removesuffix("b")
    models = [first, copy_model(first)]
    stop(service.paths, [TRAINING], grace_s=20)
    service.redis.delete("ig:dead")
    rebuilder(service)()  # what an earlier run with a bug has spoiled is not this one's
    try:
        return _run(service, campaign, prefix, json.loads(made)["key"], models)
    finally:
        service.redis.delete("ig:dead")


def _run(
    service: RunningService, campaign: Campaign, prefix: str, key: str, models: list[Path]
) -> Outcome:
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
        with watched_log(service) as backlog:
            load.start()
            try:
                faults.run(campaign.seconds, campaign.count, campaign.seed, tell)
                faults.heal()
                # A swap makes everybody stale and with it good what was missed: the last fault may
                # be one, and what is missed after it must be found too.
                time.sleep(CALM_S)
            finally:
                faults.heal()
                load.stop()
            service.wait(lambda: stack.all_run() and reachable(service), "every process to answer")
            healed = time.monotonic()
            failed = failures({"backlog": lambda: wait_until_quiet(service)})
            drained_s = time.monotonic() - healed
        failed |= failures(
            {
                "answers": lambda: check_answers(load.ledger, faults.begun),
                "accepted once": lambda: check_accepted_once(load.ledger),
                "facts": lambda: check_facts(service, prefix, load.ledger),
                "dead letters": lambda: check_dead_letters(service, load.ledger),
                "histories": lambda: check_histories(service),
                "documents": lambda: check_documents(service.redis, service.graph),
                "revisions": lambda: check_revisions(service),
                "interests": lambda: check_interests(service, load.users()),
                "processes": lambda: check_processes(stack, faults, campaign.count),
            }
        )
    ledger = load.ledger
    return Outcome(
        campaign.seed,
        campaign.seconds,
        len(ledger.accepted),
        dict(ledger.counts),
        [cost_of(one, ledger, backlog) for one in faults.happened],
        drained_s,
        failed,
    )


def failures(checks: dict[str, Callable[[], object]]) -> dict[str, str]:
    """By name of the check what does not hold."""
    failed = {}
    for name, check in checks.items():
        try:
            check()
        except AssertionError as error:
            failed[name] = str(error)
    return failed


def check_processes(stack: SupervisedStack, faults: Faults, count: int) -> None:
    """Every process could be started again, and enough went wrong."""
    assert not stack.errors, stack.errors
    assert len(faults.happened) >= count


@contextlib.contextmanager
def watched_log(service: RunningService) -> Iterator[list[tuple[float, int]]]:
    """When the log had how many entries, sampled while this lasts."""
    samples: list[tuple[float, int]] = []
    done = threading.Event()

    def watch() -> None:
        with closing(build_services(service.settings)) as services:
            while not done.wait(SAMPLE_S):
                with contextlib.suppress(InterestGraphError, RedisError):
                    samples.append((time.time(), services.events.length()))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield samples
    finally:
        done.set()
        thread.join()


def tell(name: str) -> None:
    """Say which fault begins."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {name}\n")


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
            while True:  # until then update workers write nothing, as an operator is told
                try:
                    roll_out(
                        directory, {}, encoder, services.graph, services.serving, services.settings
                    )
                except TransientError as error:
                    sys.stderr.write(f"the swap is tried again: {error}\n")
                    time.sleep(1)
                else:
                    return

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
