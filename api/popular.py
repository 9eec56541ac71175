"""`/v1/items/popular`: what many want now."""

from flask import Response
from flask_openapi.blueprint import APIBlueprint
from flask_openapi.models.tag import Tag
from pydantic import Field

from .access import scope
from .answer import answer
from .documentation import raises
from .parameters import Parameters
from .problems import Code
from .schemas.recommendation import ItemsOut
from .wiring import services

popular = APIBlueprint(
    "popular", __name__, url_prefix="/v1/items", abp_tags=[Tag(name="recommendations")]
)


class PopularQuery(Parameters):
    """Which list."""

    k: int = Field(10, ge=1, le=200, description="Length of the list.")
    category: str | None = Field(
        None,
        min_length=1,
        max_length=2000,
        description="Only items in this category or below it: its id, or a path such as "
        "`Home > Kitchen`.",
    )


@popular.get("/popular", operation_id="popular", responses={200: ItemsOut})
@scope("read")
@raises(Code.MODEL_NOT_READY, Code.SERVING_STATE_UNAVAILABLE)
def popular_items(query: PopularQuery) -> Response:
    """List what is popular, newest events counting most.

    This path is the list also where an item with the id `popular` is in the catalogue.
    """
    found = services().recommender.popular(query.k, query.category)
    return answer(ItemsOut.model_validate({"items": found}))
