"""`/v1/users/{user_id}/recommendations` and why: lists, explanations, interests."""

import orjson
from flask import Response
from flask_openapi.blueprint import APIBlueprint
from flask_openapi.models.tag import Tag
from pydantic import Field

from interest_graph.field_types import NodeId
from interest_graph.graph.reads import fetch_user_interests
from interest_graph.metrics import Metrics
from interest_graph.recommendation import Query, Recommendations, WhyEmpty

from .access import key_check, scope
from .answer import answer
from .documentation import raises
from .parameters import Parameters, UserItemPath, UserPath
from .problems import Code
from .readiness import require_graph
from .schemas.recommendation import ExplanationOut, InterestOut, InterestsOut, RecommendationsOut
from .wiring import services, wired

recommendations = APIBlueprint(
    "recommendations",
    __name__,
    url_prefix="/v1/users/<user_id>",
    abp_tags=[Tag(name="recommendations", description="What to show, and why.")],
)


class RecommendationsQuery(Parameters):
    """Which list."""

    k: int = Field(10, ge=1, le=200, description="Length of the list.")
    exclude_seen: bool = Field(
        True,  # noqa: FBT003 pydantic's default
        description="Leave out what the user has seen (by default: bought).",
    )
    category: str | None = Field(
        None,
        min_length=1,
        max_length=2000,
        description="Only items in this category or below it: its id, or a path such as "
        "`Home > Kitchen`.",
    )
    exclude: list[NodeId] = Field(
        default_factory=list, max_length=200, description="Leave out these items; repeatable."
    )


class ExplanationQuery(Parameters):
    """Which answer is to be explained."""

    recommendation_id: str | None = Field(
        None, max_length=300, description="Explain this answer, as it was; absent: as it is now."
    )


@recommendations.get(
    "/recommendations", operation_id="recommend", responses={200: RecommendationsOut}
)
@scope("read", confirms_key=True)
@raises(Code.MODEL_NOT_READY)
def recommend(path: UserPath, query: RecommendationsQuery) -> Response:
    """Recommend items to a user, known or not; counts every event answered with 202 before."""
    asked = Query(query.k, query.exclude_seen, query.category, tuple(query.exclude))
    with wired().metrics.recommend_seconds.labels("user").time():
        found = services().recommender.recommend(path.user_id, asked, key_check())
    return Response(counted_json(wired().metrics, found), content_type="application/json")


def counted_json(metrics: Metrics, found: Recommendations) -> bytes:
    """The JSON of a list; what operators want to know of it is counted."""
    if found.ineligible:
        metrics.ineligible_returned.inc(found.ineligible)
    if found.why_empty is not None:
        metrics.recommendations_empty.labels(_reason(found.why_empty)).inc()
    return list_json(found)


def list_json(found: Recommendations) -> bytes:
    """What `RecommendationsOut` makes of a list, written by itself: this is the busiest answer."""
    return orjson.dumps(
        {
            "recommendation_id": found.recommendation_id,
            "model_version": found.model_version,
            "history_revision": found.history_revision,
            "items": found.items,
            "degraded": found.degraded,
            "why_empty": found.why_empty,
        }
    )


def _reason(why: WhyEmpty) -> str:
    """What took most items away from an empty list."""
    counts = {
        "hidden": why.hidden,
        "already_seen": why.already_seen,
        "excluded": why.excluded,
    }
    return max(counts, key=lambda name: counts[name]) if why.candidates else "no_candidates"


@recommendations.get(
    "/recommendations/<item_id>/explanation",
    operation_id="explain",
    responses={200: ExplanationOut},
)
@scope("read")
@raises(Code.NOT_FOUND, Code.EXPIRED, Code.MODEL_NOT_READY, Code.SERVING_STATE_UNAVAILABLE)
def explain(path: UserItemPath, query: ExplanationQuery) -> Response:
    """Say why an item has its score: contributions that sum to it, and one sentence."""
    found = services().explainer.explain(path.user_id, path.item_id, query.recommendation_id)
    return answer(ExplanationOut.model_validate(found))


@recommendations.get("/interests", operation_id="interests", responses={200: InterestsOut})
@scope("read")
@raises(Code.GRAPH_UNAVAILABLE)
def interests(path: UserPath) -> Response:
    """Read a user's learned interests in items and categories, by weight, from the graph."""
    require_graph(services())
    rows = services().graph.read(lambda tx: fetch_user_interests(tx, path.user_id))
    found = [InterestOut.model_validate(row) for row in rows]
    return answer(InterestsOut(user_id=path.user_id, items=found))
