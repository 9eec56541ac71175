"""Readers of data sets: what stands in the files is what is evaluated on."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from cli.evaluation import movielens
from cli.evaluation.find import find_data_set
from interest_graph.errors import InvalidInputError
from interest_graph.interaction_graph import DAY_S

if TYPE_CHECKING:
    from pathlib import Path

    from models.evaluation.data_set import DataSet

LAMP = {
    "item": 7,
    "title": "Lamp",
    "description": "It glows",
    "categories": [["Home", "Light"], ["Gifts"]],
    "brand": "Acme",
}


def write(folder: Path, **files: str) -> Path:
    """A folder with files; `__` in a name stands for its dot."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text, encoding="utf-8")
    return folder


def events(data: DataSet) -> list[tuple[str, str, str, float]]:
    """User, item, type and time of every event."""
    graph = data.graph
    return [
        (graph.user_ids[user], graph.item_ids[item], graph.event_types[kind], time)
        for user, item, kind, time in zip(
            graph.event_user.tolist(),
            graph.event_item.tolist(),
            graph.event_type.tolist(),
            graph.event_time.tolist(),
            strict=True,
        )
    ]


def test_sequences_keep_their_order(tmp_path: Path) -> None:
    """The time of an event is its position in days; items without facts are there without text."""
    folder = write(
        tmp_path / "mine",
        sequences__txt="anna 7 3 9\nbob 3\n\n",
        items__jsonl=json.dumps(LAMP) + "\n",
    )
    data = find_data_set(str(folder))
    assert data.name == "mine"
    assert data.protocols[0] == "leave_one_out"
    assert not data.repeats
    assert events(data) == [
        ("anna", "7", "interaction", 0),
        ("anna", "3", "interaction", DAY_S),
        ("anna", "9", "interaction", 2 * DAY_S),
        ("bob", "3", "interaction", 0),
    ]
    assert data.graph.item_texts == ["Lamp. It glows", "", ""]
    assert data.graph.brand_ids == ["Acme"]


def test_every_prefix_of_a_path_is_a_category(tmp_path: Path) -> None:
    """As in the service: the item is directly in the last category of each of its paths."""
    folder = write(tmp_path, sequences__txt="a 7\n", items__jsonl=json.dumps(LAMP))
    graph = find_data_set(str(folder)).graph
    assert graph.category_texts == ["Home", "Home > Light", "Gifts"]
    assert graph.item_categories == [(1, 2)]


def test_brands_may_be_numbers_among_those_of_categories(tmp_path: Path) -> None:
    """A number whose items share no category of their own is a brand; a named brand stands."""
    rows = [
        ("a", ["Home", "Light"], [1, 2]),  # 2 is Light
        ("b", ["Home", "Light"], [8, 2]),
        ("c", ["Home", "Rugs"], [8, 3]),  # 8 is in Light and in Rugs
        ("d", ["Home", "Rugs"], [3]),
        ("e", ["Garden"], []),
        ("f", ["Home", "Light"], [1, 2]),
        ("g", ["Home", "Rugs"], [1, 3]),
    ]
    lines = [
        {"item_id": name, "title": name, "categories": [path], "s3rec_attributes": numbers}
        for name, path, numbers in rows
    ]
    lines[0]["brand"] = "Acme"
    text = "\n".join(json.dumps(line) for line in lines)
    graph = find_data_set(
        str(write(tmp_path, sequences__txt="u a b c d", items__jsonl=text)), None
    ).graph
    brands = [graph.brand_ids[row] if row >= 0 else None for row in graph.item_brand]
    assert brands == ["Acme", "brand 8", "brand 8", None, None, "brand 1", "brand 1"]


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        (("5", "4"), (5.0, 4.0)),
        (("1700000000500", "1700000000000"), (1_700_000_000.5, 1_700_000_000.0)),
        (("2026-01-01T00:00:05Z", "2026-01-01T00:00:04Z"), (1767225605.0, 1767225604.0)),
    ],
)
def test_times_may_be_seconds_milliseconds_or_text(
    tmp_path: Path, time: tuple[str, str], expected: tuple[float, float]
) -> None:
    """Whatever the form, events are in order of time."""
    folder = write(tmp_path, events__csv=f"user,item,time\na,x,{time[0]}\na,y,{time[1]}\n")
    data = find_data_set(str(folder))
    assert events(data) == [
        ("a", "y", "interaction", expected[1]),
        ("a", "x", "interaction", expected[0]),
    ]


def test_events_may_come_as_parquet_with_types(tmp_path: Path) -> None:
    """The service's types have its weights, unknown ones weigh 1; equal times keep their order."""
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    pl.DataFrame(
        {
            "user_id": ["a", "a", "a"],
            "item_id": [3, 2, 3],
            "occurred_at": [moment] * 3,
            "event_type": ["view", "wish", "view"],
        }
    ).write_parquet(tmp_path / "events.parquet")
    data = find_data_set(str(tmp_path))
    assert [row[:3] for row in events(data)] == [
        ("a", "3", "view"),
        ("a", "2", "wish"),
        ("a", "3", "view"),
    ]
    weights = dict(zip(data.graph.event_types, data.graph.event_weights, strict=True))
    assert weights == {"view": 0.1, "wish": 1.0}
    assert data.repeats


def test_gowalla_keeps_the_split_that_it_comes_with(tmp_path: Path) -> None:
    """The events of `test.txt` are the test, whatever the order of users."""
    write(tmp_path, train__txt="0 10 20\n1 20\n", test__txt="1 10\n0 30\n2 \n")
    data = find_data_set(str(tmp_path))
    assert data.in_test is not None
    in_test = {row[:2] for row, test in zip(events(data), data.in_test, strict=True) if test}
    assert in_test == {("1", "10"), ("0", "30")}
    assert data.graph.num_events == 5


def test_retailrocket_asks_for_buys(tmp_path: Path) -> None:
    """Views, carts and buys are types of their own; only buys are wanted, nothing is left out."""
    text = "user,item,event,timestamp\n1,5,view,100\n1,5,buy,200\n1,6,cart,150\n"
    write(tmp_path / "retailrocket", events__csv=text)
    data = find_data_set("retailrocket", tmp_path)
    assert [row[1:3] for row in events(data)] == [
        ("5", "view"),
        ("6", "add_to_cart"),
        ("5", "purchase"),
    ]
    assert data.target_types == ("purchase",)
    assert data.repeats


def test_online_retail_leaves_services_out(tmp_path: Path) -> None:
    """Service lines are gone; a cancellation is an event of low weight that nobody wants."""
    folder = write(
        tmp_path / "online_retail",
        items__csv="item,description,is_service_line\n0,RED LAMP,false\n1,POSTAGE,true\n",
    )
    pl.DataFrame(
        {
            "timestamp": [datetime(2011, 1, 1)] * 3,  # noqa: DTZ001 as in the file
            "customer": [5, 5, None],
            "event": ["purchase", "cancel", "purchase"],
            "item": [0, 0, 0],
        }
    ).vstack(
        pl.DataFrame(
            {
                "timestamp": [datetime(2011, 1, 1)],  # noqa: DTZ001 as in the file
                "customer": [5],
                "event": ["purchase"],
                "item": [1],
            }
        )
    ).write_parquet(folder / "events.parquet")
    data = find_data_set("online-retail", tmp_path)
    assert [row[:3] for row in events(data)] == [
        ("5", "0", "purchase"),
        ("5", "0", "cancel"),
    ]
    assert data.graph.item_texts == ["RED LAMP"]
    assert data.target_types == ("purchase",)


def test_movielens_takes_every_rating(tmp_path: Path) -> None:
    """A rating of one star is an event like any other; genres are categories."""
    write(
        tmp_path,
        **{
            "ml-100k__inter": "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
            "1\t10\t1\t200\n1\t11\t5\t100\n",
            "ml-100k__item": "item_id:token\tmovie_title:token_seq\trelease_year:token\t"
            'class:token_seq\n10\t"Heat"\t1995\tCrime Drama\n11\tBabe\t1995\tDrama\n',
        },
    )
    data = find_data_set(str(tmp_path))
    assert data.name == "movielens-100k"
    assert events(data) == [("1", "11", "rate", 100), ("1", "10", "rate", 200)]
    assert data.graph.category_texts == ["Crime", "Drama"]
    assert data.graph.item_categories == [(0, 1), (1,)]
    assert data.protocols[0] == "leave_one_out"


def test_movielens_without_a_network_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When neither tool fetches the package, the error names it and the way around."""

    def offline(*_: object, **__: object) -> None:
        raise subprocess.CalledProcessError(1, "uv", stderr="error: no route to host")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(movielens.subprocess, "run", offline)
    with pytest.raises(InvalidInputError, match=r"no route to host.*--data"):
        find_data_set("movielens-100k")
    folder = write(
        tmp_path / "interest-graph" / "recbole-1.2.1" / movielens.INSIDE,
        **{
            "ml-100k__inter": "user_id:token\titem_id:token\ttimestamp:float\n1\t10\t200\n",
            "ml-100k__item": "item_id:token\tmovie_title:token_seq\tclass:token_seq\n"
            "10\tA\tDrama\n",
        },
    )
    assert folder.is_dir()
    assert find_data_set("movielens-100k").graph.num_events == 1


def test_the_journey_is_the_demos() -> None:
    """The demo's purchases, at their own times, with text, categories and brand for each item."""
    data = find_data_set("complete-journey")
    graph = data.graph
    assert graph.num_events == 100_000
    assert all(graph.item_texts)
    assert all(graph.item_categories)
    assert (graph.item_brand >= 0).mean() > 0.9
    assert datetime.fromtimestamp(graph.event_time.max(), UTC).year == 2017
    assert np.unique(graph.event_item).size == graph.num_items


def test_equal_files_have_equal_digests(tmp_path: Path) -> None:
    """The digest tells another content from the same under another name."""
    first = find_data_set(str(write(tmp_path / "a", sequences__txt="u 1 2\n")))
    same = find_data_set(str(write(tmp_path / "b", sequences__txt="u 1 2\n")))
    other = find_data_set(str(write(tmp_path / "c", sequences__txt="u 2 1\n")))
    assert first.digest == same.digest != other.digest


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "needs sequences.txt"),
        ({"events__csv": "user,thing,time\na,b,1\n"}, "no column `item_id` or `item`"),
        ({"events__csv": "user,item,time\na,b,soon\n"}, "is no time"),
        ({"sequences__txt": "a 1\na 2\n"}, "more than one line"),
        ({"sequences__txt": "a 1\n", "items__jsonl": "{"}, "line 1"),
        ({"sequences__txt": "a 1\n", "items__jsonl": '{"title": "x"}'}, "neither `item` nor"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, files: dict[str, str], said: str) -> None:
    """A folder that cannot be read is refused with the file and the reason."""
    with pytest.raises(InvalidInputError, match=said):
        find_data_set(str(write(tmp_path, **files)))


def test_a_named_set_needs_its_folder(tmp_path: Path) -> None:
    """Without a root the option is named, with a wrong one the folder that is not there."""
    with pytest.raises(InvalidInputError, match="INTEREST_GRAPH_DATA"):
        find_data_set("beauty")
    with pytest.raises(InvalidInputError, match="neither a folder"):
        find_data_set("beauty", tmp_path)
    with pytest.raises(InvalidInputError, match="movielens-100k"):
        find_data_set("nonsense")
