"""What no file of a running stack holds, whatever was sent and whatever went wrong."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest
import requests
from neo4j import GraphDatabase
from neo4j.exceptions import AuthError

from interest_graph import redis_client as keys
from interest_graph.api_key import key_id_of
from interest_graph.dead_letters import DeadLetters
from interest_graph.partition import partition_of
from tests.running_service import RunningService, command
from workers.celery_factory import create_celery
from workers.wake_up import REFRESH_QUEUE, REFRESH_USERS, WakeUps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from celery import Celery

    from interest_graph.dead_letters import DeadLetter

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(900)]

DATA = ("neo4j/data", "redis/appendonlydir", "settings.env", "endpoints.json")
"""What the stack is there to keep; everything else that it writes is looked into."""
LOGS = ("api", "ingest", "refresh", "training", "redis", "neo4j")
NEO4J_LOGS = ("debug", "neo4j", "query", "security", "http")


class Shop:
    """A user nobody has heard of, and who speaks for them.

    Args:
        service: The running stack.
    """

    def __init__(self, service: RunningService) -> None:
        self.service = service
        self.user = f"u-never-to-be-logged-{uuid.uuid4().hex}"
        scopes = ("--scope", "events:write", "--scope", "catalog:write", "--scope", "read")
        self.key = self._printed_key("create", *scopes)
        self.keys = [self.key]
        self.item = str(service.graph("MATCH (i:Item) RETURN i.item_id AS id LIMIT 1")[0]["id"])

    def _printed_key(self, *arguments: str) -> str:
        printed = command(self.service.paths.data_dir, "key", *arguments, "--json")
        return str(json.loads(printed)["key"])

    def rotate(self) -> None:
        """Go on with another secret."""
        key_id = key_id_of(self.key)
        assert key_id
        self.key = self._printed_key("rotate", key_id)
        self.keys.append(self.key)

    def send(self, method: str, path: str, body: Any = None, key: str = "") -> requests.Response:
        """One request of this shop's, with its key or another."""
        return requests.request(
            method,
            self.service.url + path,
            headers={"Authorization": f"Bearer {key or self.key}"},
            timeout=30,
            **({"data": body} if isinstance(body, bytes) else {"json": body}),
        )

    def event(self, **fields: Any) -> dict[str, Any]:
        """An event of the user's."""
        return {
            "user_id": self.user,
            "item_id": self.item,
            "event_type": "view",
            "session_id": self.user,
            **fields,
        }

    def put_into_log(self, kind: str, payload: Any) -> None:
        """What the API would never let in."""
        partition = partition_of(self.user, self.service.settings.log_partitions)
        fields: dict[Any, Any] = {"kind": kind, "payload": json.dumps(payload)}
        fields["revision"] = 10**9  # newer than anything that is there
        self.service.redis.xadd(keys.partition_key(partition), fields)

    def letters(self) -> list[DeadLetter]:
        """Dead letters that name the user."""
        found = DeadLetters(self.service.redis, self.service.settings).all()
        return [one for one in found if self.user in json.dumps(one.payload)]


@pytest.fixture
def shop(running_service: RunningService) -> Iterator[Shop]:
    """Such a shop; what it left is swept up, for the stack is shared."""
    shop = Shop(running_service)
    yield shop
    ids = [letter.letter_id for letter in shop.letters()]
    DeadLetters(running_service.redis, running_service.settings).drop(ids)


def use(shop: Shop, wrong: str) -> None:
    """Everything that a shop does, rightly and wrongly."""
    path, event_id = f"/v1/users/{shop.user}", f"e-{uuid.uuid4().hex}"
    sent = [shop.event(event_id=event_id), shop.event(event_type="purchase")]
    assert shop.send("POST", "/v1/events", sent).json()["accepted"] == 2
    assert (
        shop.send("POST", "/v1/events", shop.event(event_id=event_id, value=2)).status_code == 422
    )
    assert shop.send("POST", "/v1/events", shop.event(event_type=shop.user)).status_code == 422
    assert shop.send("POST", "/v1/events", json.dumps(sent).encode()[:-9]).status_code == 415
    assert shop.send("POST", "/v1/users", {"user_id": shop.user}).status_code == 200
    assert shop.send("POST", "/v1/users", {"user_id": shop.user, shop.user: 1}).status_code == 422
    assert shop.send("PATCH", path, {"properties": {"plan": shop.user}}).status_code == 200
    shop.rotate()
    found = shop.send("GET", f"{path}/recommendations?k=3").json()["items"]
    explained = f"{path}/recommendations/{found[0]['item_id']}/explanation"
    assert shop.send("GET", explained).status_code == 200
    assert shop.send("GET", f"{path}/interests").status_code == 200
    assert shop.send("GET", f"{path}/recommendations?{shop.user}={shop.key}").status_code == 422
    assert shop.send("GET", f"{path}/{shop.key}").status_code == 404
    for method, where in (("POST", "/v1/events"), ("DELETE", path), ("GET", explained)):
        assert shop.send(method, where, key=wrong).status_code == 401


def go_wrong(shop: Shop, celery: Celery) -> None:
    """Poison, what Neo4j refuses by its values, tasks that fail or nobody knows, a password."""
    shop.put_into_log("event", {**shop.event(), "event_id": "poison"})
    shop.put_into_log("event", [shop.user])
    shop.put_into_log("unheard_of", shop.event())
    nested = {"user_id": shop.user, "properties": {"a": {"b": shop.user}}}
    shop.put_into_log("user", nested)
    celery.send_task("interest_graph.unheard_of", args=[[shop.user]], queue=REFRESH_QUEUE)
    celery.send_task(REFRESH_USERS, args=[shop.user, shop.user], queue=REFRESH_QUEUE)
    auth = ("neo4j", shop.user)
    uri = shop.service.settings.neo4j_uri
    with GraphDatabase.driver(uri, auth=auth) as driver, pytest.raises(AuthError):
        driver.verify_connectivity()


def test_no_key_password_or_user_id_reaches_a_log(shop: Shop) -> None:
    """Requests of all kinds, poison, failing tasks, a deletion: no file holds any of them."""
    service = shop.service
    celery = create_celery(service.settings)
    wrong = shop.key[:-6] + "WRONG6"
    use(shop, wrong)
    service.wait_until_quiet()
    go_wrong(shop, celery)
    service.wait(lambda: len(shop.letters()) == 4, "the poison to be buried")
    service.wait(lambda: WakeUps(celery, service.settings).queued() == 0, "the tasks to be taken")
    assert shop.send("DELETE", f"/v1/users/{shop.user}").status_code == 202
    assert shop.send("POST", "/v1/events", shop.event()).status_code == 422
    service.wait_until_quiet()

    root = service.paths.data_dir
    files = [
        path
        for path in sorted(root.rglob("*"))
        if path.is_file() and not str(path.relative_to(root)).startswith(DATA)
    ]
    names = {str(path.relative_to(root)) for path in files}
    assert {f"logs/{name}.log" for name in LOGS} <= names
    assert {f"neo4j/logs/{name}.log" for name in NEO4J_LOGS} <= names
    assert "entry_buried" in service.paths.log_of("ingest").read_text()
    secrets = [part for key in [*shop.keys, wrong] for part in (key, key.split("_", 2)[2])]
    secrets += [shop.user, service.settings.neo4j_password.get_secret_value()]
    found = [
        (str(path.relative_to(root)), line[:400])
        for path in files
        for line in path.read_bytes().splitlines()
        if any(secret.encode() in line for secret in secrets)
    ]
    assert found == []
