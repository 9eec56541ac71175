"""Files of users, items and events: good rows kept, bad ones named."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from cli.loading import loader
from cli.loading.loader import LoadOptions, load
from cli.loading.mapping import FieldMapping, missing_columns, parse_mapping
from cli.loading.progress_file import ProgressFile
from cli.loading.sink import DocumentSink, EventSink, Written
from cli.loading.source import Row, digest_of, read_rows
from cli.local_stack.report import silent
from interest_graph.errors import InvalidInputError, StreamFullError, StreamUnavailableError
from interest_graph.item import ItemInput
from interest_graph.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

FIELDS = ("item_id", "title", "price", "categories", "available_from", "properties", "hidden")


class Collector:
    """A sink that keeps what it is given, after as many refusals as it is told to make."""

    fields = FIELDS

    def __init__(self, refusals: Sequence[Exception] = ()) -> None:
        self.taken: list[dict[str, Any]] = []
        self._refusals = list(refusals)

    def parse(self, body: dict[str, Any]) -> dict[str, Any]:
        """Validate as the catalogue does."""
        return DocumentSink(None, ItemInput).parse(body)  # type: ignore[arg-type]

    def write(self, batch: Sequence[dict[str, Any]]) -> Written:
        """Keep the batch, or refuse it."""
        if self._refusals:
            raise self._refusals.pop(0)
        self.taken += batch
        return Written(len(batch))


def _load(path: Path, sink: Collector, tmp_path: Path, **changes: Any) -> tuple[Any, list[Any]]:
    """Load a file and return the progress and the bad rows."""
    bad: list[tuple[int, str]] = []
    options = LoadOptions(what="x", mapping=changes.pop("mapping", FieldMapping()), **changes)
    progress = load(
        read_rows(path),
        sink,
        options,
        ProgressFile(tmp_path / "loads", "x"),
        silent,
        name_bad=lambda line, reason: bad.append((line, reason)),
    )
    return progress, bad


def test_good_rows_are_kept_and_bad_ones_named(tmp_path: Path) -> None:
    """One bad price, one short row and one bad id cost three rows; each is named with its line."""
    file = tmp_path / "items.csv"
    file.write_text(
        'item_id,title,price\na,Lamp,10\nb,"Chair,\nred",dear\nc,Table\nd d,Bed,1\ne,Rug,5\n',
        encoding="utf-8",
    )
    sink = Collector()
    progress, bad = _load(file, sink, tmp_path)
    assert [row["item_id"] for row in sink.taken] == ["a", "e"]
    assert [line for line, _ in bad] == [4, 5, 6]
    assert bad[0][1].startswith("price: ")
    assert "2 fields; the heading has 3" in bad[1][1]
    assert bad[2][1].startswith("item_id: ")
    assert (progress.rows, progress.new, progress.bad) == (5, 2, 3)


def test_lines_that_are_not_json_objects_are_named(tmp_path: Path) -> None:
    """JSON Lines: a broken line, a list and an empty line do not stop the rest."""
    file = tmp_path / "items.jsonl"
    file.write_text('{"item_id":"a"}\n{"item_id"\n\n[1]\n{"item_id":"b"}\n', encoding="utf-8")
    sink = Collector()
    _, bad = _load(file, sink, tmp_path)
    assert [row["item_id"] for row in sink.taken] == ["a", "b"]
    assert [line for line, _ in bad] == [2, 4]


def test_bytes_that_are_not_utf8_cost_their_row_alone(tmp_path: Path) -> None:
    """A title in another encoding is named, and the next row is taken."""
    file = tmp_path / "items.csv"
    file.write_bytes(b"item_id,title\na,caf\xe9\nb,tea\n")
    sink = Collector()
    _, bad = _load(file, sink, tmp_path)
    assert [row["item_id"] for row in sink.taken] == ["b"]
    assert [line for line, _ in bad] == [2]


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    """Lists, numbers, times and integer ids of a Parquet file arrive as JSON would carry them."""
    file = tmp_path / "items.parquet"
    pl.DataFrame(
        {
            "item_id": [7, 8],
            "price": [1.5, None],
            "categories": [[["Home", "Kitchen"]], [["Garden"]]],
            "available_from": [datetime(2026, 1, 1, tzinfo=UTC), None],
        }
    ).write_parquet(file)
    sink = Collector()
    _, bad = _load(file, sink, tmp_path)
    assert bad == []
    assert sink.taken[0]["item_id"] == "7"
    assert sink.taken[0]["categories"] == [["Home", "Kitchen"]]
    assert sink.taken[0]["available_from"].startswith("2026-01-01T00:00:00")
    assert "price" not in sink.taken[1]


def test_loading_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failure in the second batch, the next try takes what is missing and nothing twice."""
    monkeypatch.setattr(loader, "BATCH", 2)
    monkeypatch.setattr(loader, "TRIES", 0)
    file = tmp_path / "items.csv"
    file.write_text("item_id\n" + "".join(f"i{n}\n" for n in range(5)), encoding="utf-8")
    first = Collector()
    monkeypatch.setattr(first, "write", _fails_after(first, 1))
    with pytest.raises(StreamUnavailableError):
        _load(file, first, tmp_path)
    second = Collector()
    progress, _ = _load(file, second, tmp_path)
    taken = [row["item_id"] for row in first.taken + second.taken]
    assert taken == [f"i{n}" for n in range(5)]
    assert progress.new == 5
    again = Collector()
    _load(file, again, tmp_path)
    assert again.taken == []


def _fails_after(sink: Collector, batches: int) -> Any:
    """A write that works a few times and then says that Redis is away."""
    left = batches

    def write(batch: Sequence[dict[str, Any]]) -> Written:
        nonlocal left
        if left == 0:
            raise StreamUnavailableError
        left -= 1
        return Collector.write(sink, batch)

    return write


def test_a_full_log_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading waits as long as it is told to and then writes the same batch."""
    waited: list[float] = []
    monkeypatch.setattr(loader.time, "sleep", waited.append)
    file = tmp_path / "items.csv"
    file.write_text("item_id\na\n", encoding="utf-8")
    sink = Collector([StreamFullError(5), StreamFullError(3), StreamUnavailableError()])
    _load(file, sink, tmp_path)
    assert waited == [5, 3, 0.5]
    assert [row["item_id"] for row in sink.taken] == ["a"]


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    """Every row is checked; neither the sink nor the progress notices."""
    file = tmp_path / "items.csv"
    file.write_text("item_id\na\nb b\n", encoding="utf-8")
    sink = Collector()
    progress, bad = _load(file, sink, tmp_path, dry_run=True)
    assert sink.taken == []
    assert (progress.new, progress.bad, len(bad)) == (1, 1, 1)
    assert list((tmp_path / "loads").iterdir()) == []


def test_an_event_without_id_gets_the_same_one_every_time(tmp_path: Path) -> None:
    """The id comes from the file's content and the line, so a second load is all duplicates."""
    file = tmp_path / "events.csv"
    file.write_text("user_id,item_id\nu,i\nu,i\n", encoding="utf-8")
    sink = EventSink(None, Settings())  # type: ignore[arg-type] # a dry run writes nothing
    mapping = FieldMapping(constants={"event_type": "purchase"})
    ids = []
    for _ in range(2):
        seen = []
        for row in read_rows(file):
            assert row.values is not None
            body = mapping.apply(row.values, sink.fields)
            body.setdefault("event_id", f"load-{digest_of(file)}-{row.line}")
            seen.append(sink.parse(body).event_id)
        ids.append(seen)
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == 2
    assert all(len(event_id) <= 64 for event_id in ids[0])


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("Home > Kitchen | Garden", [["Home", "Kitchen"], ["Garden"]]),
        ('[["Home", "A > B"]]', [["Home", "A > B"]]),
        ("Home", [["Home"]]),
    ],
)
def test_categories_may_be_written_as_text(text: str, paths: list[list[str]]) -> None:
    """People write `Home > Kitchen`, programs write JSON."""
    assert FieldMapping().apply({"categories": text}, FIELDS) == {"categories": paths}


def test_columns_are_mapped_and_constants_set() -> None:
    """A field comes from the column that is named, a property from a dotted name."""
    mapping = parse_mapping(
        ["item_id=sku", "properties.colour=farbe"], ["hidden=true"], FIELDS, assume_utc=True
    )
    row = {"sku": "a", "farbe": "red", "available_from": "2026-01-01 08:00", "title": ""}
    assert mapping.apply(row, FIELDS) == {
        "item_id": "a",
        "properties": {"colour": "red"},
        "hidden": True,
        "available_from": "2026-01-01T08:00:00+00:00",
    }


def test_a_wrong_mapping_names_every_mistake() -> None:
    """A field that does not exist and a pair without `=` are both named, with what there is."""
    with pytest.raises(InvalidInputError) as raised:
        parse_mapping(["item=sku", "title"], [], FIELDS)
    assert [fault.field for fault in raised.value.faults] == ["--mapping", "--mapping"]
    assert "item_id" in str(raised.value)
    assert missing_columns(FieldMapping({"item_id": "sku"}), ["id", "name"])[0].reason.count("sku")


def test_another_ending_is_refused(tmp_path: Path) -> None:
    """The message lists the endings that are understood."""
    with pytest.raises(InvalidInputError, match=r"\.parquet"):
        read_rows(tmp_path / "items.xlsx")


def test_a_row_is_a_row() -> None:
    """A row that cannot be read carries its reason instead of values."""
    assert Row(3, None, "broken").fault == "broken"


@pytest.mark.parametrize("flag", [True, 1, 1.0, "yes"])
def test_a_flag_of_a_file_is_a_boolean(flag: object) -> None:
    """A column in which some flags are missing is one of numbers; neither is refused."""
    mapping = parse_mapping([], [], FIELDS)
    assert mapping.apply({"item_id": "i", "hidden": flag}, FIELDS)["hidden"] is True
    assert mapping.apply({"item_id": "i", "hidden": 7}, FIELDS)["hidden"] == 7  # is refused
