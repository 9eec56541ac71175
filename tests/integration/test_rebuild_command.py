"""`interest-graph rebuild-serving` on real servers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from typer.testing import CliRunner

from cli.main import app
from interest_graph import redis_client as keys
from interest_graph.ingest import ingest
from tests.integration.log_reading import read_log
from tests.integration.named_servers import name_servers
from tests.integration.published_directory import FIRST, item_names, write_model

if TYPE_CHECKING:
    import pytest
    import redis

    from interest_graph.event_stream import EventStream
    from interest_graph.graph.store import GraphStore
    from interest_graph.settings import Settings
    from tests.integration.conftest import MakeEvent, Query


def test_a_lost_redis_is_found_and_rebuilt(
    settings: Settings,
    graph: GraphStore,
    log: redis.Redis,
    events: EventStream,
    make_event: MakeEvent,
    query: Query,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`--check` ends with 1 and changes nothing; the rebuild names the model in service again."""
    events.accept([make_event(f"e-{number}", f"u-{number}") for number in range(3)])
    ingest(read_log(events), graph, events, settings)
    write_model(settings.models_dir, item_names(4), FIRST, 1)
    query("CREATE (:Model {model_version: $version, in_service: true})", version=FIRST)
    log.flushdb()
    name_servers(settings, monkeypatch)

    def run(*options: str) -> tuple[int, dict[str, object]]:
        done = CliRunner().invoke(app, ["rebuild-serving", "--json", *options])
        return done.exit_code, json.loads(done.stdout)

    code, found = run("--check")
    assert (code, found["users"], found["changed_users"]) == (1, 3, 3)
    assert not log.exists(keys.user_key("u-1"), keys.MANIFEST)
    code, found = run()
    assert (code, found["changed_users"], found["model_version"]) == (0, 3, FIRST)
    assert log.hget(keys.MANIFEST, "model_version") == FIRST.encode()
    assert query("MATCH (i:Item) WHERE i.stale_since IS NULL RETURN count(i) AS n")[0]["n"] == 0
    code, found = run("--check")
    assert (code, found["changed_users"], found["changed_items"]) == (0, 0, 0)
