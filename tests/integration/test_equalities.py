"""The two equalities of the design on real Neo4j and Redis, with a model trained on the graph.

1. The interest that the API computes from Redis equals the one a worker writes to the graph.
2. An incremental step equals a step over the whole graph, computed by other code.
"""

from __future__ import annotations

import random
import shutil
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from interest_graph.graph import learned, reads
from interest_graph.history import digest
from interest_graph.ingest import ingest
from interest_graph.interest import interest
from interest_graph.item import ItemInput
from interest_graph.refresh_items import refresh_items
from interest_graph.refresh_users import refresh_users
from interest_graph.roll_out import roll_out
from interest_graph.services import Services, build_services
from models.item_encoder import ItemEncoder
from models.training_config import TrainingConfig
from tests.integration.log_reading import read_log
from tests.integration.whole_graph_step import SNAPSHOT, WholeGraph
from workers.training import train_model

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from interest_graph.settings import Settings
    from tests.integration.conftest import MakeEvent, Query

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

USERS, ITEMS, EVENTS = 40, 60, 2500
KINDS = ("Yogurt", "Milk", "Bread", "Cheese", "Coffee", "Tea")
NOW = 1_700_000_000


@pytest.fixture
def services(settings: Settings, migrated: None) -> Iterator[Services]:
    """The services on empty servers."""
    built = build_services(settings)
    yield built
    built.close()


def drain(services: Services) -> None:
    """What the ingest worker does, until the log is empty."""
    while entries := read_log(services.events):
        ingest(entries, services.graph, services.events, services.settings)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the one model of these tests is kept: the facts are the same in each."""
    return tmp_path_factory.mktemp("published")


@pytest.fixture
def trained(services: Services, make_event: MakeEvent, published: Path) -> Services:
    """A graph with events of tastes, and a model trained on it in service."""
    chance = random.Random(4)
    documents = []
    for number in range(ITEMS):
        kind = KINDS[number % len(KINDS)]
        documents.append(
            ItemInput(
                item_id=f"item-{number:02d}",
                title=f"{kind} number {number}",
                categories=[["Grocery", kind]],
                brand=f"Brand {number % 4}",
            ).document
        )
    services.items.put(documents)
    events = []
    for number in range(EVENTS):
        user = chance.randrange(USERS)
        item = (chance.randrange(ITEMS // 6) * 6 + user % 6) if chance.random() < 0.8 else 0
        events.append(
            make_event(
                f"e-{number}",
                f"u-{user}",
                f"item-{item:02d}",
                chance.choice(["view", "purchase"]),
                NOW - chance.randrange(90 * 86_400),
            )
        )
    services.events.accept(events)
    drain(services)
    models_dir = services.settings.models_dir
    if any(published.iterdir()):
        shutil.copytree(published, models_dir, dirs_exist_ok=True)
        directory = next(models_dir.iterdir())
        encoder = ItemEncoder.load(directory)
        roll_out(directory, {}, encoder, services.graph, services.serving, services.settings)
    else:
        config = TrainingConfig()
        config = replace(config, fit=replace(config.fit, epochs=2))
        assert train_model(services.settings, config, force=True).rolled_out
        version = next(path for path in models_dir.iterdir() if path.name[0].isdigit())
        shutil.copytree(version, published / version.name)
    return services


def all_users(services: Services) -> list[str]:
    return services.graph.read(lambda tx: reads.list_stale_users(tx, 10_000))


def encoder_of(services: Services) -> tuple[Any, ItemEncoder]:
    """The published model and its encoder."""
    manifest, _ = services.serving.head()
    assert manifest is not None
    model = services.recommender.shelf.current(manifest)
    return model, ItemEncoder.load(services.settings.models_dir / manifest.model_version)


def test_api_and_worker_compute_the_same_interest(trained: Services, query: Query) -> None:
    """Histories agree by digest, and interests from Redis and in the graph within 1e-5."""
    users = all_users(trained)
    assert len(users) == USERS
    as_of = int(time.time()) // 60 * 60
    done = refresh_users(
        users, trained.graph, trained.serving, trained.recommender.shelf, trained.settings, as_of
    )
    assert done.written == USERS
    model, _ = encoder_of(trained)
    codes = {name: code for code, name in enumerate(trained.settings.relationships)}
    size = trained.settings.history_events
    in_graph = trained.graph.read(lambda tx: reads.fetch_user_events(tx, users, size, codes))
    stored = {
        row["id"]: row["embedding"]
        for row in query("MATCH (u:User) RETURN u.user_id AS id, u.embedding AS embedding")
    }
    for user in users:
        history = trained.serving.read(user).user.history
        assert digest(history) == digest(in_graph[user])
        felt = interest(model.encoder, model.matrix, history, as_of)
        np.testing.assert_allclose(felt.embedding, stored[user], atol=1e-5)
        assert np.abs(felt.embedding).max() > 1e-3, "an interest of nothing proves nothing"


def test_an_incremental_step_equals_one_over_the_whole_graph(
    trained: Services, query: Query, make_event: MakeEvent
) -> None:
    """A refresh writes for changed, new and neighbouring items what the dense step gives."""
    _, encoder = encoder_of(trained)
    trained.items.put(
        [
            ItemInput(
                item_id="item-03", title="Organic oat drink", categories=[["Drinks", "Oat"]]
            ).document,
            ItemInput(
                item_id="new-1", title="Yogurt, new", categories=[["Grocery", "Yogurt"]]
            ).document,
        ]
    )
    trained.events.accept([make_event("late", "u-1", "item-07"), make_event("stub", "u-1", "zz")])
    drain(trained)
    stale = ["item-03", "item-07", "new-1", "zz"]
    trained.graph.write(lambda tx: learned.mark_neighbors_stale(tx, ["item-03"], 5))
    stale = sorted({*stale, *trained.graph.read(lambda tx: reads.list_stale_items(tx, 100))})
    refreshed = refresh_everything(trained, encoder, stale)
    assert set(refreshed) >= {"item-03", "item-07", "new-1"}
    # Texts are stored by then: freeze the state, refresh again, and compare.
    frozen = WholeGraph.read(query(SNAPSHOT), model_directory(trained), encoder.encode_texts)
    learned.mark_all_items_stale(trained.graph)
    chosen = ["item-03", "item-07", "item-11", "item-40", "new-1"]
    written = refresh_everything(trained, encoder, chosen)
    assert set(written) == set(chosen)
    dense = frozen.step()
    stored = {row["item_id"]: row["embedding"] for row in query(SNAPSHOT)}
    for item_id in chosen:
        np.testing.assert_allclose(stored[item_id], dense[item_id], atol=1e-5)
        assert frozen.items[item_id]["embedding"] is not None
    untouched = set(frozen.items) - set(chosen)
    for item_id in untouched:
        assert stored[item_id] == frozen.items[item_id]["embedding"]


def test_what_is_published_equals_what_is_in_the_graph(
    trained: Services, query: Query, make_event: MakeEvent
) -> None:
    """After refreshes, every row of the item matrix is the embedding in the graph within 1e-5."""
    _, encoder = encoder_of(trained)
    for round_number in range(3):
        item = f"item-{round_number + 10:02d}"
        text = f"A new text, number {round_number}"
        trained.items.put([ItemInput(item_id=item, title=text, categories=[["X"]]).document])
        drain(trained)
        stale = trained.graph.read(lambda tx: reads.list_stale_items(tx, 100))
        refresh_everything(trained, encoder, stale)
    model, _ = encoder_of(trained)
    assert model.matrix.epoch >= 3
    stored = {row["item_id"]: row["embedding"] for row in query(SNAPSHOT)}
    for item_id, row in model.matrix.row_of.items():
        np.testing.assert_allclose(model.matrix.embeddings[row], stored[item_id], atol=1e-5)


def refresh_everything(services: Services, encoder: ItemEncoder, item_ids: list[str]) -> list[str]:
    """Refresh items once, as the update worker does."""
    return refresh_items(
        item_ids,
        services.graph,
        services.serving,
        services.recommender.shelf,
        encoder,
        services.settings,
    )


def model_directory(services: Services) -> Any:
    """Where the model in service is published."""
    manifest, _ = services.serving.head()
    assert manifest is not None
    return services.settings.models_dir / manifest.model_version
