"""The composition root connects to nothing before it is used."""

from interest_graph.services import build_services
from interest_graph.settings import Settings


def test_building_services_connects_to_nothing() -> None:
    """Services are built while no server answers, and closed again."""
    nowhere = "redis://127.0.0.1:1/0"
    services = build_services(
        Settings(neo4j_uri="bolt://127.0.0.1:1", log_url=nowhere, serving_url=nowhere)
    )
    assert services.recommender.settings is services.settings
    services.close()
