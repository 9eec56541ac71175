"""Where rows go: events into the log, items and users into the catalogue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

from pydantic import ValidationError

from interest_graph.errors import InvalidInputError
from interest_graph.event import Event, EventInput, parse_event
from interest_graph.field_types import faults_of
from interest_graph.item import ItemInput
from interest_graph.user import UserInput

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from interest_graph.documents import Documents
    from interest_graph.event_stream import EventStream
    from interest_graph.services import Services
    from interest_graph.settings import Settings

Kind = Literal["items", "users", "events"]
Parsed = TypeVar("Parsed")


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a batch.

    Args:
        new: Rows taken.
        duplicates: Rows that had been taken before.
        rejected: Position in the batch and reason of every row that was not taken.
    """

    new: int
    duplicates: int = 0
    rejected: tuple[tuple[int, str], ...] = ()


class Sink(Protocol[Parsed]):
    """Takes rows of one kind."""

    @property
    def fields(self) -> Collection[str]:
        """The fields that a row of this kind may have."""

    def parse(self, body: dict[str, Any]) -> Parsed:
        """Validate one row.

        Raises:
            InvalidInputError: Names every fault.
        """

    def write(self, batch: Sequence[Parsed]) -> Written:
        """Take a batch.

        Raises:
            StreamFullError: The log is at its bound; the batch can be written again later.
            StreamUnavailableError: Redis does not answer; writing again is safe.
        """


class EventSink:
    """Events, accepted as the REST API accepts them."""

    fields: Collection[str] = tuple(EventInput.model_fields)

    def __init__(self, events: EventStream, settings: Settings) -> None:
        self._events = events
        self._settings = settings

    def parse(self, body: dict[str, Any]) -> Event:
        """Validate one event."""
        return parse_event(body, self._settings)

    def write(self, batch: Sequence[Event]) -> Written:
        """Accept a batch."""
        accepted = self._events.accept(batch)
        rejected = tuple(
            (index, f"{fault.field}: {fault.reason}") for index, fault in accepted.rejected
        )
        return Written(accepted.accepted, accepted.duplicates, rejected)


class DocumentSink:
    """Items or users, put as the REST API puts them."""

    def __init__(self, documents: Documents, model: type[ItemInput | UserInput]) -> None:
        self._documents = documents
        self._model = model
        self.fields: Collection[str] = tuple(model.model_fields)

    def parse(self, body: dict[str, Any]) -> dict[str, Any]:
        """Validate one item or user."""
        try:
            return self._model.model_validate(body).document
        except ValidationError as error:
            raise InvalidInputError(faults_of(error)) from error

    def write(self, batch: Sequence[dict[str, Any]]) -> Written:
        """Insert or replace a batch."""
        self._documents.put(batch)
        return Written(len(batch))


def sink_of(kind: Kind, services: Services) -> Sink[Any]:
    """The sink for a kind of rows."""
    if kind == "items":
        return DocumentSink(services.items, ItemInput)
    if kind == "users":
        return DocumentSink(services.users, UserInput)
    return EventSink(services.events, services.settings)
