"""What looks like Cypher, Lua or a command of Redis is text, in every field of every route.

Fields and parameters come from the OpenAPI document, so that a new one is tried by itself.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from api.app import create_app, openapi_document
from tests.integration.log_reading import work_off

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask.testing import FlaskClient

    from tests.hostile.conftest import HostileShop

STRINGS = (
    "' OR 1=1 //",
    '" }) DETACH DELETE n //',
    "'}) MATCH (n) DETACH DELETE n RETURN '",
    "`) DROP CONSTRAINT user_id; //",
    "\\u0027 RETURN 1 //",
    "\\' \\\" \\` \\",
    "$user_id ${item_id} {{7*7}} %s {0}",
    "]->() SET n:Admin //",
    "x\r\nFLUSHALL\r\n*1\r\n$8\r\nFLUSHALL\r\n",
    "'] redis.call('FLUSHALL') --",
    ":auto CALL { LOAD CSV FROM 'file:///etc/passwd' AS l RETURN l }",
    "\u2028\u202e\ufeff\u0130\u0131\U0001f4a9 \x01\x7f\x1b[31m",
    "<script>alert(1)</script>",
    "../../etc/passwd\t%2e%2e%00",
    "__proto__ ",
)
DOCUMENT = openapi_document()
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]
EXAMPLES = {
    "EventInput": {"user_id": "u-inj", "item_id": "item-00", "event_type": "view"},
    "ItemInput": {},
    "UserInput": {},
    "ItemPatch": {},
    "UserPatch": {},
}
ID_OF = {"EventInput": "event_id", "ItemInput": "item_id", "UserInput": "user_id"}


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every operation of the document."""
    for path, item in DOCUMENT["paths"].items():
        for method, operation in item.items():
            yield method, path, operation


def input_model(operation: dict[str, Any]) -> str | None:
    """Name of the schema of a body."""
    if "requestBody" not in operation:
        return None
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    return str(schema.get("oneOf", [schema])[0]["$ref"].rpartition("/")[2])


def with_text(schema: dict[str, Any], text: str) -> Any:
    """A value of a schema's shape with the text wherever a string may stand; None: nowhere."""
    for choice in schema.get("anyOf", [schema]):
        if choice.get("type") == "string":
            return text
        if choice.get("type") == "array":
            inner = with_text(choice["items"], text)
            return None if inner is None else [inner]
        if choice.get("type") == "object":
            return {text[:64]: text, "list": [text, text]}
    return None


def fields_of(model: str) -> list[str]:
    """The fields of a model that can hold a string."""
    properties = SCHEMAS[model]["properties"]
    return [name for name, schema in properties.items() if with_text(schema, "") is not None]


BODIES = [
    (method, path, model, field)
    for method, path, operation in operations()
    if (model := input_model(operation))
    for field in fields_of(model)
]
PARAMETERS = [
    (method, path, parameter["in"], parameter["name"])
    for method, path, operation in operations()
    for parameter in operation.get("parameters", ())
]
LABELS = {
    "User",
    "Item",
    "Category",
    "Brand",
    "Model",
    "ErasedUser",
    "SchemaMigration",
    "Partition",
}
KNOWN = {"user_id": "u-1", "item_id": "item-00", "letter_id": "1-0"}


@pytest.fixture(scope="module")
def client(hostile_shop: HostileShop) -> FlaskClient:
    made = create_app(hostile_shop.services).test_client()
    made.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {hostile_shop.keys['admin']}"
    return made


@pytest.fixture(scope="module")
def schema_before(hostile_shop: HostileShop) -> list[str]:
    """Constraints and indexes before anything was tried."""
    return schema_of(hostile_shop)


def schema_of(shop: HostileShop) -> list[str]:
    """Constraints and indexes of the graph."""
    rows = rows_of(shop, "SHOW CONSTRAINTS YIELD name") + rows_of(shop, "SHOW INDEXES YIELD name")
    return sorted(row["name"] for row in rows)


def rows_of(shop: HostileShop, text: str, **parameters: Any) -> list[dict[str, Any]]:
    """Rows of a query of the test's own."""
    found: list[dict[str, Any]] = shop.services.graph.read(
        lambda tx: tx.run(text, parameters).data()
    )
    return found


def is_plain_text(model: str, field: str) -> bool:
    """Whether a field takes any text: its schema has neither pattern, format nor list of values."""
    schema = SCHEMAS[model]["properties"][field]
    choices = json.dumps(schema.get("anyOf", [schema]))
    return not any(word in choices for word in ('"pattern"', '"format"')) and field != "event_type"


def ingest_all(shop: HostileShop) -> None:
    """Bring what was accepted into the graph, as the ingest worker does."""
    events = shop.services.events
    work_off(events, shop.services.graph, shop.settings)
    assert events.length() == 0
    assert events.dead_letters() == 0


@pytest.mark.parametrize(("method", "path", "model", "field"), BODIES)
def test_a_body_with_statements_in_it_is_text(
    client: FlaskClient,
    hostile_shop: HostileShop,
    schema_before: list[str],
    method: str,
    path: str,
    model: str,
    field: str,
) -> None:
    """Refused with the field's name, or kept and returned exactly as it was, in the graph too."""
    kept: dict[str, Any] = {}
    for number, text in enumerate(STRINGS):
        value = with_text(SCHEMAS[model]["properties"][field], text)
        name = f"inj-{method}-{model}-{field}-{number}"
        address, body = path, {**EXAMPLES[model], field: value}
        if model in ID_OF:
            body = {ID_OF[model]: name, **body}
        for place in ("user_id", "item_id"):
            if f"{{{place}}}" in path:
                client.post(path.rpartition("/")[0], json={place: name})
                address = path.replace(f"{{{place}}}", name)
        answer = client.open(address, method=method, json=body)
        if is_plain_text(model, field):
            assert answer.status_code in {200, 202}, (text, answer.text)
            kept[name] = value
        else:
            assert answer.status_code == 422, (text, answer.text)
            assert field in {fault["field"].split(".")[0] for fault in answer.json["errors"]}
    ingest_all(hostile_shop)
    assert schema_of(hostile_shop) == schema_before
    for name, value in kept.items():
        assert_kept(client, hostile_shop, model, name, field, value)
    assert client.get("/v1/items/item-00").status_code == 200


def assert_kept(
    client: FlaskClient, shop: HostileShop, model: str, name: str, field: str, value: Any
) -> None:
    """The value is in Redis and in Neo4j as it was sent."""
    if model == "EventInput":
        query = "MATCH ()-[event:VIEWED {event_id: $name}]->() RETURN properties(event) AS event"
        found = rows_of(shop, query, name=name)
        assert len(found) == 1
        sent = value if isinstance(value, dict) else {field: value}
        stored = found[0]["event"]
        for key, one in sent.items():
            assert one in (stored.get(key), stored.get(f"property_{key}")), stored
        return
    kind = "items" if model.startswith("Item") else "users"
    assert client.get(f"/v1/{kind}/{name}").json[field] == value
    label, key = ("Item", "item_id") if kind == "items" else ("User", "user_id")
    query = f"MATCH (node:{label} {{{key}: $name}}) RETURN node.document AS document"
    found = rows_of(shop, query, name=name)
    assert [json.loads(row["document"])[field] for row in found] == [value]


@pytest.mark.parametrize(("method", "path", "place", "name"), PARAMETERS)
def test_a_parameter_with_statements_in_it_finds_nothing(
    client: FlaskClient, method: str, path: str, place: str, name: str
) -> None:
    """In a path, a query or a header field: an answer that the document lists, and no failure."""
    listed = set(DOCUMENT["paths"][path][method]["responses"])
    for text in STRINGS:
        address = path
        for known, value in KNOWN.items():
            address = address.replace(f"{{{known}}}", quote(text, "") if name == known else value)
        headers = {}
        if place == "header":
            headers[name] = text.encode().decode("latin-1").replace("\r", "").replace("\n", "")
        query = f"?{name}={quote(text, '')}" if place == "query" else ""
        answer = client.open(
            address + query, method=method, headers=headers, json=EXAMPLES["EventInput"]
        )
        assert answer.status_code < 500, answer.text
        assert str(answer.status_code) in listed | {"404", "422"}, answer.text


def test_nothing_was_done_to_the_graph_or_redis(
    client: FlaskClient, hostile_shop: HostileShop
) -> None:
    """Labels and types are the graph's own, nothing was deleted, and Redis holds its own keys."""
    labels = {row["label"] for row in rows_of(hostile_shop, "CALL db.labels()")}
    assert labels <= LABELS
    assert client.get("/v1/items/item-01").status_code == 200
    names = [name.decode() for name in hostile_shop.services.log.scan_iter(count=1000)]
    own = ("ig:", "LIMITS:", "ig:limit")
    assert not [name for name in names if not name.startswith(own)]
