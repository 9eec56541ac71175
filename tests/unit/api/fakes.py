"""The core's ports in memory, as small as the API's tests allow."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from api.app import create_app
from interest_graph.accepted import Accepted, Status
from interest_graph.api_key import ApiKey
from interest_graph.documents import Document, Page
from interest_graph.errors import InterestGraphError, NotFoundError
from interest_graph.explain import Contribution, Edge, Explanation, Node
from interest_graph.lease import Lease
from interest_graph.recommendation import Asked, Query, Recommendations, RecommendedItem, WhyEmpty
from interest_graph.serving_state import Manifest
from interest_graph.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flask.testing import FlaskClient

    from interest_graph.api_key import ApiKeyStore
    from interest_graph.dead_letters import DeadLetter
    from interest_graph.services import Services

NOBODY = "redis://127.0.0.1:1/0"
"""Where no Redis answers."""


@dataclass
class FakeKeys:
    """A key per scope, whose token is `ig-<scope>`."""

    error: InterestGraphError | None = None

    def verify(self, token: str) -> ApiKey | None:
        """As ApiKeyStore."""
        if self.error:
            raise self.error
        scope = token.removeprefix("ig-")
        if scope not in {"events:write", "catalog:write", "read", "admin"}:
            return None
        return ApiKey(scope.replace(":", "-"), scope, frozenset({scope}), "", "")

    def recall(self, token: str) -> ApiKey | None:
        """As ApiKeyStore."""
        return self.verify(token)

    def check(self, token: str) -> str:
        """As ApiKeyStore."""
        return token


@dataclass
class FakeEvents:
    """Accepts everything once."""

    error: InterestGraphError | None = None
    sent: dict[str, Any] = field(default_factory=dict)

    keys: list[object] = field(default_factory=list)

    def accept(self, events: list[Any], key: object = None) -> Accepted:
        """As EventStream; remembers by which keys."""
        self.keys.append(key)
        self.length()
        statuses, flags = [], []
        for event in events:
            known = self.sent.setdefault(event.event_id, event)
            same = known.body_hash == event.body_hash
            status = Status.ACCEPTED if known is event else Status.DUPLICATE
            statuses.append(status if same else Status.CONFLICT)
            flags.append((event.flagged or "") if statuses[-1] is Status.ACCEPTED else "")
        ids = tuple(event.event_id for event in events)
        return Accepted(ids, tuple(statuses), len(self.sent), tuple(flags))

    def length(self) -> int:
        """As EventStream."""
        if self.error:
            raise self.error
        return len(self.sent)

    def lengths(self) -> list[int]:
        """As EventStream."""
        return [self.length(), 0]

    def leases(self) -> dict[int, Lease]:
        """As EventStream: one of two partitions has an owner."""
        return {0: Lease("host-1", 9.0), 1: Lease("host-2", 0.0)}

    def dead_letters(self) -> int:
        """As EventStream."""
        return 0


class FakeDeadLetters:
    """Dead letters in a list."""

    def __init__(self) -> None:
        self.letters: list[DeadLetter] = []
        self.replayed: list[DeadLetter] = []

    def page(self, limit: int, after: str | None = None) -> list[DeadLetter]:
        """As DeadLetters."""
        later = [one for one in self.letters if after is None or one.letter_id > after]
        return later[:limit]

    def get(self, letter_id: str) -> DeadLetter:
        """As DeadLetters."""
        for letter in self.letters:
            if letter.letter_id == letter_id:
                return letter
        raise NotFoundError(letter_id)

    def replay(self, letter_ids: list[str]) -> int:
        """As DeadLetters."""
        self.replayed += [self.get(letter_id) for letter_id in letter_ids]
        return self.drop(letter_ids)

    def drop(self, letter_ids: list[str]) -> int:
        """As DeadLetters."""
        before = len(self.letters)
        self.letters = [one for one in self.letters if one.letter_id not in letter_ids]
        return before - len(self.letters)


class FakeDocuments:
    """Documents of one kind in a dictionary."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.documents: dict[str, Document] = {}
        self.error: InterestGraphError | None = None
        self.revision = 0

    def put(self, documents: list[Document]) -> int:
        """As Documents."""
        if self.error:
            raise self.error
        for document in documents:
            self.documents[document[f"{self.kind}_id"]] = document
        self.revision += 1
        return self.revision

    def get(self, identifier: str) -> Document:
        """As Documents."""
        if identifier not in self.documents:
            raise NotFoundError(identifier)
        return dict(self.documents[identifier])

    def patch(self, identifier: str, change: Callable[[Document], Document]) -> Document:
        """As Documents."""
        self.documents[identifier] = change(self.get(identifier))
        return self.documents[identifier]

    def delete(self, identifier: str) -> int:
        """As Documents."""
        self.get(identifier)
        del self.documents[identifier]
        self.revision += 1
        return self.revision

    def page(self, limit: int, after: str | None = None) -> Page:
        """As Documents."""
        ids = [identifier for identifier in sorted(self.documents) if identifier > (after or "")]
        shown = [self.documents[identifier] for identifier in ids[:limit]]
        return Page(shown, ids[limit - 1] if len(ids) > limit else None)


class FakeRecommender:
    """Always the same list."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.asked: list[tuple[str, Query]] = []
        self.items = [RecommendedItem("lamp", "Lamp", 1.5, "personal")]

    def recommend(self, user_id: str, query: Query, _rider: object) -> Recommendations:
        """As Recommender."""
        if self.error:
            raise self.error
        self.asked.append((user_id, query))
        why = None if self.items else WhyEmpty(40, 0, 40, 0)
        return Recommendations("rec-1", "m-1", 7, self.items, why)

    def recommend_each(self, asked: Sequence[Asked]) -> list[Recommendations | InterestGraphError]:
        """As Recommender."""
        if isinstance(self.error, InterestGraphError):
            return [self.error for _ in asked]
        return [self.recommend(one.user_id, one.query, one.rider) for one in asked]

    def popular(self, _k: int, _category: str | None = None) -> list[RecommendedItem]:
        """As Recommender."""
        if self.error:
            raise self.error
        return self.items

    def similar(self, _item_id: str, _k: int) -> list[RecommendedItem]:
        """As Recommender."""
        return self.items


class FakeExplainer:
    """Explains the lamp by one event."""

    def explain(self, user_id: str, item_id: str, recommendation_id: str | None) -> Explanation:
        """As Explainer."""
        nodes = (Node("User", user_id), Node("Item", "bulb", "Bulb"), Node("Item", item_id))
        edges = (Edge("PURCHASED", "e-1"), Edge("SIMILAR_TO", weight=0.5))
        term = Contribution("item_graph", 0.25, 1.0, nodes, edges, "2026-01-01T00:00:00+00:00")
        bias = Contribution("popularity", 1.0, 0.5, (nodes[2],), ())
        return Explanation(
            user_id, item_id, "m-1", 7, recommendation_id, 1.5, [term, bias], "You bought Bulb."
        )


class FakeLog:
    """A Redis that is set up as the log's must be."""

    def __init__(self) -> None:
        self.configuration = {
            "appendonly": "yes",
            "appendfsync": "always",
            "maxmemory-policy": "noeviction",
            "no-appendfsync-on-rewrite": "no",
        }

    def config_get(self, name: str) -> dict[str, str]:
        """As redis.Redis."""
        return {name: self.configuration[name]}


@dataclass
class FakeServing:
    """A manifest."""

    error: InterestGraphError | None = None

    def head(self) -> tuple[Manifest | None, int]:
        """As ServingState."""
        if self.error:
            raise self.error
        return Manifest("m-1", 3), 5


@dataclass
class FakeGraph:
    """Answers every read with the same rows."""

    error: InterestGraphError | None = None
    rows: list[dict[str, Any]] = field(default_factory=list)

    def read(self, _work: object) -> list[dict[str, Any]]:
        """As GraphStore."""
        if self.error:
            raise self.error
        return self.rows

    def run_alone(self, _path: str) -> list[dict[str, Any]]:
        """As GraphStore."""
        return self.read(None)


@dataclass
class FakeServices:
    """Stands for the core's Services."""

    settings: Settings = field(default_factory=lambda: Settings(log_url=NOBODY))
    keys: FakeKeys = field(default_factory=FakeKeys)
    log: FakeLog = field(default_factory=FakeLog)
    events: FakeEvents = field(default_factory=FakeEvents)
    dead_letters: FakeDeadLetters = field(default_factory=FakeDeadLetters)
    items: FakeDocuments = field(default_factory=lambda: FakeDocuments("item"))
    users: FakeDocuments = field(default_factory=lambda: FakeDocuments("user"))
    recommender: FakeRecommender = field(default_factory=FakeRecommender)
    explainer: FakeExplainer = field(default_factory=FakeExplainer)
    serving: FakeServing = field(default_factory=FakeServing)
    graph: FakeGraph = field(default_factory=FakeGraph)

    def client(self) -> FlaskClient:
        """A client of an application on these fakes."""
        app = create_app(cast("Services", self), cast("ApiKeyStore", self.keys))
        return app.test_client()
