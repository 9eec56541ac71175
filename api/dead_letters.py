"""`/v1/dead-letters`: what could not be brought into the graph, for operators."""

from flask import Response
from flask_openapi.blueprint import APIBlueprint
from flask_openapi.models.tag import Tag

from interest_graph.dead_letters import LETTER_ID

from .access import scope
from .answer import answer
from .cursor import after_of, encode_cursor, link_header, not_a_cursor
from .documentation import raises
from .parameters import DeadLetterPath, PageQuery
from .problems import Code
from .schemas.dead_letter import DeadLetterListOut, DeadLetterOut, DroppedOut, ReplayedOut
from .wiring import services

dead_letters = APIBlueprint(
    "dead_letters", __name__, url_prefix="/v1", abp_tags=[Tag(name="operations")]
)


@dead_letters.get(
    "/dead-letters", operation_id="list_dead_letters", responses={200: DeadLetterListOut}
)
@scope("admin")
def list_dead_letters(query: PageQuery) -> Response:
    """List what could not be brought into the graph, oldest first."""
    after = after_of(query)
    if after is not None and not LETTER_ID.fullmatch(after):
        raise not_a_cursor()
    found = services().dead_letters.page(query.limit + 1, after)
    shown, more = found[: query.limit], len(found) > query.limit
    cursor = encode_cursor(shown[-1].letter_id) if more else None
    body = DeadLetterListOut(
        items=[DeadLetterOut.model_validate(one) for one in shown], next=cursor
    )
    return answer(body, headers=link_header(query.limit, cursor))


@dead_letters.get(
    "/dead-letters/<letter_id>", operation_id="get_dead_letter", responses={200: DeadLetterOut}
)
@scope("admin")
@raises(Code.NOT_FOUND)
def get_dead_letter(path: DeadLetterPath) -> Response:
    """Read a dead letter."""
    return answer(DeadLetterOut.model_validate(services().dead_letters.get(path.letter_id)))


@dead_letters.post(
    "/dead-letters/<letter_id>/replay",
    operation_id="replay_dead_letter",
    responses={202: ReplayedOut},
)
@scope("admin")
@raises(Code.NOT_FOUND, Code.LOG_FULL)
def replay_dead_letter(path: DeadLetterPath) -> Response:
    """Send a dead letter to the log again; what is still wrong brings it back under a new id."""
    letter = services().dead_letters.get(path.letter_id)
    return answer(ReplayedOut(replayed=services().dead_letters.replay([letter.letter_id])), 202)


@dead_letters.delete(
    "/dead-letters/<letter_id>", operation_id="drop_dead_letter", responses={200: DroppedOut}
)
@scope("admin")
@raises(Code.NOT_FOUND)
def drop_dead_letter(path: DeadLetterPath) -> Response:
    """Delete a dead letter for good."""
    letter = services().dead_letters.get(path.letter_id)
    return answer(DroppedOut(dropped=services().dead_letters.drop([letter.letter_id])))
