"""Wake-ups: Celery messages that say "look at these nodes". Losing one changes no result."""

from __future__ import annotations

from typing import TYPE_CHECKING

import redis
import structlog
from kombu.exceptions import OperationalError

from interest_graph.graph import reads
from interest_graph.redis_client import connect

if TYPE_CHECKING:
    from collections.abc import Iterable

    from celery import Celery

    from interest_graph.graph.store import GraphStore
    from interest_graph.serving_state import Manifest, ServingState
    from interest_graph.settings import Settings

REFRESH_USERS = "interest_graph.refresh_users"
REFRESH_ITEMS = "interest_graph.refresh_items"
FINISH_ROLL_OUT = "interest_graph.finish_roll_out"
REFRESH_QUEUE = "refresh"
TRAINING_QUEUE = "training"
MAX_QUEUED = 2
"""Messages beyond which none is sent: what waits meanwhile goes together, the more the busier."""
MAX_WAITING = 4096
"""Ids of a kind that are kept until there is room; the others are left to the sweeper."""

logger = structlog.get_logger(__name__)


class WakeUps:
    """Sends wake-ups, a few at a time: what comes while update workers are busy is put together.

    So a batch is as large as the workers are behind, up to `refresh_batch`, and nobody waits behind
    a long queue of small ones.
    """

    def __init__(self, app: Celery, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        self._broker = connect(settings.broker_url, settings)
        # Users first: theirs is the change that somebody watches, and it is quick.
        self._waiting: dict[str, dict[str, None]] = {REFRESH_USERS: {}, REFRESH_ITEMS: {}}

    @property
    def waiting(self) -> bool:
        """Whether there are nodes that nobody was woken for yet."""
        return any(self._waiting.values())

    def send(self, user_ids: Iterable[str] = (), item_ids: Iterable[str] = ()) -> None:
        """Wake update workers for these nodes and those that wait, as far as there is room.

        A broker that is away is no error.
        """
        for ids, waiting in zip((user_ids, item_ids), self._waiting.values(), strict=True):
            room = MAX_WAITING - len(waiting)
            waiting.update(dict.fromkeys(sorted({*ids} - waiting.keys())[:room]))
        try:
            self._send_what_waits()
        except (redis.RedisError, OperationalError, OSError) as error:
            logger.warning("wake_up_not_sent", error=type(error).__name__)
            for waiting in self._waiting.values():
                waiting.clear()

    def _send_what_waits(self) -> None:
        """Fill the queue, users and items by turns, those that wait longest first."""
        room = MAX_QUEUED - self.queued() if self.waiting else 0
        while self.waiting and room > 0:
            for name, waiting in self._waiting.items():
                if batch := list(waiting)[: self._settings.refresh_batch]:
                    self._app.send_task(name, args=[batch], queue=REFRESH_QUEUE)
                    room -= 1
                    for identifier in batch:
                        del waiting[identifier]

    def sweep(self, graph: GraphStore, serving: ServingState) -> None:
        """Wake update workers for what has stayed stale, when nobody else waits.

        Before the first model is published everything is stale, and nothing can be done about it.
        """
        if serving.head()[0] is None:
            return
        try:
            if self.waiting or self.queued():
                return
        except redis.RedisError:
            return
        self.send(
            graph.read(lambda tx: reads.list_stale_users(tx, MAX_WAITING)),
            graph.read(lambda tx: reads.list_stale_items(tx, MAX_WAITING)),
        )

    def resume_roll_out(self, graph: GraphStore, serving: ServingState) -> None:
        """Have a roll-out finished whose process has died: until then nothing is refreshed."""
        in_service = graph.read(reads.fetch_model_in_service)
        if not roll_out_unfinished(in_service, serving.head()[0]) or serving.rolling_out():
            return
        try:
            if not self.queued(TRAINING_QUEUE):
                self._app.send_task(FINISH_ROLL_OUT, queue=TRAINING_QUEUE)
        except (redis.RedisError, OperationalError, OSError) as error:
            logger.warning("wake_up_not_sent", error=type(error).__name__)

    def queued(self, queue: str = REFRESH_QUEUE) -> int:
        """Messages that wait in a queue."""
        return int(self._broker.llen(queue))


def roll_out_unfinished(in_service: str | None, manifest: Manifest | None) -> bool:
    """Whether the graph names a model that is not published: a roll-out goes on, or has died."""
    return in_service is not None and (manifest is None or manifest.model_version != in_service)
