"""`/v1/items`: the catalogue. A request that starts after an answer here sees what it changed."""

from flask import Response
from flask_openapi.blueprint import APIBlueprint
from flask_openapi.models.tag import Tag

from interest_graph.item import ItemInput, ItemPatch, patched

from .access import scope
from .answer import answer
from .body import faults_out, parse_entries, read_entries, read_patch, valid
from .cursor import after_of, encode_cursor, link_header
from .documentation import raises, takes
from .parameters import ItemPath, PageQuery
from .problems import Code
from .schemas.answer_model import ReceiptOut
from .schemas.item import ItemListOut, ItemOut, WrittenOut
from .wiring import services

items = APIBlueprint(
    "items", __name__, url_prefix="/v1", abp_tags=[Tag(name="items", description="The catalogue.")]
)


@items.post("/items", operation_id="put_items", responses={200: WrittenOut})
@scope("catalog:write")
@takes(ItemInput, many=True)
@raises(Code.LOG_FULL)
def put_items() -> Response:
    """Insert or replace items, one or many; an item at fault does not sink the others."""
    entries, many = read_entries()
    parsed, rejected = parse_entries(
        entries, lambda _, entry: ItemInput.model_validate(entry), many=many
    )
    revision = services().items.put([item.document for _, item in parsed])
    body = WrittenOut(written=len(parsed), revision=revision, rejected=faults_out(rejected))
    return answer(body)


@items.get("/items", operation_id="list_items", responses={200: ItemListOut})
@scope("read")
def list_items(query: PageQuery) -> Response:
    """List the items by id."""
    after = after_of(query)
    page = services().items.page(query.limit, after)
    cursor = encode_cursor(page.next_after) if page.next_after else None
    shown = [ItemOut.model_validate(document) for document in page.documents]
    body = ItemListOut(items=shown, next=cursor)
    return answer(body, headers=link_header(query.limit, cursor))


@items.get("/items/<item_id>", operation_id="get_item", responses={200: ItemOut})
@scope("read")
@raises(Code.NOT_FOUND)
def get_item(path: ItemPath) -> Response:
    """Read an item.

    Not one with the id `popular`: this path is the list of what is popular. Such an item is in the
    list of all items and in the answer to a PATCH, and everything else of it works.
    """
    return answer(ItemOut.model_validate(services().items.get(path.item_id)))


@items.patch("/items/<item_id>", operation_id="patch_item", responses={200: ItemOut})
@scope("catalog:write")
@takes(ItemPatch)
@raises(Code.NOT_FOUND, Code.CONFLICT, Code.LOG_FULL)
def patch_item(path: ItemPath) -> Response:
    """Change the fields that the body names; null clears one."""
    patch = read_patch(ItemPatch)
    document = services().items.patch(
        path.item_id, lambda document: valid(lambda: patched(document, patch))
    )
    return answer(ItemOut.model_validate(document))


@items.delete("/items/<item_id>", operation_id="delete_item", responses={202: ReceiptOut})
@scope("catalog:write")
@raises(Code.NOT_FOUND, Code.LOG_FULL)
def delete_item(path: ItemPath) -> Response:
    """Take an item out: it is never shown again from this answer on; the graph follows."""
    revision = services().items.delete(path.item_id)
    return answer(ReceiptOut(receipt_id=f"item-{revision}", revision=revision), 202)
