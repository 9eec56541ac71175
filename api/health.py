"""Health: live says the process answers; ready says what would work, and what is missing."""

from flask import Response
from flask_openapi.blueprint import APIBlueprint
from flask_openapi.models.tag import Tag
from pydantic import Field

from .access import public, scope
from .answer import answer
from .documentation import raises
from .parameters import Parameters
from .problems import Code, FaultOut, ProblemError
from .readiness import OK, Purpose, readiness
from .schemas.health import LiveOut, ReadyOut
from .wiring import services

health = APIBlueprint(
    "health", __name__, url_prefix="/v1/health", abp_tags=[Tag(name="operations")]
)


class ReadyQuery(Parameters):
    """Ready for what."""

    purpose: Purpose = Field(
        "all", alias="for", description="Which use of the service is asked about."
    )


@health.get("/live", operation_id="live", responses={200: LiveOut})
@public
def live() -> Response:
    """Say that this process answers. Needs no key and asks no dependency."""
    return answer(LiveOut(status="live"))


@health.get("/ready", operation_id="ready", responses={200: ReadyOut})
@scope("read")
@raises(Code.NOT_READY)
def ready(query: ReadyQuery) -> Response:
    """Say whether events, recommendations or writes would be served, and what is missing."""
    dependencies = readiness(services(), query.purpose)
    missing = {name: state for name, state in dependencies.items() if state != OK}
    if missing:
        raise not_ready(query.purpose, missing)
    return answer(ReadyOut(**{"for": query.purpose}, ready=True, dependencies=dependencies))


def not_ready(purpose: str, missing: dict[str, str]) -> ProblemError:
    """A problem that names every missing dependency."""
    faults = [
        FaultOut.model_validate({"in": "query", "pointer": "/for", "field": name, "reason": state})
        for name, state in missing.items()
    ]
    detail = f"not ready for {purpose}: {', '.join(missing)}"
    return ProblemError(Code.NOT_READY, detail, faults=faults)
