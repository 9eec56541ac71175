"""The command: a table, a file, a picture, and an evaluation that goes on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from cli.evaluation import evaluation
from cli.main import app
from models.evaluation import contenders
from tests.unit.models.synthetic import make_graph

if TYPE_CHECKING:
    from pathlib import Path

MODELS = "popularity,item_knn"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small shop's events."""
    graph = make_graph(users=30, events=12)
    made = tmp_path_factory.mktemp("shop")
    rows = zip(
        graph.event_user.tolist(), graph.event_item.tolist(), graph.event_time.tolist(), strict=True
    )
    lines = [f"u{user},i{item},{time}" for user, item, time in rows]
    (made / "events.csv").write_text("\n".join(["user,item,time", *lines]), encoding="utf-8")
    return made


def evaluate(*arguments: object) -> Any:
    """Run the command in this process."""
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments)])


def test_one_table_one_file_one_picture(folder: Path, tmp_path: Path) -> None:
    """Every model has a line; the file has a rank for everything that was wanted."""
    path, picture = tmp_path / "results.json", tmp_path / "results.svg"
    arguments = ("--data", folder, "--models", MODELS, "--protocol", "leave_one_out")
    ended = evaluate(*arguments, "--json", path, "--plot", picture)
    assert ended.exit_code == 0, ended.output
    assert "NDCG@10 [95 %]" in ended.stdout
    assert all(name in ended.stdout for name in MODELS.split(","))
    assert "train and validation (refitted)" in ended.stderr
    assert "default hyperparameters: popularity, item_knn" in ended.stderr
    assert picture.read_text(encoding="utf-8").startswith("<?xml")
    found = json.loads(path.read_text(encoding="utf-8"))
    assert found["setup"]["protocol"] == "leave_one_out"
    assert found["data"]["test_cases"] == {"test": 30}
    ranks = found["models"]["item_knn"]["runs"]["0"]["tests"]["test"]["rank"]
    assert len(ranks) == len(found["tests"]["test"]["item"]) == 30
    assert {line["model"] for line in found["summary"][0]["lines"]} == set(MODELS.split(","))
    before = found["models"]["popularity"]["runs"]["0"]["fit_s"]
    evaluate(*arguments, "--json", path)
    again = json.loads(path.read_text(encoding="utf-8"))
    assert again["models"]["popularity"]["runs"]["0"]["fit_s"] == before


def test_several_tests_stand_in_one_table(folder: Path) -> None:
    """Cold users: a line for each model after each number of events."""
    ended = evaluate("--data", folder, "--protocol", "cold_users", "--models", "popularity")
    assert ended.exit_code == 0, ended.output
    assert [f"after {n}" in ended.stdout for n in (1, 2, 3, 5)] == [True] * 4
    assert ended.stdout.count("popularity  ") >= 4


def test_cold_users_take_what_was_tuned_for_all(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing was tuned for the protocol itself, hyperparameters are another's."""
    tuned = {"leave_one_out": {"item_knn": {"hyperparameters": {"neighbors": 7}, "found": {}}}}
    monkeypatch.setattr(evaluation, "read_tuned", lambda _, protocol: tuned.get(protocol, {}))
    asked = ("--data", folder, "--protocol", "cold_users", "--models", "item_knn")
    assert evaluate(*asked, "--json", tmp_path / "one.json").exit_code == 0
    found = json.loads((tmp_path / "one.json").read_text(encoding="utf-8"))["models"]["item_knn"]
    assert (found["hyperparameters"]["neighbors"], found["tuned"]) == (7, True)


@pytest.mark.parametrize("source", ["temporal", "temporal_next"])
def test_events_in_order_take_what_was_tuned_for_events_after_a_moment(
    source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shop whose next buy was tuned is not run with defaults; its own protocol goes first."""
    tuned = {source: {"item_knn": {}}, "temporal_next": {"item_knn": {}, "als": {}}}
    monkeypatch.setattr(evaluation, "read_tuned", lambda _, protocol: tuned.get(protocol, {}))
    assert evaluation.tuned_for("shop", "prequential") == tuned[source]
    assert evaluation.tuned_for("shop", "leave_one_out") == {}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--protocol", "given"], "comes without a test"),
        (["--models", "magic"], "magic"),
        (["--protocol", "sideways"], "there is no protocol sideways"),
    ],
)
def test_what_does_not_fit_ends_with_2(folder: Path, arguments: list[str], said: str) -> None:
    """A protocol or model that is not there is the caller's mistake, said in one line."""
    ended = evaluate("--data", folder, *arguments)
    assert ended.exit_code == 2
    assert said in ended.stderr


def test_every_contender_has_a_name_of_its_own() -> None:
    """What `--models` can name is what the registry holds."""
    assert set(MODELS.split(",")) <= set(contenders.REGISTRY)
