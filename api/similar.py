"""`/v1/items/{item_id}/similar`: what an item leads to."""

from flask import Response
from flask_openapi.blueprint import APIBlueprint
from flask_openapi.models.tag import Tag
from pydantic import Field

from .access import scope
from .answer import answer
from .documentation import raises
from .parameters import ItemPath, Parameters
from .problems import Code
from .schemas.recommendation import ItemsOut
from .wiring import services

similar = APIBlueprint(
    "similar", __name__, url_prefix="/v1/items", abp_tags=[Tag(name="recommendations")]
)


class SimilarQuery(Parameters):
    """How many."""

    k: int = Field(10, ge=1, le=50, description="Length of the list.")


@similar.get("/<item_id>/similar", operation_id="similar", responses={200: ItemsOut})
@scope("read")
@raises(Code.NOT_FOUND, Code.MODEL_NOT_READY)
def similar_items(path: ItemPath, query: SimilarQuery) -> Response:
    """List the items most like this one: those it leads to in the graph first."""
    found = services().recommender.similar(path.item_id, query.k)
    return answer(ItemsOut.model_validate({"items": found}))
