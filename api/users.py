"""`/v1/users`: who the shop knows."""

from flask import Response
from flask_openapi.blueprint import APIBlueprint
from flask_openapi.models.tag import Tag

from interest_graph.user import UserInput, UserPatch, patched

from .access import scope
from .answer import answer
from .body import faults_out, parse_entries, read_entries, read_patch, valid
from .cursor import after_of, encode_cursor, link_header
from .documentation import raises, takes
from .parameters import PageQuery, UserPath
from .problems import Code
from .schemas.answer_model import ReceiptOut
from .schemas.item import UserListOut, UserOut, WrittenOut
from .wiring import services

users = APIBlueprint(
    "users",
    __name__,
    url_prefix="/v1",
    abp_tags=[Tag(name="users", description="Who the shop knows.")],
)


@users.post("/users", operation_id="put_users", responses={200: WrittenOut})
@scope("catalog:write")
@takes(UserInput, many=True)
@raises(Code.LOG_FULL)
def put_users() -> Response:
    """Insert or replace users, one or many; a user at fault does not sink the others."""
    entries, many = read_entries()
    parsed, rejected = parse_entries(
        entries, lambda _, entry: UserInput.model_validate(entry), many=many
    )
    revision = services().users.put([user.document for _, user in parsed])
    body = WrittenOut(written=len(parsed), revision=revision, rejected=faults_out(rejected))
    return answer(body)


@users.get("/users", operation_id="list_users", responses={200: UserListOut})
@scope("read")
def list_users(query: PageQuery) -> Response:
    """List the users by id."""
    after = after_of(query)
    page = services().users.page(query.limit, after)
    cursor = encode_cursor(page.next_after) if page.next_after else None
    shown = [UserOut.model_validate(document) for document in page.documents]
    body = UserListOut(items=shown, next=cursor)
    return answer(body, headers=link_header(query.limit, cursor))


@users.get("/users/<user_id>", operation_id="get_user", responses={200: UserOut})
@scope("read")
@raises(Code.NOT_FOUND)
def get_user(path: UserPath) -> Response:
    """Read a user."""
    return answer(UserOut.model_validate(services().users.get(path.user_id)))


@users.patch("/users/<user_id>", operation_id="patch_user", responses={200: UserOut})
@scope("catalog:write")
@takes(UserPatch)
@raises(Code.NOT_FOUND, Code.CONFLICT, Code.LOG_FULL)
def patch_user(path: UserPath) -> Response:
    """Change the fields that the body names; null clears one."""
    patch = read_patch(UserPatch)
    document = services().users.patch(
        path.user_id, lambda document: valid(lambda: patched(document, patch))
    )
    return answer(UserOut.model_validate(document))


@users.delete("/users/<user_id>", operation_id="delete_user", responses={202: ReceiptOut})
@scope("catalog:write")
@raises(Code.NOT_FOUND, Code.LOG_FULL)
def delete_user(path: UserPath) -> Response:
    """Erase a user: nothing in flight brings them back; every store follows, with this receipt."""
    revision = services().users.delete(path.user_id)
    return answer(ReceiptOut(receipt_id=f"user-{revision}", revision=revision), 202)
