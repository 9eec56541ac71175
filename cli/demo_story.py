"""What the demo shows: a list with reasons, one event, the changed list, the graph."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cypher.statement import load
from interest_graph.graph.reads import fetch_user_revisions

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from interest_graph.services import Services

    from .api_client import ApiClient
    from .demo_choice import Choice
    from .local_stack.status import Status

K = 8
REASONS = 5
FOLLOW_S = 30.0
POLL_S = 0.02
EVENT_TYPE = "purchase"


@dataclass(frozen=True, slots=True)
class Told:
    """What the story left behind.

    Args:
        user_id: Whom it was about.
        event_id: The event that was sent.
        item_id: The item on top of the list afterwards.
    """

    user_id: str
    event_id: str
    item_id: str


class StoryTeller:
    """Tells the story with the real API and the real graph.

    Args:
        client: Calls the API as a shop would.
        services: To look into the histories and the graph from outside the API.
        choice: Whom it is about, and what happens.
    """

    def __init__(self, client: ApiClient, services: Services, choice: Choice) -> None:
        self._client = client
        self._services = services
        self._user_id = choice.user_id
        self._choice = choice
        self._console = Console(highlight=False)
        self._lists = f"/v1/users/{choice.user_id}/recommendations"

    def tell(self) -> Told:
        """Show the list, its reasons, one event and what it changed."""
        say = self._console.print
        before = self._client.get(f"{self._lists}?k={K}")
        self._console.rule(f"[bold]What should {self._user_id} see now?")
        say(_list(before["items"]))
        self._explain(before["items"][0]["item_id"], before["recommendation_id"])
        surprise = self._client.get(f"/v1/items/{self._choice.item_id}")
        title = escape(surprise.get("title", surprise["item_id"]))
        self._console.rule(f"[bold]One event: {self._user_id} buys {title}, for the first time")
        revision = self._facts_revision()
        began = time.perf_counter()
        event_id = str(self._client.post("/v1/events", asdict(self._choice))["event_ids"][0])
        accepted = time.perf_counter() - began
        after = self._client.get(f"{self._lists}?k={K}")
        listed = time.perf_counter() - began
        say(_list(after["items"], {item["item_id"] for item in before["items"]}))
        fresh = [item for item in after["items"] if _is_because(item, event_id)]
        if fresh:
            self._explain(fresh[0]["item_id"], after["recommendation_id"])
        in_graph, refreshed = self._follow(revision, began)
        say(
            f"\nSafe on disk after [bold]{_duration(accepted)}[/]; the changed list after "
            f"[bold]{_duration(listed)}[/]; a fact in the graph after [bold]{in_graph}[/]; "
            f"its interests recomputed there after [bold]{refreshed}[/]."
        )
        return Told(self._user_id, event_id, after["items"][0]["item_id"])

    def _explain(self, item_id: str, recommendation_id: str) -> None:
        """Why one item is in a list: the largest terms of its score."""
        path = f"{self._lists}/{item_id}/explanation?recommendation_id={recommendation_id}"
        found = self._client.get(path)
        terms = found["contributions"]
        drawn = Table("adds", "kind", "by way of", box=None, header_style="dim", padding=(0, 2))
        for term in terms[:REASONS]:
            drawn.add_row(f"{term['amount']:+.3f}", term["kind"], escape(_path(term["path"])))
        if rest := terms[REASONS:]:
            amount = sum(term["amount"] for term in rest)
            drawn.add_row(f"{amount:+.3f}", f"{len(rest)} more", "")
        total = sum(term["amount"] for term in terms)
        self._console.print(f"\n[bold]Why?[/] {escape(found['sentence'])}")
        self._console.print(drawn)
        self._console.print(f"  [dim]sum {total:.6f}, score {found['score']:.6f}[/]\n")

    def _facts_revision(self) -> int:
        """How many facts of the household the graph has taken."""
        return self._revisions()[0]

    def _revisions(self) -> tuple[int, int]:
        """(facts_revision, refreshed_revision) of the household."""
        user_ids = [self._user_id]
        rows = self._services.graph.read(lambda tx: fetch_user_revisions(tx, user_ids))
        row = rows.get(self._user_id, {})
        return int(row.get("facts_revision") or 0), int(row.get("refreshed_revision") or 0)

    def _follow(self, revision: int, began: float) -> tuple[str, str]:
        """When the event was in the graph, and when the interests there followed."""
        in_graph = refreshed = f"more than {FOLLOW_S:.0f} s"
        seen = False
        while time.perf_counter() - began < FOLLOW_S:
            facts, done = self._revisions()
            if facts > revision and not seen:
                in_graph, seen = _duration(time.perf_counter() - began), True
            if done > revision:
                refreshed = _duration(time.perf_counter() - began)
                break
            time.sleep(POLL_S)
        return in_graph, refreshed


def show_ways_on(told: Told, status: Status, client: ApiClient) -> None:
    """Print the Cypher, the addresses, the key, and lines to copy."""
    console = Console(highlight=False, soft_wrap=True)
    console.rule("[bold]See it in the graph")
    query = load("analyst/follow_event").text
    body = "\n".join(line for line in query.splitlines() if not line.startswith("//"))
    console.print(f":param user_id => '{told.user_id}'; :param event_id => '{told.event_id}';")
    console.print(escape(body))
    console.rule("[bold]Go on from here")
    call = f'curl -s -H "Authorization: Bearer {client.key}"'
    url = f"{client.url}/v1/users/{told.user_id}/recommendations"
    event = f'{{"user_id":"{told.user_id}","item_id":"{told.item_id}","event_type":"click"}}'
    send = f"-H 'Content-Type: application/json' -d '{event}' {client.url}/v1/events"
    browser = status.browser_url or status.neo4j_uri
    lines = (
        f"API and its pages  {client.url}/docs",
        f"Graph browser      {browser} (user neo4j; interest-graph config show --reveal)",
        f"Bolt               {status.neo4j_uri}",
        f"Key                {client.key}",
        "",
        f"{call} '{url}?k=5'",
        f"{call} {send} && {call} '{url}?k=5'",
        f"{call} '{url}/{told.item_id}/explanation'",
    )
    for line in lines:
        console.print(escape(line))


def _list(items: Sequence[dict[str, Any]], known: Collection[str] = ()) -> Table:
    """A list of recommendations; items that are not among `known` are marked."""
    drawn = Table("", "item", "score", "because of", box=None, header_style="dim", padding=(0, 2))
    for place, item in enumerate(items, start=1):
        because = item.get("because") or {}
        fresh = bool(known) and item["item_id"] not in known
        title = escape(item.get("title") or item["item_id"])
        drawn.add_row(
            str(place),
            f"[bold green]{title}  ← new[/]" if fresh else title,
            f"{item['score']:.3f}",
            escape(because.get("title") or because.get("item_id") or item["chosen"]),
        )
    return drawn


def _is_because(item: dict[str, Any], event_id: str) -> bool:
    """Whether an event contributes most to an item."""
    return (item.get("because") or {}).get("event_id") == event_id


def _path(path: dict[str, Any]) -> str:
    """A path of the graph as a line."""
    nodes, edges = path["nodes"], path["edges"]
    parts = [str(nodes[0]["name"] or nodes[0]["id"])] if nodes else []
    for index, node in enumerate(nodes[1:]):
        edge = f"-{edges[index]['type']}->" if index < len(edges) else "~"
        parts.append(f"{edge} {node['name'] or node['id']}")
    return " ".join(parts)


def _duration(seconds: float) -> str:
    """A time as people say it."""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
