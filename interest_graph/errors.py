"""The exceptions of Interest Graph.

```
InterestGraphError
├── NotFoundError                 the user, item or answer does not exist
├── ExpiredError                  it existed, and can no longer be had
├── ConflictError                 the same id was sent before with another body
├── RevokedKeyError               the key of a request was taken back meanwhile
├── InvalidInputError             the caller's input is at fault; names every fault
│   └── InvalidEventError
├── TransientError                trying again later may help; the only class workers retry on
│   ├── GraphUnavailableError     Neo4j
│   │   └── GraphOverloadedError  a transaction took too much memory or time; a smaller one may not
│   ├── StreamUnavailableError    the log in Redis
│   │   └── StreamFullError       the log is at its bound; says when to come back
│   ├── LeaseLostError            a partition of the log has another owner by now
│   ├── RollOutUnderWayError      somebody else is rolling out a model
│   └── ServingStateUnavailableError
│       └── DeltaGoneError        a delta of the item matrix is kept no longer
├── ModelNotReadyError            no model has been published yet
├── CheckpointError               a model directory is missing, damaged or of another format
├── SchemaError                   a newer version of this program has migrated the graph
├── BackupError                   a backup cannot be made, or cannot be read
├── PoisonError                   an entry can never be brought into the graph
├── LostRowsError                 a statement wrote fewer rows than it was given
└── SettingsError                 the settings contradict each other or the servers
```
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class InterestGraphError(Exception):
    """Anything that Interest Graph raises on purpose."""


class NotFoundError(InterestGraphError):
    """What was asked for does not exist."""


class ExpiredError(InterestGraphError):
    """What was asked for existed once and is kept no longer."""


class ConflictError(InterestGraphError):
    """The same id was sent before with another body."""


class RevokedKeyError(InterestGraphError):
    """The key of a request was taken back."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with an input.

    Args:
        field: The name of the field, dotted below the top (`properties.colour`).
        reason: What is wrong with it, in one sentence.
        pointer: JSON pointer (RFC 6901) to the value in the request's body.
    """

    field: str
    reason: str
    pointer: str = ""


class InvalidInputError(InterestGraphError):
    """The caller's input is at fault. `faults` lists everything that is wrong with it."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(f"{fault.field}: {fault.reason}" for fault in self.faults))


class InvalidEventError(InvalidInputError):
    """An event is at fault."""


class TransientError(InterestGraphError):
    """Trying again later may help."""


class GraphUnavailableError(TransientError):
    """Neo4j does not answer."""


class GraphOverloadedError(GraphUnavailableError):
    """A transaction took more memory or time than Neo4j has; a smaller one may not."""


class StreamUnavailableError(TransientError):
    """The log does not answer; nothing was accepted."""


class StreamFullError(StreamUnavailableError):
    """The log is at its bound; nothing was accepted."""

    def __init__(self, retry_after_s: int) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(f"the event log is full; try again in {retry_after_s} s")


class RollOutUnderWayError(TransientError):
    """Somebody else is rolling out a model."""

    def __init__(self) -> None:
        super().__init__("another roll-out is under way")


class LeaseLostError(TransientError):
    """Partitions of the log have another owner by now; what was to be written was not."""

    def __init__(self, partitions: Sequence[int]) -> None:
        self.partitions = tuple(partitions)
        super().__init__(f"partitions {self.partitions} have another owner")


class ServingStateUnavailableError(TransientError):
    """The serving state does not answer."""


class DeltaGoneError(ServingStateUnavailableError):
    """A delta of the item matrix is kept no longer."""


class ModelNotReadyError(InterestGraphError):
    """No model has been published yet."""


class CheckpointError(InterestGraphError):
    """A model directory is missing, damaged or of another format."""


class SchemaError(InterestGraphError):
    """A newer version of this program has migrated the graph."""


class BackupError(InterestGraphError):
    """A backup cannot be made, or is missing, damaged or of another format."""


class PoisonError(InterestGraphError):
    """An entry can never be brought into the graph; it goes to the dead letters."""


class LostRowsError(InterestGraphError):
    """A statement wrote fewer rows than it was given, so nothing may be acknowledged."""


class SettingsError(InterestGraphError):
    """The settings contradict each other or what the servers say."""
