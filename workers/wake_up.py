"""Wake-ups: Celery messages that say "look at these nodes". Losing one changes no result."""

from __future__ import annotations

from typing import TYPE_CHECKING

import redis
import structlog
from kombu.exceptions import OperationalError

from interest_graph.graph import reads
from interest_graph.redis_client import connect

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from celery import Celery

    from interest_graph.graph.store import GraphStore
    from interest_graph.serving_state import Manifest, ServingState
    from interest_graph.settings import Settings

REFRESH_USERS = "interest_graph.refresh_users"
REFRESH_ITEMS = "interest_graph.refresh_items"
FINISH_ROLL_OUT = "interest_graph.finish_roll_out"
REFRESH_QUEUE = "refresh"
TRAINING_QUEUE = "training"
MAX_QUEUED = 200
MAX_SWEPT = 4096

logger = structlog.get_logger(__name__)


class WakeUps:
    """Sends wake-ups, unless so many wait already that more would only say the same again."""

    def __init__(self, app: Celery, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        self._broker = connect(settings.broker_url, settings)

    def send(self, user_ids: Iterable[str], item_ids: Iterable[str]) -> None:
        """Wake update workers for these nodes; a broker that is away is no error."""
        try:
            if self.queued() >= MAX_QUEUED:
                return
            # Users first: theirs is the change that somebody watches, and it is quick.
            for name, ids in ((REFRESH_USERS, user_ids), (REFRESH_ITEMS, item_ids)):
                for chunk in _chunks(sorted(ids), self._settings.refresh_batch):
                    self._app.send_task(name, args=[chunk], queue=REFRESH_QUEUE)
        except (redis.RedisError, OperationalError, OSError) as error:
            logger.warning("wake_up_not_sent", error=type(error).__name__)

    def sweep(self, graph: GraphStore) -> None:
        """Wake update workers for what has stayed stale, when their queue is empty."""
        try:
            if self.queued():
                return
        except redis.RedisError:
            return
        self.send(
            graph.read(lambda tx: reads.list_stale_users(tx, MAX_SWEPT)),
            graph.read(lambda tx: reads.list_stale_items(tx, MAX_SWEPT)),
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


def _chunks(ids: Sequence[str], size: int) -> Iterable[list[str]]:
    """Lists of at most `size` ids."""
    return (list(ids[start : start + size]) for start in range(0, len(ids), size))
